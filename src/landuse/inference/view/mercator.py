"""Where cells of any projection lie on a web map: Web Mercator, its world a square of side 1, north up.

The page draws cells itself, sharp at every zoom, and finds the one that was clicked. It knows no projections: two
lattices of points tell it where a spot of the map lies on the grid and the reverse, bilinear in between.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import rasterio.warp
from affine import Affine
from PIL import Image
from rasterio.crs import CRS

from landuse.core.errors import UserError

_NODES = 33  # a side of a lattice: off by less than 0.05 of a cell (tests/inference/test_view_mercator.py)
_HIGHEST = 85.05  # degrees: the edge of the square
_WORLD = 2 * math.pi * 6378137  # metres of its side
_LONGEST = 1600  # pixels of the picture below the cells

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Placed:
    """A grid on the web map.

    box: left, top, right, bottom. to_grid: (33, 33, 2), at evenly spaced spots of the box, row by row, the place on
    the grid, x and y as shares of its width and height. to_box: the reverse.
    """

    box: tuple[float, float, float, float]
    to_grid: Floats
    to_box: Floats


def place(transform: Affine, crs: CRS, shape: tuple[int, int]) -> Placed:
    """Place a grid of (rows, columns).

    Raises:
        UserError: it reaches a pole, or its CRS does not say where on Earth it is.
    """
    x, y = np.meshgrid(*[np.linspace(0, 1, _NODES)] * 2)
    whole = transform @ Affine.scale(shape[1], shape[0])
    if not (crs.is_projected or crs.is_geographic):
        raise UserError("the map's CRS is of no place on Earth: a page cannot show it")
    spots = _to_world(_apply(whole, x, y), crs)
    low, high = spots.min(axis=(0, 1)), spots.max(axis=(0, 1))
    on_grid = _apply(~whole, *_from_world(low + np.stack([x, y], axis=-1) * (high - low), crs))
    left, top, right, bottom = map(float, (*low, *high))
    return Placed((left, top, right, bottom), np.stack(on_grid, axis=-1), (spots - low) / (high - low))


def picture(image: Image.Image, transform: Affine, crs: CRS, shape: tuple[int, int], placed: Placed) -> Image.Image:
    """Warp a picture (RGBA) of a grid's extent to its box, bilinear."""
    left, top, right, bottom = (side * _WORLD for side in placed.box)
    side = (right - left, bottom - top)
    scale = min(_LONGEST, max(image.size)) / max(side)
    width, height = (max(1, round(length * scale)) for length in side)
    target = np.zeros((4, height, width), dtype=np.uint8)
    rasterio.warp.reproject(
        np.moveaxis(np.asarray(image), -1, 0),
        target,
        src_transform=transform @ Affine.scale(shape[1] / image.width, shape[0] / image.height),
        src_crs=crs,
        src_alpha=4,
        dst_transform=Affine(side[0] / width, 0, left - _WORLD / 2, 0, -side[1] / height, _WORLD / 2 - top),
        dst_crs=CRS.from_epsg(3857),
        dst_alpha=4,
        resampling=rasterio.warp.Resampling.bilinear,
    )
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(target, 0, -1)))


def _apply(transform: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    t = transform
    return t.a * x + t.b * y + t.c, t.d * x + t.e * y + t.f


def _to_world(at: tuple[Floats, Floats], crs: CRS) -> Floats:
    """Coordinates (rows, columns) -> (rows, columns, 2) places; across the date line they go on past the edge at 1."""
    found = rasterio.warp.transform(crs, CRS.from_epsg(4326), *(part.ravel() for part in at))
    longitude, latitude = (np.reshape(part, at[0].shape) for part in found)
    if not np.isfinite(latitude).all() or np.abs(latitude).max() > _HIGHEST:
        raise UserError(f"the map reaches beyond {_HIGHEST} degrees: a page in Web Mercator cannot show it")
    longitude = np.unwrap(np.unwrap(longitude, period=360, axis=0), period=360, axis=1)
    return np.stack([longitude / 360 + 0.5, 0.5 - np.arcsinh(np.tan(np.radians(latitude))) / (2 * np.pi)], axis=-1)


def _from_world(places: Floats, crs: CRS) -> tuple[Floats, Floats]:
    longitude = 360 * places[..., 0] - 180
    latitude = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * places[..., 1]))))
    found = rasterio.warp.transform(CRS.from_epsg(4326), crs, longitude.ravel(), latitude.ravel())
    x, y = (np.reshape(part, longitude.shape) for part in found)
    return x, y
