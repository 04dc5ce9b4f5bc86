"""Features of tiles on disk, under ``.landuse/features``: one folder for each frozen prefix and augmentation.

A folder holds a sparse, memory-mapped file and a checksum for each entry. An entry is there when its checksum fits; so
a kill, a full disk, a power cut or two processes that write the same entry cost nothing but computing it again.
A folder whose files are not as they were made is dropped as a whole.
"""

import math
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt

from landuse.core.files import atomic, write_json
from landuse.core.outputs import as_json

GB = 1e9
_FACTS, _VALUES, _CHECKS = "facts.json", "values.bin", "checks.bin"
_Ints = npt.NDArray[np.int64]


class Entries:
    """Arrays by (row of the tile store, view). All are of one shape and dtype."""

    def __init__(
        self, folder: Path, rows: int, views: int, shape: tuple[int, ...], dtype: str, facts: Mapping[str, Any]
    ) -> None:
        """Open the entries in ``folder``, or make them, while ``alone``. facts: for ``listing``."""
        self._views = views
        self._bytes = math.prod(shape) * np.dtype(dtype).itemsize
        sizes = {_VALUES: rows * views * self._bytes, _CHECKS: rows * views * 4}
        whole = all((folder / name).is_file() and (folder / name).stat().st_size == sizes[name] for name in sizes)
        if not whole or _facts_of(folder) is None:
            if folder.exists():
                print(f"the cached features {folder.name[:12]} are damaged: they are computed anew", flush=True)
            with atomic(folder) as part:
                part.mkdir()
                for name, size in sizes.items():
                    (part / name).touch()
                    os.truncate(part / name, size)
                write_json(part / _FACTS, dict(facts))
        os.utime(folder / _FACTS)  # what was not used for longest goes first
        self._files = [(folder / name).open("r+b", buffering=0) for name in (_VALUES, _CHECKS)]
        self._values = np.memmap(folder / _VALUES, dtype, "r", shape=(rows * views, *shape))
        self._checks = np.memmap(folder / _CHECKS, np.uint32, "r", shape=(rows * views,))
        self._there = np.zeros(rows * views, dtype=bool)  # entries whose checksum was found to fit

    def absent(self, rows: _Ints) -> int:
        """Return the bytes that all views of (n,) rows take, less those that were written before."""
        return int(np.sum(self._checks.reshape(-1, self._views)[rows] == 0)) * self._bytes

    def missing(self, rows: _Ints, views: _Ints) -> npt.NDArray[np.bool_]:
        """Return which of the (n,) entries have to be computed."""
        places = rows * self._views + views
        unsure = np.unique(places[~self._there[places]])
        unsure = unsure[self._checks[unsure] != 0]
        for place in unsure:
            self._there[place] = self._checks[place] == _checksum(self._values[place])
        there: npt.NDArray[np.bool_] = self._there[places]
        return ~there

    def get(self, rows: _Ints, views: _Ints) -> npt.NDArray[Any]:
        """Return a copy of (n,) entries that are there, (n, ...)."""
        found: npt.NDArray[Any] = self._values[rows * self._views + views]
        return found

    def put(self, rows: _Ints, views: _Ints, values: npt.NDArray[Any]) -> None:
        """Keep (n, ...) entries.

        Raises:
            OSError: the disk is full; what was there before is unharmed. (Written through the map, it would be a
                signal that kills the process.)
        """
        data, checks = (file.fileno() for file in self._files)
        for place, value in zip((rows * self._views + views).tolist(), np.ascontiguousarray(values), strict=True):
            _write(data, value.tobytes(), place * self._bytes)
            _write(checks, _checksum(value).tobytes(), place * 4)
            self._there[place] = True


def _checksum(value: npt.NDArray[Any]) -> np.uint32:
    return np.uint32(max(1, zlib.crc32(np.ascontiguousarray(value).data)))  # 0 is an entry that is not there


def _write(file: int, content: bytes, at: int) -> None:
    while content:  # where the disk is nearly full, less is written than was given
        done = os.pwrite(file, content, at)
        content, at = content[done:], at + done


class NoRoom(Exception):
    """More features than the limit or the disk lets be kept."""


@dataclass(frozen=True)
class Cache:
    """Where features are kept. tiles: digest of the tile store. limit_gb: of all that the folder holds."""

    folder: Path
    tiles: str
    limit_gb: float

    def open(self, key: str, rows: _Ints, count: int, views: int, example: npt.NDArray[Any], facts: Any) -> Entries:
        """Open the entries of a key, with room for all views of (n,) rows.

        count: rows of the tile store. example: (n, ...), of the shape and dtype of the entries.

        Raises:
            NoRoom: they would not fit; says why.
            OSError: nothing can be written.
        """
        with alone(self.folder):
            entries = Entries(self.folder / key, count, views, example.shape[1:], str(example.dtype), facts)
            self.make_room(key, entries.absent(rows))
            return entries

    def make_room(self, key: str, more: int) -> None:
        """Remove, while ``alone``, what was not used for longest until ``more`` bytes for a key fit, or raise NoRoom.

        A process that still uses what is removed goes on: the files vanish when it ends.
        """
        for remains in self.folder.glob(".*"):  # of what a killed process was making or removing
            shutil.rmtree(remains)
        own, limit = _size(self.folder / key), self.limit_gb * GB
        if own + more > limit:
            raise NoRoom(f"it would take {(own + more) / GB:.1f} GB, runtime.cache_gb is {self.limit_gb:g}")
        others = sorted((each for each in _kept(self.folder) if each.name != key), key=_used)
        taken = own + sum(map(_size, others))
        for oldest in others:
            if taken + more <= limit:
                break
            taken -= _size(oldest)
            removed = oldest.rename(oldest.with_name(f".{oldest.name}"))  # whole or not at all, whenever this is killed
            shutil.rmtree(removed)
        free = shutil.disk_usage(self.folder).free
        if more > 0.9 * free:
            raise NoRoom(f"it would take {more / GB:.1f} GB more, the disk has {free / GB:.1f} GB free")


def folder_of(root: Path) -> Path:
    """Where the features of a repository lie, for all its experiments."""
    return root / ".landuse" / "features"


def alone(folder: Path) -> AbstractContextManager[object]:
    """Return the lock under which entries are made and removed; those that are open are filled without it."""
    folder.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folder.with_name(f"{folder.name}.lock"))


def listing(root: Path) -> Iterator[str]:
    """One line for each frozen prefix and augmentation: the size of its features, and what they are of."""
    if not (folder := folder_of(root)).is_dir():
        return
    with alone(folder):
        for each in _kept(folder):
            facts = _facts_of(each)
            what = "damaged" if facts is None else ", ".join(f"{name} {value}" for name, value in facts.items())
            yield f"{_size(each) / GB:7.2f} GB  {each.name[:12]}  {what}"


def prune(root: Path) -> str:
    """Remove everything that is kept; say how much it was."""
    if not (folder := folder_of(root)).is_dir():
        return "nothing is kept"
    with alone(folder):
        freed = _size(folder)
        shutil.rmtree(folder)
    return f"freed {freed / GB:.2f} GB"


def _kept(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))


def _facts_of(folder: Path) -> dict[str, Any] | None:
    """What entries are of; None where that cannot be read."""
    try:
        return as_json((folder / _FACTS).read_bytes(), dict[str, Any])
    except (OSError, ValueError):
        return None


def _size(folder: Path) -> int:
    """Bytes on disk: the files are sparse."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())


def _used(folder: Path) -> float:
    """When entries were last used; damaged ones never were."""
    facts = folder / _FACTS
    return facts.stat().st_mtime if facts.exists() else 0.0
