"""Files of tiles by what people type: a file, a folder, a pattern, a zip, or - for a list on standard input."""

import glob
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from landuse.core.errors import UserError
from landuse.pictures import EXTENSIONS, BadTile

_LARGEST = 1 << 28  # bytes of a file: more is no tile
_STDIN = "-"


@dataclass(frozen=True)
class File:
    """name: as the table has it. read: its bytes, from any thread; raises BadTile."""

    name: str
    read: Callable[[], bytes]


def files(paths: Sequence[str]) -> Iterator[File]:
    """Yield the files in the order of the paths; of a folder or a zip the pictures, sorted, those of a folder first.

    Raises:
        UserError: a path leads to nothing. One that standard input lists gets a File that says so when it is read.
    """
    for path in paths:
        if path != _STDIN:
            yield from _of(path)
            continue
        for line in sys.stdin:
            name = line.rstrip("\r\n")
            try:
                yield from _of(name) if name else ()
            except UserError as error:
                yield File(name, partial(_refuse, str(error)))


def count(paths: Sequence[str]) -> int | None:
    """How many files the paths lead to; None where standard input is to tell. Raises UserError as ``files`` does."""
    known = sum(1 for _ in files([path for path in paths if path != _STDIN]))
    return None if _STDIN in paths else known


def _of(path: str) -> Iterator[File]:
    place = Path(path)
    try:
        exists, is_folder = place.exists(), place.is_dir()
    except OSError as error:  # a name too long, a folder that is closed to us
        raise UserError(f"{path[:80]} cannot be opened ({error.strerror}): mend the path") from None
    if is_folder:
        return _folder(place)
    if exists and path.lower().endswith(".zip"):
        return _zip(place)
    if glob.has_magic(path) and not exists:
        found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute pattern)
        if not found:
            raise UserError(f"nothing fits {path}: mend the pattern")
        return (file for one in found for file in _of(one))
    if not exists:
        raise UserError(f"no {path}: name files, folders, patterns, zips, or - for a list on standard input")
    return iter([File(path, partial(_read, place))])


def _folder(folder: Path) -> Iterator[File]:
    empty = True
    for here, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if _is_shown(name))
        for name in sorted(name for name in names if _is_shown(name) and name.lower().endswith(EXTENSIONS)):
            path = Path(here, name)
            empty = False
            yield File(str(path), partial(_read, path))
    if empty:
        raise UserError(f"no picture in the folder {folder}: it takes {', '.join(EXTENSIONS)}")


def _zip(path: Path) -> Iterator[File]:
    try:
        archive = zipfile.ZipFile(path, metadata_encoding="utf-8")  # stays open as long as a File of it is there
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise UserError(f"{path} is no whole zip ({error}): copy it again") from None
    names = [PurePosixPath(name) for name in archive.namelist() if name.lower().endswith(EXTENSIONS)]
    names = sorted((name for name in names if all(map(_is_shown, name.parts))), key=lambda name: (name.parent, name))
    if not names:
        raise UserError(f"no picture in {path}: it takes {', '.join(EXTENSIONS)}")
    for name in names:
        yield File(f"{path}/{name}", partial(_read_entry, archive, str(name)))


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise BadTile("no file, or a link that leads nowhere")
        _check_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        raise BadTile(f"cannot be read: {error.strerror}") from None


def _read_entry(archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        _check_size(archive.getinfo(name).file_size)
        return archive.read(name)
    except BadTile:
        raise
    except Exception as error:  # of zipfile and of each of its decompressors; RuntimeError: encrypted
        raise BadTile(f"cannot be read from the zip: {error}") from None


def _check_size(size: int) -> None:
    if size > _LARGEST:
        raise BadTile(f"{size / 1e6:,.0f} MB: too large for a tile")


def _refuse(reason: str) -> bytes:
    raise BadTile(reason)


def _unreadable(error: OSError) -> None:  # os.walk would leave the folder out without a word
    raise UserError(f"the folder {error.filename} cannot be read ({error.strerror}): mend that, or leave it out")
