"""One kept set of trunk outputs: a sparse, memory-mapped file and a checksum for each entry.

An entry is there when its checksum fits; so a kill, a full disk, a power cut or two processes that write the same entry
cost nothing but computing it again. A set whose files are not as they were made is dropped as a whole.
"""

import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.core.files import atomic, write_json
from landuse.core.outputs import as_json

FACTS = "facts.json"
_VALUES, _CHECKS = "values.bin", "checks.bin"


class Entries:
    """Arrays by (row of the tile store, view). All are of one shape and dtype."""

    def __init__(
        self, folder: Path, rows: int, views: int, shape: tuple[int, ...], dtype: str, facts: Mapping[str, Any]
    ) -> None:
        """Open the set in ``folder``, or make an empty one there; no other process may do that meanwhile.

        facts: for whoever lists it.
        """
        self._views = views
        self._bytes = math.prod(shape) * np.dtype(dtype).itemsize
        sizes = {_VALUES: rows * views * self._bytes, _CHECKS: rows * views * 4}
        if not all(_is_file(folder / name, size) for name, size in sizes.items()) or facts_of(folder) is None:
            if folder.exists():
                print(f"the kept trunk outputs {folder.name[:12]} are damaged: they are computed anew", flush=True)
            _make(folder, sizes, facts)
        os.utime(folder / FACTS)  # the set that was not used for longest goes first
        self._files = [(folder / name).open("r+b", buffering=0) for name in (_VALUES, _CHECKS)]
        self._values = np.memmap(folder / _VALUES, dtype, "r", shape=(rows * views, *shape))
        self._checks = np.memmap(folder / _CHECKS, np.uint32, "r", shape=(rows * views,))
        self._there = np.zeros(rows * views, dtype=bool)  # entries whose checksum was found to fit

    def absent(self, rows: npt.NDArray[np.int64]) -> int:
        """Return the bytes that all views of (n,) rows would take, less those that were written before."""
        return int(np.sum(self._checks.reshape(-1, self._views)[rows] == 0)) * self._bytes

    def missing(self, rows: npt.NDArray[np.int64], views: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which of the (n,) entries have to be computed."""
        places = rows * self._views + views
        unsure = np.unique(places[~self._there[places]])
        unsure = unsure[self._checks[unsure] != 0]
        for place in unsure:
            self._there[place] = self._checks[place] == _checksum(self._values[place])
        there: npt.NDArray[np.bool_] = self._there[places]
        return ~there

    def get(self, rows: npt.NDArray[np.int64], views: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return a copy of (n,) entries that are there, (n, ...)."""
        found: npt.NDArray[Any] = self._values[rows * self._views + views]
        return found

    def put(self, rows: npt.NDArray[np.int64], views: npt.NDArray[np.int64], values: npt.NDArray[Any]) -> None:
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

    def close(self) -> None:
        for file in self._files:
            file.close()


def facts_of(folder: Path) -> dict[str, Any] | None:
    """What a set is of, for whoever lists it; None where that cannot be read."""
    try:
        return as_json((folder / FACTS).read_bytes(), dict[str, Any])
    except (OSError, ValueError):
        return None


def _is_file(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _make(folder: Path, sizes: Mapping[str, int], facts: Mapping[str, Any]) -> None:
    with atomic(folder) as part:
        part.mkdir()
        for name, size in sizes.items():
            with (part / name).open("wb") as file:
                file.truncate(size)
        write_json(part / FACTS, dict(facts))


def _checksum(value: npt.NDArray[Any]) -> np.uint32:
    return np.uint32(max(1, zlib.crc32(np.ascontiguousarray(value).data)))  # 0 is an entry that is not there


def _write(file: int, content: bytes, at: int) -> None:
    while content:  # where the disk is nearly full, less is written than was given
        done = os.pwrite(file, content, at)
        content, at = content[done:], at + done
