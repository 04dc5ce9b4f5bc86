"""From the bytes of a file to the pixels that a model takes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse import pictures, sensors
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
                return Tile(_from_picture(content, spec), place)
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
    indexes, note = _indexes(image.descriptions, spec.bands)
    if not image.dataset_mask().all():
        raise BadTile("pixels without data are not land: leave the tile out")
    pixels = np.ascontiguousarray(image.read(indexes).transpose(1, 2, 0))
    return (sensors.to_rgb(pixels) if as_rgb else pixels), note


def _indexes(descriptions: Sequence[str | None], wanted: Sequence[str]) -> tuple[list[int], str | None]:
    """Where the wanted bands lie, counted from 1: by their descriptions, else by their count, with a note of that."""
    names = [sensors.band(text or "") for text in descriptions]
    if any(names):
        absent = [band for band in wanted if names.count(band) != 1]
        if absent:
            fault = "is there twice" if absent[0] in names else "is missing"
            raise BadTile(f"band {absent[0]} {fault}: the file describes {', '.join(name or '?' for name in names)}")
        return [names.index(band) + 1 for band in wanted], None
    for order, whose in ((list(wanted), "the model"), (list(sensors.BANDS), "EuroSAT's files")):
        if len(order) == len(names) and set(wanted) <= set(order):
            note = f"bands without descriptions are taken in the order of {whose}: {', '.join(order)}"
            return [order.index(band) + 1 for band in wanted], note
    raise BadTile(f"{len(names)} bands without descriptions: this model takes {', '.join(wanted)}; describe them")


def _check_size(size: tuple[int, int], spec: ModelSpec) -> None:
    if size != (spec.tile_size, spec.tile_size):
        raise BadTile(
            f"{size[0]} x {size[1]} pixels: this model takes tiles of {spec.tile_size} x {spec.tile_size}; "
            "cut larger ones, or use 'landuse map'"
        )
