"""A zip or a folder of class folders, read in place as names and bytes; nothing is unpacked."""

import os
import re
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit
from urllib.request import url2pathname

from landuse.core.errors import UserError
from landuse.core.paths import repository
from landuse.data.sources.fetch import Address, fetch
from landuse.pictures import BadTile

_LARGEST = 1 << 28  # bytes of one image: a zip may promise terabytes
# what zipfile and its decompressors raise for entries that are damaged; OSError: bz2, or a place before the start
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, zlib.error, LZMAError)
# names without a mark are read as UTF-8, which most programs mean, not as DOS letters
_zip = partial(zipfile.ZipFile, metadata_encoding="utf-8")


class NoTilesError(UserError):
    """The zip or folder holds nothing of the form ``<Class>/<image>`` that the source takes for a tile."""


@dataclass(frozen=True)
class Archive:
    """The tiles of a zip or a folder.

    names: ``<Class>/<file>``, sorted. read: name -> its bytes, from any thread; raises BadTile.
    """

    names: list[str]
    read: Callable[[str], bytes]


def open_url(url: str, is_tile: Callable[[str], bool]) -> Archive:
    """Open what ``data.url`` names: https://, http://, file://, or the path of a zip or a folder.

    An address is downloaded once; local data is read where it lies. is_tile: whether ``<Class>/<file>`` is one; other
    files are left out, and counted on standard error.

    Raises UserError: there is nothing, no zip, an unsafe one, or no class folder with a tile in it.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UserError(f"data.url is {url!r}, which is no address ({error}): mend it") from None
    scheme = parts.scheme.lower()
    if scheme in ("http", "https"):
        remedy = "check the address and the network, or download it yourself and give its path: -S data.url=PATH"
        return open_path(fetch([Address(url)], remedy, fault), is_tile)
    if scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise UserError(f"data.url is {url!r}: a file address has three slashes, file:///folder/file.zip")
        return open_path(local(url2pathname(parts.path)), is_tile)
    if "://" in url:
        raise UserError(f"data.url is {url!r}: give https://, http://, file:// or a path; fetch others yourself first")
    return open_path(local(url), is_tile)


def local(path: str) -> Path:
    """The path as given; a relative one that is not here may lie in the repository an experiment was copied from."""
    try:
        given = Path(path).expanduser()
        return given if given.exists() else repository() / given
    except (OSError, RuntimeError) as error:  # RuntimeError: a home folder that nobody has
        raise UserError(
            f"{path[:80]!r} cannot be opened ({getattr(error, 'strerror', error)}): mend the path"
        ) from None


def open_path(path: Path, is_tile: Callable[[str], bool]) -> Archive:
    """Open a zip or a folder; as ``open_url``."""
    if path.is_dir():
        files, read = _open_folder(path)
    elif path.is_file():
        files, read = _open_zip(path)
    else:
        fault = "is neither of these" if path.exists() else "does not exist"
        raise UserError(f"data.url leads to {path}, which {fault}: give the path of a zip or of a folder")
    inner = _by_class(files, is_tile, path)
    return Archive(sorted(inner), lambda name: read(inner[name]))


def fault(path: Path) -> str | None:
    """Say what is wrong with a zip as a whole, or None."""
    try:
        with _zip(path) as archive:
            infos = archive.infolist()
    except UnicodeDecodeError:
        return "its file names are not in UTF-8, and nothing says in which encoding they are"
    except PermissionError:
        raise
    except _ZIP_ERRORS as error:
        return f"not a whole zip ({str(error).rstrip('.').lower()})"
    for info in infos:
        inner = info.filename.replace("\\", "/")
        if ".." in inner.split("/") or inner.startswith("/") or re.match("[A-Za-z]:", info.filename):
            return f"unsafe zip: its entry {info.filename!r} leads out of the archive"
        if info.flag_bits & 1:
            return "the zip is encrypted"
    return None


def _open_zip(path: Path) -> tuple[Iterable[str], Callable[[str], bytes]]:
    reason = fault(path)
    if reason:
        raise UserError(f"{path}: {reason}: fetch or make it anew, or unpack it yourself and give the folder")
    archive = _zip(path)  # stays open: threads read from it, under its own lock
    files = [info.filename for info in archive.infolist() if not info.filename.endswith("/")]

    def read(name: str) -> bytes:
        _check_size(archive.getinfo(name).file_size)
        try:
            return archive.read(name)
        except _ZIP_ERRORS as error:
            raise BadTile(f"cannot be read from the zip: {str(error) or type(error).__name__}") from None

    return files, read


def _open_folder(folder: Path) -> tuple[Iterable[str], Callable[[str], bytes]]:
    def read(name: str) -> bytes:
        file = folder / name
        if not file.is_file():
            raise BadTile("no file, or a link that leads nowhere")
        try:
            _check_size(file.stat().st_size)
            return file.read_bytes()
        except OSError as error:  # the fault of a disk or of permissions, not of the tile
            raise UserError(f"{file} cannot be read ({error.strerror}): mend that, or leave it out") from None

    return _walk(folder), read


def _walk(folder: Path) -> Iterator[str]:
    """Yield the files below a folder, relative to it, in a fixed order; links that lead in circles once."""

    def refuse(error: OSError) -> None:  # os.walk would leave the folder out without a word
        raise UserError(f"the folder {error.filename} cannot be read ({error.strerror}): mend that, or leave it out")

    seen: set[str] = set()
    for here, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if os.path.realpath(Path(here, name)) not in seen)
        seen.update(os.path.realpath(Path(here, name)) for name in folders)
        yield from (Path(here, name).relative_to(folder).as_posix() for name in sorted(files))


def _check_size(size: int) -> None:
    if size > _LARGEST:
        raise BadTile(f"{size / 1e6:,.0f} MB: too large for a tile")


def _by_class(files: Iterable[str], is_tile: Callable[[str], bool], path: Path) -> dict[str, str]:
    """Map ``<Class>/<file>`` to the path inside the archive, wherever the class folders lie in it."""
    found: dict[str, list[tuple[str, str]]] = {}  # class folder -> tiles, each with its path inside the archive
    skipped = []
    for file in files:
        *folders, name = file.replace("\\", "/").split("/")
        # one name has one spelling: macOS writes an accent as a letter of its own
        tile = unicodedata.normalize("NFC", "/".join([*folders[-1:], name]))
        hidden = any(part.startswith((".", "__MACOSX")) for part in [*folders, name])
        if hidden or not is_tile(tile):
            skipped.append(file)
        else:
            found.setdefault("/".join(folders), []).append((tile, file))
    above = {str(parent) for folder in found if folder for parent in PurePosixPath(folder).parents}
    for folder in [folder for folder in found if (folder or ".") in above]:  # an image beside class folders is no tile
        skipped += [file for _, file in found.pop(folder)]
    tiles = [tile for folder in found.values() for tile in folder]
    _refuse_strange(found, path)
    _refuse_twins([tile for tile, _ in tiles], path)
    if skipped:
        shown = ", ".join(map(repr, sorted(skipped)[:3])) + (", ..." if len(skipped) > 3 else "")
        print(f"landuse: {len(skipped)} files that are not tiles were left out ({shown})", file=sys.stderr)
    return dict(tiles)


def _refuse_strange(found: dict[str, list[tuple[str, str]]], path: Path) -> None:
    if not found or "" in found:
        raise NoTilesError(f"no tiles as <Class>/<image> in {path}: data.url must lead to a folder of class folders")
    places = sorted({folder.rpartition("/")[0] or "." for folder in found})
    if len(places) > 1:
        shown = ", ".join(places[:3])
        raise UserError(f"class folders in {len(places)} places of {path} ({shown}): let data.url lead to one of them")
    for tile in (tile for tiles in found.values() for tile, _ in tiles):
        if not tile.isprintable():
            raise UserError(f"file name {tile!r} in {path}: rename it in printable letters")


def _refuse_twins(tiles: list[str], path: Path) -> None:
    """Refuse names of which one overwrites the other where the data is unpacked, on every system or on some."""
    for names in ({tile.split("/")[0] for tile in tiles}, tiles):
        for one, other in pairwise(sorted(names, key=lambda name: (name.casefold(), name))):
            if one == other:
                raise UserError(f"{path} has {one!r} twice: remove or rename one of them")
            if one.casefold() == other.casefold():
                both = f"{one!r} and {other!r}"
                raise UserError(f"{both} in {path} differ in upper and lower case only: join or rename them")
