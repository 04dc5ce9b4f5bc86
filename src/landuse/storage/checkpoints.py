"""Checkpoints: a training that is killed at any moment goes on from its last good state.

They lie outside the DVC outputs, in ``.landuse/state/<identity>/``, under the repository's root even when DVC runs an
experiment in a temporary copy. A checkpoint is one file: torch's format without pickled code, then its SHA-256. It is
written beside, flushed, renamed, and checked when it is read; the one before it is kept until then.
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
from typing import Any

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
        self._cost = 1.0  # seconds of the last save; before the first, a guess

    def due(self) -> bool:
        """Whether a checkpoint should be written before the next batch."""
        return self.signal != 0 or time.monotonic() - self._saved_at > self._every

    def cheap(self) -> bool:
        """Whether saving would take less than 2 % of the time since the last one, or since the start."""
        return self._cost < 0.02 * (time.monotonic() - self._saved_at)

    def save(self, content: Mapping[str, Any]) -> None:
        """Write a checkpoint, whole or not at all; leave two."""
        started, earlier = time.monotonic(), self._files()
        part = self.folder / ".part"
        with _Hashed(io.FileIO(part, "w")) as file:
            try:
                torch.save(dict(content), file)
            except RuntimeError as error:  # torch cannot end a file that it could not write
                raise error.__context__ or error from None
            file.write(file.digest.digest())
            file.flush()
            os.fsync(file.fileno())
        number = int(earlier[-1].stem) + 1 if earlier else 1
        part.replace(self.folder / f"{number:08}.state")
        for old in earlier[: 1 - _KEPT]:
            old.unlink()
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def latest(self) -> dict[str, Any] | None:
        """Return the newest checkpoint that is whole, its tensors on the CPU, or None; damaged ones are removed."""
        for file in reversed(self._files()):
            content = file.read_bytes() if file.is_file() else b""
            content, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
            if hashlib.sha256(content).digest() == digest:
                found: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
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
        for file in (self.folder / _FINISHED, *self._files()):
            file.unlink()

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.state"))


class _Hashed(io.BufferedWriter):
    """A file whose content is hashed on the way: made in memory first, it would take as much as the training."""

    def __init__(self, raw: io.RawIOBase) -> None:
        super().__init__(raw)
        self.digest = hashlib.sha256()

    def write(self, content: Any) -> int:
        self.digest.update(content)
        return super().write(content)


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
        with filelock.FileLock(f"{all_}.lock"), ExitStack() as held:  # trainings of a queue start together
            idle = []  # trainings that no process is at; nobody takes them up until this has looked at them
            for other in (each for each in all_.iterdir() if each.is_dir() and each.name != identity):
                with suppress(filelock.Timeout):
                    held.enter_context(filelock.FileLock(all_ / f"{other.name}.lock").acquire(blocking=False))
                    idle.append(other)
            unfinished = [other for other in idle if not (other / _FINISHED).exists()]
            if not folder.exists():
                _say_what_changed(unfinished, facts)
            folder.mkdir(exist_ok=True)
            write_json(folder / _FACTS, dict(facts))
            unfinished.sort(key=lambda other: other.stat().st_mtime, reverse=True)
            for over in set(idle) - set(unfinished[:_ABANDONED]):
                shutil.rmtree(over)
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


def _say_what_changed(unfinished: Sequence[Path], facts: Mapping[str, Any]) -> None:
    states = [file for folder in unfinished for file in folder.glob("*.state")]
    if not states:
        return
    newest = max(states, key=lambda file: file.stat().st_mtime)
    try:
        before = as_json((newest.parent / _FACTS).read_bytes(), dict[str, Any])
        what = what_changed(before, facts) or "other code"
    except (OSError, ValueError):
        what = f"which ones is not known: its {_FACTS} is damaged"
    print(f"starting anew: the training that was interrupted had other settings ({what})", flush=True)


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
