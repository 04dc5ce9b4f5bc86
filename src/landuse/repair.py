"""What a full disk or a kill leaves half-written of DVC's own files, put right.

DVC writes ``dvc.lock``, its tables of locks and the messages of its queue in place, and one that is empty or cut ends
every later command with an error. Nothing but a place in the queue is lost with them: DVC's run-cache knows what ran.
"""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml
from zc.lockfile import LockError, LockFile  # what DVC locks with

from landuse.core.errors import UserError
from landuse.core.files import write_text

_QUEUE = ("celery/broker/*/*.msg", "celery/broker/control/*.exchange", "run/*/*.json")
_ABANDONED = 600  # seconds without a write: then no process is writing it


def run(root: Path = Path()) -> list[str]:
    """Mend what is broken of DVC's files in the root of the repository; return a line for each.

    Raises UserError: there is no pipeline here; dvc.lock holds a merge conflict, which only a person can resolve; or
    another DVC process may be writing what seems broken.
    """
    if not (root / "dvc.yaml").is_file():
        raise UserError("no dvc.yaml here: run it in the repository's root")
    tmp, mended = root / ".dvc" / "tmp", []
    places = [(root / "dvc.lock", _is_lock_file, tmp / "lock", _restore)]
    places += [(folder / "rwlock", _is_json, folder / "rwlock.lock", _remove) for folder in (tmp, tmp / "exps")]
    for file, is_whole, lock, mend in places:
        if _broken(file, is_whole):
            with _held(lock):
                mended += [mend(file)] if _broken(file, is_whole) else []
    mended += _sweep(root / ".dvc" / "cache" / "files" / "md5")
    doubtful = [file for pattern in _QUEUE for file in (tmp / "exps").glob(pattern) if _broken(file, _is_json)]
    if doubtful:
        time.sleep(1)  # they have no lock, and DVC may be writing one just now
    return mended + [_remove(file) for file in doubtful if _broken(file, _is_json)]


@contextmanager
def _held(lock: Path) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = LockFile(str(lock))
    except LockError:
        raise UserError("another DVC process is at work here: wait for its end, then run the same command") from None
    try:
        yield
    finally:
        held.close()


def _broken(file: Path, is_whole: Callable[[str], bool]) -> bool:
    try:
        return not is_whole(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except UnicodeDecodeError:
        return True


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True


def _is_lock_file(text: str) -> bool:
    """Whether DVC's schema (a second to load) would take it: what was cut may be YAML still."""
    try:
        stages = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
        for stage in stages.values():
            entries = [*stage.get("deps", []), *stage.get("outs", [])]
            tables = stage.get("params", {}).values()
            if not (stage["cmd"] and all(e["path"] and None not in e.values() for e in entries) and None not in tables):
                return False
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):  # no table where one should be
        return False
    return text.endswith("\n")


def _restore(file: Path) -> str:
    if re.search("^<<<<<<< ", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE):
        raise UserError(f"{file.name} holds a merge conflict: 'git checkout --theirs {file.name}', then 'dvc repro'")
    remedy = "'dvc repro' takes what has run from its cache"
    with suppress(FileNotFoundError):  # no git on this machine
        command = ["git", "show", f"HEAD:./{file.name}"]
        git = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)
        if git.returncode == 0 and _is_lock_file(git.stdout):
            write_text(file, git.stdout)
            return f"{file.name} was half-written: put back as it was committed; {remedy}"
    file.unlink()
    return f"{file.name} was half-written: removed; {remedy}"


def _sweep(cache: Path) -> list[str]:
    """Remove the copies that DVC began and did not finish: it never does, and they keep the disk full."""
    left = [file for file in cache.glob("??/.*.tmp") if time.time() - file.stat().st_mtime > _ABANDONED]
    size = sum(file.stat().st_size for file in left)
    for file in left:
        file.unlink()
    return [f"{len(left)} unfinished copies in DVC's cache: removed, {size / 1e6:,.1f} MB"] if left else []


def _remove(file: Path) -> str:
    file.unlink()
    return f"{file} was half-written: removed" + (", and with it a queued experiment" if file.suffix == ".msg" else "")
