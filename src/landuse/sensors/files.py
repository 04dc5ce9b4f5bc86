"""Rasters of tiles: where their bands lie, and their values as a tile store has them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.sensors.names import BANDS, band
from landuse.sensors.tables import SENTINEL2, Sensor, from_reflectance

_BRIGHTEST = 3.0  # reflectance: clouds and glint come to 1.5


class Unfit(Exception):
    """This file cannot be used; the message says why."""


def places(
    descriptions: Sequence[str | None],
    wanted: Sequence[str],
    sensor: Sensor = SENTINEL2,
    whose: tuple[str, str] = ("the model", "this model takes"),
) -> tuple[list[int], str | None]:
    """Where the wanted bands lie in a file, counted from 1: by their descriptions, else by their count.

    descriptions: of the file's bands. whose: order it is that bands are wanted in, and that they are, in words.

    Returns:
        The places, and a note where bands have no descriptions.

    Raises:
        Unfit: a band is missing or there twice, or nothing tells which is which; says both sides.
    """
    names = [band(text or "", sensor) for text in descriptions]
    if any(names):
        absent = [name for name in wanted if names.count(name) != 1]
        if absent:
            fault = "is there twice" if absent[0] in names else "is missing"
            raise Unfit(f"band {absent[0]} {fault}: the file describes {', '.join(name or '?' for name in names)}")
        return [names.index(name) + 1 for name in wanted], None
    for order, owner in ((list(wanted), whose[0]), (list(BANDS), "EuroSAT's files")):
        if len(order) == len(names) and set(wanted) <= set(order):
            note = f"bands without descriptions are taken in the order of {owner}: {', '.join(order)}"
            return [order.index(name) + 1 for name in wanted], note
    count = f"{len(names)} band{'s' if len(names) > 1 else ''} without descriptions"
    raise Unfit(f"{count}: {whose[1]} {', '.join(wanted)}; describe them")


def centre(width: int, height: int, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns, each from and to, of the middle of a file; raises Unfit where it is smaller."""
    if min(width, height) < size:
        raise Unfit(f"{width} x {height} pixels: smaller than a tile, {size} x {size}")
    top, left = (height - size) // 2, (width - size) // 2
    return (top, top + size), (left, left + size)


def read(image: Any, places: list[int], window: tuple[tuple[int, int], tuple[int, int]]) -> npt.NDArray[Any]:
    """(bands, H, W) values of a window of a rasterio data set; raises Unfit where a pixel has no data."""
    # GDAL takes the last of four 8-bit bands for transparency: here it was asked for, so it is none
    asked = image.dtypes[0] == "uint8" and any(image.colorinterp[place - 1].name == "alpha" for place in places)
    if not asked and not image.dataset_mask(window=window).all():
        raise Unfit("pixels without data are not land: leave the tile out")
    values: npt.NDArray[Any] = image.read(places, window=window)
    return values


def stored(values: npt.NDArray[Any], bands: Sequence[str], sensor: Sensor) -> npt.NDArray[Any]:
    """(bands, H, W) values of a file in the units of a tile store: 8-bit ones stay, others are reflectance x 10000.

    uint16 is taken for the digital numbers of the sensor's products, floating point for reflectance.

    Raises:
        Unfit: a band is empty, or the values are neither.
    """
    for name, layer in zip(bands, values, strict=True):
        if not layer.any():
            raise Unfit(f"band {name} is 0 everywhere: no data")
    if values.dtype.kind != "f":
        return sensor.digital_numbers(values) if values.dtype == np.uint16 else values
    if not np.isfinite(values).all():
        raise Unfit("values that are no numbers (NaN): no data is not land")
    if values.max() > _BRIGHTEST:
        told = f"floating-point values up to {values.max():,.5g} are no reflectance (0 to 1)"
        raise Unfit(f"{told}: divide them, or save digital numbers as uint16")
    return from_reflectance(values)
