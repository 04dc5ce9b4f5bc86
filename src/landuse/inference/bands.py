"""Which band of a raster is which, by what the file says: one rule for tiles and scenes."""

import re
from dataclasses import dataclass
from typing import Any

from landuse import sensors

_SCL = re.compile(r"(?<![A-Za-z0-9])SCL(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Order:
    """What thirteen bands without any name are by their place; how: in words; bands: None where it tells nothing."""

    how: str
    bands: tuple[str | None, ...]


_PLACE = "by place: 13 bands without names, in"
# a tile of all bands is taken for one of those that models learn from
EUROSAT = Order(f"{_PLACE} the order of EuroSAT's files", sensors.BANDS)
# a scene may have been stacked by anyone: only what is the same in either order
EITHER = Order(
    f"{_PLACE} both usual orders",
    tuple(a if a == b else None for a, b in zip(sensors.BANDS, sensors.BANDS_BY_WAVELENGTH, strict=True)),
)


def named(raster: Any, order: Order) -> list[tuple[str | None, str]]:
    """The name (see ``spelled``; None: nameless) of each band of an open raster, and how it got it.

    By their descriptions; of a raster without any by its colours, red, green and blue; else by their place, if they are
    thirteen. Raises RasterioError: the file is damaged.
    """
    if any(raster.descriptions):
        return [(spelled(text), f"by its description {text!r}") if text else (None, "") for text in raster.descriptions]
    from rasterio._err import CPLE_BaseError  # GDAL takes a third of a second to load
    from rasterio.errors import RasterioIOError

    try:
        colours = [colour.name for colour in raster.colorinterp]
    except CPLE_BaseError as error:  # of all that rasterio reads, here it lets GDAL's own error through
        raise RasterioIOError(str(error)) from error
    if {"red", "green", "blue"} <= set(colours):
        return [(sensors.band(colour), "by its colour") for colour in colours]
    places = order.bands if raster.count == len(order.bands) else (None,) * raster.count
    return [(name, order.how if name else "") for name in places]


def spelled(name: str) -> str:
    """A band's name as ``sensors.BANDS`` has it, ``scl`` for a scene classification, any other in small letters."""
    return "scl" if _SCL.search(name) else sensors.band(name) or name.strip().lower()
