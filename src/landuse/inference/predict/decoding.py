"""From the bytes of a file to the pixels that a model takes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse import pictures, sensors
from landuse.inference.bands import EUROSAT, named, spelled
from landuse.pictures import BadTile
from landuse.spec.model import ModelSpec

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes, of BigTIFF too
_NAME_IN_MEMORY = re.compile(r"'?(/vsimem/)?[0-9a-f]{8}-[-0-9a-f/]+(\.tif)?'?:? ?")  # GDAL names it in its messages


@dataclass(frozen=True)
class Tile:
    """One tile.

    pixels: (tile_size, tile_size, C) in the model's dtype. place: (crs as WKT, x, y) of the centre, where the file
    tells it. note: a decision about its bands that a person should know.
    """

    pixels: npt.NDArray[Any]
    place: tuple[str, float, float] | None = None
    note: str | None = None


def decode(content: bytes, spec: ModelSpec) -> Tile:
    """Decode a picture (PNG, JPEG, ...: as the training tiles were) or a GeoTIFF.

    A GeoTIFF of digital numbers gives an RGB model of EuroSAT its 8 bits. A picture of another size is scaled and cut
    only if the model's training tiles were (data.source=folder).

    Raises:
        BadTile: it is broken, or not what the model takes; says both.
    """
    if content.startswith(_TIFF):
        return _from_tiff(content, spec)
    return Tile(_from_picture(content, spec))


def _from_picture(content: bytes, spec: ModelSpec) -> npt.NDArray[np.uint8]:
    image = pictures.decode(content)
    if spec.dtype != "uint8":
        raise BadTile(f"an 8-bit picture: this model takes a GeoTIFF of {spec.units}, bands {', '.join(spec.bands)}")
    if spec.source == "folder":
        return pictures.square(image, spec.tile_size)
    _check_size(image.size, spec)
    return np.asarray(image)


def _from_tiff(content: bytes, spec: ModelSpec) -> Tile:
    from rasterio.errors import RasterioError  # GDAL takes a third of a second to load
    from rasterio.io import MemoryFile

    try:
        with MemoryFile(content) as file, file.open(driver="GTiff") as image:
            left, bottom, right, top = image.bounds
            place = (image.crs.to_wkt(), (left + right) / 2, (bottom + top) / 2) if image.crs else None
            if image.dtypes[0] == "uint8" and spec.dtype == "uint8" and _is_picture(image):
                if image.count in (1, 3) and not image.dataset_mask().all():
                    raise BadTile("pixels without data are not land: leave the tile out")
                pixels = _from_picture(content, spec)
                if image.count >= 3:
                    pixels = pixels[..., _places(named(image, EUROSAT)[:3], spec.bands)[0]]
                return Tile(pixels, place)
            _check_size((image.width, image.height), spec)
            pixels, note = _numbers(image, spec)
            return Tile(pixels, place, note)
    except (RasterioError, ValueError) as error:  # ValueError: a broken definition or text of the file
        reason = _NAME_IN_MEMORY.sub("", str(error.__cause__ or error)).lstrip(", ")
        raise BadTile(f"broken GeoTIFF: {reason}") from None


def _is_picture(image: Any) -> bool:
    return image.count in (1, 3) or image.colorinterp[-1].name == "alpha"


def _numbers(image: Any, spec: ModelSpec) -> tuple[npt.NDArray[Any], str | None]:
    """Read the model's bands of digital numbers: (H, W, C) in its dtype, and how they were told apart, if not by name.

    image: a rasterio data set.
    """
    as_rgb = spec.units == sensors.RGB_UNITS
    kind = image.dtypes[0]
    if kind != "uint16" or not (as_rgb or spec.dtype == "uint16"):
        asked = f"{spec.units}, {spec.dtype}" + (f", or uint16 {sensors.UNITS}" if as_rgb else "")
        raise BadTile(f"{image.count} bands of {kind}: this model takes {', '.join(spec.bands)} ({asked})")
    places, note = _places(named(image, EUROSAT), spec.bands)
    if not image.dataset_mask().all():
        raise BadTile("pixels without data are not land: leave the tile out")
    pixels = np.ascontiguousarray(image.read([place + 1 for place in places]).transpose(1, 2, 0))
    return (sensors.to_rgb(pixels) if as_rgb else pixels), note


def _places(found: Sequence[tuple[str | None, str]], wanted: Sequence[str]) -> tuple[list[int], str | None]:
    """Where the wanted bands lie among those found (see ``named``); and a note, if only their place tells it."""
    names = [name for name, _ in found]
    if not any(names):
        raise BadTile(f"{len(names)} bands without names: this model takes {', '.join(wanted)}; describe them")
    for band in wanted:
        if names.count(spelled(band)) != 1:
            fault = "is there twice" if spelled(band) in names else "is missing"
            raise BadTile(f"band {band} {fault}: the file has {', '.join(name or '?' for name in names)}")
    places = [names.index(spelled(band)) for band in wanted]
    by_place = found[places[0]][1] == EUROSAT.how
    return places, f"{', '.join(wanted)} are named {EUROSAT.how}" if by_place else None


def _check_size(size: tuple[int, int], spec: ModelSpec) -> None:
    if size != (spec.tile_size, spec.tile_size):
        raise BadTile(
            f"{size[0]} x {size[1]} pixels: this model takes tiles of {spec.tile_size} x {spec.tile_size}; "
            "cut larger ones, or use 'landuse map'"
        )
