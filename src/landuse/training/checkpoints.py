"""Checkpoints: a training that is killed at any moment goes on from its last good state.

They lie outside the DVC outputs, in ``.landuse/state/<identity>/``, under the repository's root even when DVC runs an
experiment in a temporary copy. A checkpoint is one file: the SHA-256 of its content, then torch's format without
pickled code. It is written beside, flushed, renamed, and checked when it is read; the one before it is kept until then.
"""

import hashlib
import io
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import filelock
import torch

from landuse.core.files import write_json
from landuse.core.outputs import as_json
from landuse.core.settings import what_changed

_KEPT = 2  # checkpoints of one training: the last, and one to fall back on
_ABANDONED = 3  # other trainings whose checkpoints are kept, in case their params come back
_DIGEST_BYTES = 32
_FACTS, _FINISHED = "facts.json", "finished"


class Checkpointer:
    """Writes and reads the checkpoints of one training; ``checkpointing`` makes it.

    signal: the SIGINT or SIGTERM that asked to stop, if one did.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder, self.signal = folder, 0
        self._every, self._saved_at = minutes * 60, time.monotonic()
        self._cost = 0.0  # seconds of the last save

    def due(self) -> bool:
        """Whether a checkpoint should be written before the next batch."""
        return self.signal != 0 or time.monotonic() - self._saved_at > self._every

    def cheap(self) -> bool:
        """Whether saving would take less than 2 % of the time since the last one, as epochs of seconds do not let."""
        return self._cost < 0.02 * (time.monotonic() - self._saved_at)

    def save(self, content: Mapping[str, Any]) -> None:
        """Write a checkpoint, whole or not at all; leave two."""
        started = time.monotonic()
        earlier = self._files()
        number = int(earlier[-1].stem) + 1 if earlier else 1
        part = self.folder / ".part"
        with part.open("wb") as file:
            file.write(bytes(_DIGEST_BYTES))
            hashed = _Hashed(file)
            torch.save(dict(content), hashed)  # type: ignore[arg-type]
            if hashed.error:
                raise hashed.error
            file.seek(0)
            file.write(hashed.hash.digest())
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.folder / f"{number:08}.state")
        for old in earlier[: 1 - _KEPT]:
            old.unlink()
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def latest(self, device: torch.device) -> dict[str, Any] | None:
        """Return the newest checkpoint that is whole, its tensors on the device, or None; damaged ones are removed."""
        for file in reversed(self._files()):
            content = file.read_bytes() if file.is_file() else b""
            if hashlib.sha256(content[_DIGEST_BYTES:]).digest() == content[:_DIGEST_BYTES]:
                found: dict[str, Any] = torch.load(
                    io.BytesIO(content[_DIGEST_BYTES:]), map_location=device, weights_only=True
                )
                return found
            print(f"the saved state {file.name} is damaged: going back to the one before it", flush=True)
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        return None

    @property
    def finished(self) -> bool:
        """Whether the training has come to its end."""
        return (self.folder / _FINISHED).exists()

    def finish(self) -> None:
        """Note that training has come to its end; its last checkpoint stays, until DVC has taken over the results."""
        (self.folder / _FINISHED).touch()

    def forget(self) -> None:
        """Remove all checkpoints."""
        (self.folder / _FINISHED).unlink()
        for file in self._files():
            file.unlink()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.state"))


class _Hashed:
    """A file that hashes what is written to it: a checkpoint is as large as the network and its optimiser.

    error: of the disk, if there was one; torch.save would hide it behind one of its own.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.hash = file, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        try:
            if self.error is None:
                self.hash.update(data)
                self._file.write(data)
        except OSError as error:
            self.error = error
        return len(data)

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def checkpointing(root: Path, identity: str, minutes: float, facts: Mapping[str, Any]) -> Iterator[Checkpointer]:
    """Hold the checkpoints of a training; while another process trains the same, wait for it.

    SIGINT and SIGTERM are noted, for the loop to end after a batch; a second SIGINT ends at once.

    facts: flat params (and the data's digest), to say what changed when an interrupted training is not continued.
    """
    all_ = root / ".landuse" / "state"
    folder = all_ / identity
    all_.mkdir(parents=True, exist_ok=True)
    with _locked(all_ / f"{identity}.lock"):
        # trainings of a queue start together: what one looks at, another must not remove
        with filelock.FileLock(f"{all_}.lock"), ExitStack() as held:
            idle = _idle(all_, identity, held)
            if not folder.exists():
                _say_what_changed(idle, facts)
            folder.mkdir(exist_ok=True)
            write_json(folder / _FACTS, dict(facts))
            _prune(idle)
        own, lock = Checkpointer(folder, minutes), Path("dvc.lock")
        if own.finished and lock.exists() and lock.stat().st_mtime > (folder / _FINISHED).stat().st_mtime:
            own.forget()  # DVC has its results: whoever trains again wants it done again
        with _noting_signals(own):
            yield own


def _locked(path: Path) -> AbstractContextManager[object]:
    lock = filelock.FileLock(path)
    try:
        return lock.acquire(timeout=1)  # another one may hold it for a moment, to look for what is abandoned
    except filelock.Timeout:
        print("another process trains the same model (same params, data and code): waiting for it", flush=True)
        return lock.acquire()


def _idle(all_: Path, identity: str, held: ExitStack) -> list[Path]:
    """Return the folders of other trainings that no process trains, and hold their locks."""
    idle = []
    for folder in all_.iterdir():
        if folder.is_dir() and folder.name != identity:
            with suppress(filelock.Timeout):
                held.enter_context(filelock.FileLock(all_ / f"{folder.name}.lock").acquire(blocking=False))
                idle.append(folder)
    return idle


def _say_what_changed(idle: Sequence[Path], facts: Mapping[str, Any]) -> None:
    interrupted = [file for folder in idle if not (folder / _FINISHED).exists() for file in folder.glob("*.state")]
    if not interrupted:
        return
    newest = max(interrupted, key=lambda file: file.stat().st_mtime)
    try:
        before = as_json((newest.parent / _FACTS).read_bytes(), dict[str, Any])
    except (OSError, ValueError):
        what = f"which ones is not known: its {_FACTS} is damaged"
    else:
        what = what_changed(before, facts) or "other code"
    print(f"starting anew: the training that was interrupted had other settings ({what})", flush=True)


def _prune(idle: Sequence[Path]) -> None:
    """Remove what finished trainings left, and all but the newest of the abandoned ones."""
    newest_first = sorted(idle, key=lambda folder: folder.stat().st_mtime, reverse=True)
    unfinished = [folder for folder in newest_first if not (folder / _FINISHED).exists()]
    for folder in set(idle) - set(unfinished[:_ABANDONED]):
        shutil.rmtree(folder)


@contextmanager
def _noting_signals(own: Checkpointer) -> Iterator[None]:
    def note(number: int, _: FrameType | None) -> None:
        if own.signal and number == signal.SIGINT:  # Slurm and torchrun may each send a SIGTERM
            raise KeyboardInterrupt
        own.signal = number
        os.write(1, b"\nstopping after this batch; once more stops at once\n")  # print is not safe in here

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
