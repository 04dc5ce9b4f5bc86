"""Reading rasters through GDAL: each is opened once in a process, and its cache is capped."""

import os
import threading
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from landuse.core.errors import UserError
from landuse.inference.scene.grid import Grid

_LOCK = threading.RLock()  # a dataset of GDAL bears one thread at a time
_SETTINGS = {
    "GDAL_CACHEMAX": 256 << 20,  # bytes a process; GDAL's own is 5 % of the machine's memory
    "GDAL_HTTP_MAX_RETRY": 5,
    "GDAL_HTTP_RETRY_DELAY": 1,  # seconds, doubled each time
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": True,
}


def environment(path: str) -> rasterio.Env:
    """GDAL's settings; beside a file on a server it looks for no others: each look is a request."""
    remote = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if "/vsi" in path and "/vsizip" not in path else {}
    return rasterio.Env(**_SETTINGS, **remote)


def opened(path: str) -> Any:
    """The raster at a path as GDAL names it.

    Raises:
        UserError: there is none, or it is damaged.
    """
    return _opened(path, os.getpid())


@lru_cache(maxsize=128)
def _opened(path: str, _: int) -> Any:
    try:
        with environment(path):
            return rasterio.open(path)
    except RasterioError as error:
        raise UserError(
            f"{path} cannot be read as a raster ({error}): check the path, or copy the file again"
        ) from error


@lru_cache(maxsize=128)
def _on_grid(path: str, grid: Grid, method: Resampling, nodata: float | None, _: int) -> tuple[Any, tuple[int, int]]:
    raster = opened(path)
    shift = grid.shift(raster)
    if shift is not None:
        return raster, shift
    # all of the grid, so that a pixel is the same in whichever window it is read
    form = {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
    masked = nodata is None and raster.mask_flag_enums[0] != [rasterio.enums.MaskFlags.all_valid]
    return WarpedVRT(
        raster, **form, resampling=method, src_nodata=nodata, nodata=nodata, tolerance=0, add_alpha=masked
    ), (0, 0)


def read(
    path: str, indexes: tuple[int, ...], grid: Grid, window: tuple[int, int, int, int], method: Resampling,
    nodata: float | None,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:  # fmt: skip
    """Read bands of a raster on a grid.

    window: row, column, height, width on the grid; it may go past the border, and past the raster. method: of
    resampling, where the raster's pixels are not the grid's. nodata: the value that is no data; None: the raster's
    mask says.

    Returns:
        (bands, height, width) values, 0 where not valid, and validity of the same shape.
    """
    with _LOCK, environment(path):
        raster, (down, right) = _on_grid(path, grid, method, nodata, os.getpid())
        row, column, height, width = window
        values = np.zeros((len(indexes), height, width), dtype=raster.dtypes[indexes[0] - 1])
        valid = np.zeros(values.shape, dtype=bool)
        top, left = max(0, row + down), max(0, column + right)
        bottom = min(raster.height, row + down + height)
        end = min(raster.width, column + right + width)
        if top >= bottom or left >= end:
            return values, valid
        inside = Window(left, top, end - left, bottom - top)
        try:
            found = raster.read(indexes, window=inside)
            fine = raster.read_masks(indexes, window=inside) > 0 if nodata is None else found != nodata
        except RasterioError as error:
            raise UserError(f"{path} is damaged near row {row}, column {column} ({error}): copy it again") from error
    if found.dtype.kind == "f":
        fine &= ~np.isnan(found)
    place = np.s_[:, top - down - row : bottom - down - row, left - right - column : end - right - column]
    values[place], valid[place] = np.where(fine, found, 0), fine
    return values, valid
