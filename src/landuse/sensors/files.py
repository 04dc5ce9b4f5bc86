"""Rasters of tiles and scenes: which band is which by what a file says, and values as a tile store has them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.sensors.names import BANDS, BANDS_BY_WAVELENGTH, band
from landuse.sensors.tables import SENTINEL2, Sensor, from_reflectance

_SCL = re.compile(r"(?<![A-Za-z0-9])SCL(?![A-Za-z0-9])")
_BRIGHTEST = 3.0  # reflectance: clouds and glint come to 1.5


class Unfit(Exception):
    """This file cannot be used; the message says why."""


@dataclass(frozen=True)
class Order:
    """What so many bands without any name are by their place; how: in words; bands: None where it tells nothing."""

    how: str
    bands: tuple[str | None, ...]


_PLACE = "by place: 13 bands without names, in"
# a tile of all bands is taken for one of those that models learn from
EUROSAT = Order(f"{_PLACE} the order of EuroSAT's files", BANDS)
# a scene may have been stacked by anyone: only what is the same in either order
EITHER = Order(
    f"{_PLACE} both usual orders",
    tuple(a if a == b else None for a, b in zip(BANDS, BANDS_BY_WAVELENGTH, strict=True)),
)


def in_order_of(whose: str, bands: Sequence[str]) -> Order:
    """The order that someone has given bands in."""
    return Order(f"by place: {len(bands)} bands without names, in the order of {whose}", tuple(bands))


def named(raster: Any, order: Order, sensor: Sensor = SENTINEL2) -> list[tuple[str | None, str]]:
    """The name (see ``spelled``; None: nameless) of each band of an open raster, and how it got it.

    By their descriptions; of a raster without any by its colours, red, green and blue; else by their place, if they are
    as many as in the order. Raises RasterioError: the file is damaged.
    """
    if any(raster.descriptions):
        return [
            (spelled(text, sensor), f"by its description {text!r}") if text else (None, "")
            for text in raster.descriptions
        ]
    from rasterio._err import CPLE_BaseError  # GDAL takes a third of a second to load
    from rasterio.errors import RasterioIOError

    try:
        colours = [colour.name for colour in raster.colorinterp]
    except CPLE_BaseError as error:  # of all that rasterio reads, here it lets GDAL's own error through
        raise RasterioIOError(str(error)) from error
    if {"red", "green", "blue"} <= set(colours):
        return [(band(colour, sensor), "by its colour") for colour in colours]
    places = order.bands if raster.count == len(order.bands) else (None,) * raster.count
    return [(name, order.how if name else "") for name in places]


def spelled(name: str, sensor: Sensor = SENTINEL2) -> str:
    """A band's name as the sensor's table has it, ``scl`` for a scene classification, any other in small letters."""
    return "scl" if _SCL.search(name) else band(name, sensor) or name.strip().lower()


def places(
    found: Sequence[tuple[str | None, str]],
    wanted: Sequence[str],
    sensor: Sensor = SENTINEL2,
    takes: str = "this model takes",
) -> tuple[list[int], str | None]:
    """Where the wanted bands lie among those found (see ``named``), from 0; and a note, if only their place tells it.

    takes: who wants them, in words.

    Raises:
        Unfit: a band is missing or there twice, or nothing tells which is which; says both sides.
    """
    names, asked = [name for name, _ in found], f"{takes} {', '.join(wanted)}"
    if not any(names):
        how = "describe them (Python: rasterio.open(FILE, 'r+').descriptions = ['B04', ...])"
        raise Unfit(f"{len(names)} bands without names: {asked}; {how}")
    for name in wanted:
        if names.count(spelled(name, sensor)) != 1:
            fault = "is there twice" if spelled(name, sensor) in names else "is missing"
            raise Unfit(f"band {name} {fault}: the file has {', '.join(own or '?' for own in names)}; {asked}")
    at = [names.index(spelled(name, sensor)) for name in wanted]
    how = found[at[0]][1]
    return at, f"{', '.join(wanted)} are named {how}" if how.startswith("by place") else None


def centre(width: int, height: int, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns, each from and to, of the middle of a file; raises Unfit where it is smaller."""
    if min(width, height) < size:
        raise Unfit(f"{width} x {height} pixels: smaller than a tile, {size} x {size}")
    top, left = (height - size) // 2, (width - size) // 2
    return (top, top + size), (left, left + size)


def read(image: Any, places: list[int], window: tuple[tuple[int, int], tuple[int, int]], size: int) -> npt.NDArray[Any]:
    """(bands, size, size) values of a square window of a rasterio data set; raises Unfit where a pixel has no data.

    A window of another size is resampled: to means where it has more pixels, else bilinearly, which makes no values
    that are not between those of the file.
    """
    from rasterio.enums import Resampling

    # GDAL takes the last of four 8-bit bands for transparency: here it was asked for, so it is none
    asked = image.dtypes[0] == "uint8" and any(image.colorinterp[place].name == "alpha" for place in places)
    if not asked and not image.dataset_mask(window=window).all():
        raise Unfit("pixels without data are not land: leave the tile out")
    how = Resampling.average if window[0][1] - window[0][0] > size else Resampling.bilinear
    form = (len(places), size, size)
    values: npt.NDArray[Any] = image.read(
        [place + 1 for place in places], window=window, out_shape=form, resampling=how
    )
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
