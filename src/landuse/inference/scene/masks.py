"""What is masked: clouds and shadows that came with a scene, other rasters, and polygons."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from numpy.lib.stride_tricks import sliding_window_view
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.features import rasterize
from rasterio.warp import transform

from landuse.core.errors import UserError
from landuse.inference.scene import rasters
from landuse.inference.scene.grid import Grid, Window, bounds_of

Bools = npt.NDArray[np.bool_]

# values of the scene classification layer of L2A (ESA): no data, saturated; shadow, clouds, cirrus; snow
_NOTHING, _CLOUDS, SNOW = (0, 1), (3, 8, 9, 10), 11


@dataclass(frozen=True)
class RasterMask:
    """Bands of a raster that mask where they have a value of ``alone`` or, widened by dilate pixels, of ``grown``.

    grown: None: all but 0.
    """

    path: str
    indexes: tuple[int, ...]
    alone: tuple[int, ...] = ()
    grown: tuple[int, ...] | None = None
    dilate: int = 0

    def masked(self, grid: Grid, window: Window) -> Bools:
        """(height, width) of a window of the grid."""
        row, column, height, width = window
        wide = self.dilate
        around = (row - wide, column - wide, height + 2 * wide, width + 2 * wide)
        found, _ = rasters.read(self.path, self.indexes, grid, around, Resampling.nearest, 0)
        grown = found != 0 if self.grown is None else np.isin(found, self.grown)
        inside = found[:, wide : wide + height, wide : wide + width]
        masked: Bools = _dilated(np.asarray(grown.any(axis=0)), wide) | np.isin(inside, self.alone).any(axis=0)
        return masked


@dataclass(frozen=True)
class PolygonMask:
    """Polygons, as WKB in the scene's CRS, that mask what is inside them, or outside."""

    polygons: tuple[bytes, ...]
    inside: bool

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """left, bottom, right, top."""
        left, bottom, right, top = shapely.total_bounds(_tree(self.polygons).geometries)
        return left, bottom, right, top

    def masked(self, grid: Grid, window: Window) -> Bools:
        """(height, width) of a window of the grid; a pixel is inside where its centre is."""
        _, _, height, width = window
        part = grid.part(window)
        tree = _tree(self.polygons)
        near = tree.geometries[tree.query(shapely.box(*part.bounds))]
        burnt = np.zeros((height, width), dtype=np.uint8)
        if len(near):
            rasterize(near, out=burnt, transform=part.transform)
        masked: Bools = (burnt == 1) == self.inside
        return masked


Mask = RasterMask | PolygonMask


def classification(path: str, index: int) -> RasterMask:
    """The scene classification layer of L2A; snow is masked too, see ``SNOW``."""
    return RasterMask(path, (index,), (*_NOTHING, SNOW), _CLOUDS)


def of_file(path: str, grid: Grid) -> Mask:
    """A mask that a person names: a raster masks where it is not 0, a vector inside its polygons.

    Raises:
        UserError: it is neither, or lies elsewhere.
    """
    if not rasters.is_raster(path):
        return polygons(path, grid, inside=True)
    raster = rasters.opened(path)
    if raster.crs is None:
        raise UserError(f"the mask {path} has no CRS: give it one (gdal_edit.py -a_srs EPSG:32632 {path})")
    _check_overlap(path, bounds_of(raster), raster.crs, grid)
    return RasterMask(path, tuple(raster.indexes))


def polygons(path: str, grid: Grid, *, inside: bool) -> PolygonMask:
    """Read the polygons of a vector file (all that GDAL reads); see ``PolygonMask``.

    Raises:
        UserError: it cannot be read, has no polygons or no CRS, or lies elsewhere.
    """
    from pyogrio import raw
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        meta, _, found, _ = raw.read(path, columns=[], force_2d=True)
        shapes = shapely.from_wkb(found)
        known = CRS.from_user_input(meta["crs"]) if meta["crs"] else None
    except (DataSourceError, DataLayerError, CRSError, shapely.errors.GEOSException) as error:
        raise UserError(
            f"{path} is neither a raster nor polygons that can be read ({error}): check the path"
        ) from error
    shapes = shapes[np.isin(shapely.get_type_id(shapes), (3, 6))] if shapes is not None else []
    if len(shapes) == 0:
        raise UserError(f"{path} has no polygons: draw some, or leave it out")
    if known is None:
        raise UserError(f"{path} has no CRS: save it with one, like GeoPackage or GeoJSON do")

    def project(places: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.column_stack(transform(known, grid.crs, places[:, 0], places[:, 1]))

    mask = PolygonMask(tuple(shapely.to_wkb(shapely.transform(shapes, project))), inside)
    _check_overlap(path, mask.bounds, grid.crs, grid)
    return mask


def _check_overlap(path: str, bounds: Sequence[float], crs: CRS, grid: Grid) -> None:
    if not grid.touches(bounds, crs):
        raise UserError(f"{path} does not touch the scene: give one of the same place")


@lru_cache(maxsize=8)
def _tree(polygons: tuple[bytes, ...]) -> shapely.STRtree:
    return shapely.STRtree(shapely.from_wkb(np.array(polygons, dtype=object)))


def _dilated(masked: Bools, by: int) -> Bools:
    """Cut ``by`` pixels from each side; of what is left, a pixel is masked where any is that near, along both axes."""
    for axis in (0, 1) if by else ():
        masked = np.asarray(sliding_window_view(masked, 2 * by + 1, axis=axis).any(axis=-1))
    return masked
