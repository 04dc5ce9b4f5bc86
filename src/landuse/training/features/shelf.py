"""The folder of all kept sets, ``.landuse/features``, and its limit of size."""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import filelock

from landuse.training.features.store import FACTS, facts_of

_GB = 1e9


def folder_of(root: Path) -> Path:
    """Where the sets of a repository lie, for all its experiments."""
    return root / ".landuse" / "features"


def alone(shelf: Path) -> AbstractContextManager[object]:
    """Return the lock under which sets are made and removed; those that are open are filled without it."""
    shelf.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(shelf.with_name(f"{shelf.name}.lock"))


def make_room(shelf: Path, key: str, more: int, limit_gb: float) -> str | None:
    """Remove the sets that were not used for longest until ``more`` bytes for the set ``key`` fit; when ``alone``.

    A process that still uses a removed set goes on: the files vanish when it ends.

    Returns:
        Why there is no room, or None: there is.
    """
    for remains in shelf.glob(".*"):  # of a set that a killed process was making or removing
        shutil.rmtree(remains)
    own = _size(shelf / key)
    if own + more > limit_gb * _GB:
        return f"it would take {(own + more) / _GB:.1f} GB, runtime.cache_gb is {limit_gb:g}"
    others = sorted((s for s in _sets(shelf) if s.name != key), key=_used)
    taken = own + sum(_size(each) for each in others)
    for oldest in others:
        if taken + more <= limit_gb * _GB:
            break
        taken -= _size(oldest)
        removed = oldest.rename(oldest.with_name(f".{oldest.name}"))  # whole or not at all, whenever this is killed
        shutil.rmtree(removed)
    free = shutil.disk_usage(shelf).free
    if more > 0.9 * free:
        return f"it would take {more / _GB:.1f} GB more, the disk has {free / _GB:.1f} GB free"
    return None


def listing(root: Path) -> Iterator[str]:
    """One line a set: its size and what it is of."""
    shelf = folder_of(root)
    if not shelf.is_dir():
        return
    with alone(shelf):
        for each in _sets(shelf):
            facts = facts_of(each)
            what = "damaged" if facts is None else ", ".join(f"{name} {value}" for name, value in facts.items())
            yield f"{_size(each) / _GB:7.2f} GB  {each.name[:12]}  {what}"


def prune(root: Path) -> str:
    """Remove everything that is kept; say how much it was."""
    shelf = folder_of(root)
    if not shelf.is_dir():
        return "nothing is kept"
    with alone(shelf):
        freed = _size(shelf)
        shutil.rmtree(shelf)
    return f"freed {freed / _GB:.2f} GB"


def _sets(shelf: Path) -> list[Path]:
    return sorted(each for each in shelf.iterdir() if each.is_dir() and not each.name.startswith("."))


def _used(folder: Path) -> float:
    """When a set was last used; a damaged one never was."""
    facts = folder / FACTS
    return facts.stat().st_mtime if facts.exists() else 0.0


def _size(folder: Path) -> int:
    """Bytes on disk: the files are sparse."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
