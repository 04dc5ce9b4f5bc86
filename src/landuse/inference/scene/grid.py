"""The pixels of a scene: where they lie, and whether those of a file are the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, isfinite, radians
from typing import Any

import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.transform import array_bounds, from_origin
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform, transform_bounds
from rasterio.windows import from_bounds

from landuse.core.errors import UserError

Window = tuple[int, int, int, int]  # row, column, height, width; may go past the border

_SAME = 0.05  # pixels that corners may lie apart to be the same
_NEAR = 0.05  # share by which pixels may differ from the model's: EuroSAT's own have 9.99 to 10.02 m
_DEGREE = 111_195  # metres of latitude, on the sphere


@dataclass(frozen=True)
class Grid:
    """height x width pixels; transform: (column, row) to metres of a projected crs, north up."""

    height: int
    width: int
    transform: Affine
    crs: CRS

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """left, bottom, right, top."""
        left, bottom, right, top = array_bounds(self.height, self.width, self.transform)
        return left, bottom, right, top

    def touches(self, bounds: Sequence[float], crs: CRS) -> bool:
        """Whether bounds (left, bottom, right, top; in crs) have a place in common with the grid."""
        there = shapely.box(*transform_bounds(crs, self.crs, *bounds))
        return bool(there.intersects(shapely.box(*self.bounds)))

    def times(self, raster: Any) -> tuple[float, float]:
        """How many of the grid's pixels a pixel of an open raster is wide and high."""
        t = raster.transform
        right, down = (hypot(t.a, t.d), hypot(t.b, t.e)) if raster.crs == self.crs else ground_metres(raster)
        return right / self.transform.a, down / -self.transform.e

    def part(self, window: Window) -> "Grid":
        row, column, height, width = window
        return Grid(height, width, self.transform @ Affine.translation(column, row), self.crs)

    def around(self, bounds: Sequence[float], margin: int) -> "Grid":
        """The part inside bounds (left, bottom, right, top) and ``margin`` pixels around them."""
        inside = from_bounds(*bounds, self.transform)
        top, left = (max(0, int(start) - margin) for start in (inside.row_off, inside.col_off))
        bottom = min(self.height, int(inside.row_off + inside.height) + 1 + margin)
        right = min(self.width, int(inside.col_off + inside.width) + 1 + margin)
        return self.part((top, left, bottom - top, right - left))

    def shift(self, raster: Any) -> tuple[int, int] | None:
        """(rows, columns) to add to the grid's to get those of an open raster; None where their pixels differ."""
        if raster.crs != self.crs:
            return None
        to_raster = ~raster.transform @ self.transform
        column, row = to_raster @ (0, 0)
        right, bottom = to_raster @ (self.width, self.height)
        apart = (column - round(column), row - round(row), right - column - self.width, bottom - row - self.height)
        return None if max(map(abs, apart)) > _SAME else (round(row), round(column))


def grid_of(raster: Any, metres: float | None, resample: bool, log: list[str]) -> Grid:
    """The grid on which a raster is read for a model.

    metres: a pixel of the model; None: whatever the raster has. resample: the raster's pixels may be others.

    Raises:
        UserError: it has no place, or its pixels are not the model's and resample is False.
    """
    if raster.crs is None or raster.transform.is_identity:
        raise UserError(
            f"{raster.name} does not say where it lies (CRS and transform): give it a place, like "
            f"gdal_translate -a_srs EPSG:32632 -a_ullr LEFT TOP RIGHT BOTTOM {raster.name} placed.tif"
        )
    odd = _oddity(raster, metres)
    if odd is None:
        return Grid(raster.height, raster.width, raster.transform, raster.crs)
    wanted = f"{metres:g} m" if metres else "square pixels"
    if not resample:
        raise UserError(f"{raster.name} {odd}, the model needs {wanted}, north up, in metres: --resample makes it so")
    if metres is None:
        raise UserError(f"{raster.name} {odd}, and the model does not know its metres a pixel: resample it yourself")
    with WarpedVRT(raster, crs=_metric(raster)) as warped:
        left, bottom, right, top = warped.bounds
    log.append(f"resampled (--resample): {raster.name} {odd}; read at {wanted} in {_metric(raster).to_string()}")
    height, width = round((top - bottom) / metres), round((right - left) / metres)
    return Grid(height, width, from_origin(left, top, metres, metres), _metric(raster))


def bounds_of(raster: Any) -> tuple[float, float, float, float]:
    """left, bottom, right, top of an open raster, however it is turned."""
    ends = ((0, 0), (raster.width, 0), (0, raster.height), (raster.width, raster.height))
    x, y = zip(*(raster.transform @ end for end in ends), strict=True)
    return min(x), min(y), max(x), max(y)


def ground_metres(raster: Any) -> tuple[float, float]:
    """Metres on the ground of a pixel in the raster's upper left corner, right and down; Web Mercator's are others."""
    places = [raster.transform @ (column, row) for column, row in ((0, 0), (1, 0), (0, 1))]
    longitude, latitude = transform(raster.crs, "EPSG:4326", *zip(*places, strict=True))
    right, down = (
        _DEGREE * hypot((longitude[i] - longitude[0]) * cos(radians(latitude[0])), latitude[i] - latitude[0])
        for i in (1, 2)
    )
    return right, down


def _oddity(raster: Any, metres: float | None) -> str | None:
    """What of a raster's pixels is not the model's, in words."""
    t = raster.transform
    if raster.crs.is_geographic:
        return "has pixels in degrees"
    if abs(t.b) > 1e-6 * abs(t.a) or abs(t.d) > 1e-6 * abs(t.e):
        return "is rotated"
    if t.e > 0 or t.a < 0:
        return "has its south up"
    if raster.crs.linear_units_factor[1] != 1:
        return f"has pixels in units of {raster.crs.linear_units}"
    right, down = ground_metres(raster)
    if metres and not _close(right, down, metres):
        return f"has pixels of {right:.3g} x {down:.3g} m on the ground"
    return None


def _close(right: float, down: float, metres: float) -> bool:
    return isfinite(right) and max(abs(right / metres - 1), abs(down / metres - 1)) <= _NEAR


def _metric(raster: Any) -> CRS:
    """The raster's CRS where its metres are those of the ground, else the UTM zone of its centre."""
    crs: CRS = raster.crs
    t = raster.transform
    if crs.is_projected and crs.linear_units_factor[1] == 1 and _close(*ground_metres(raster), hypot(t.a, t.d)):
        return crs
    middle = t @ (raster.width / 2, raster.height / 2)
    (longitude,), (latitude,) = transform(crs, "EPSG:4326", [middle[0]], [middle[1]])
    return CRS.from_epsg((32600 if latitude >= 0 else 32700) + int((longitude + 180) // 6) % 60 + 1)
