"""Reading rasters through GDAL: each is opened once in a process, and GDAL's cache is capped."""

import os
import threading
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as Part

from landuse.core.errors import UserError
from landuse.inference.scene.grid import Grid, Window

_LOCK = threading.RLock()  # a dataset of GDAL bears one thread at a time
_SETTINGS = {
    "GDAL_CACHEMAX": 32 << 20,  # bytes a process: what a block of a map needs; GDAL's own is 5 % of the memory
    # warp blocks that always are the same: cut to each window, one pixel in millions is rounded otherwise
    "GDAL_VRT_WARP_USE_DATASET_RASTERIO": False,
    "GDAL_HTTP_MAX_RETRY": 5,
    "GDAL_HTTP_RETRY_DELAY": 1,  # seconds, longer each time
    "GDAL_HTTP_CONNECTTIMEOUT": 30,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
    "GDAL_HTTP_LOW_SPEED_TIME": 60,  # a server that sends nothing is given up
}
_REMOTE = ("/vsicurl", "/vsis3", "/vsigs", "/vsiaz", "https://", "http://", "s3://", "gs://")
_SMALL = 2**22  # pixels that are looked at from one side to the other; a larger raster is sampled
_LARGEST = 2**31  # pixels that are all looked at where a sample finds no data
_EXACT = 1e-9  # pixels that a place may be off where it is interpolated: GDAL takes 0 for no answer
_LOOK = 512  # pixels a side of that look


def environment(path: str = "") -> rasterio.Env:
    """GDAL's settings; with them its messages go where Python's go, and not to standard error."""
    # beside a file on a server GDAL would look for others: each look is a request
    remote = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if path.startswith(_REMOTE) else {}
    return rasterio.Env(**_SETTINGS, **remote)


def forget() -> None:
    """Close all: files may have changed."""
    _on_grid.cache_clear()
    _opened.cache_clear()


def opened(path: str) -> Any:
    """The raster at a path, as GDAL or rasterio name it.

    Raises:
        UserError: there is none, or it is damaged.
    """
    return _opened(path, os.getpid())


def is_raster(path: str) -> bool:
    try:
        opened(path)
    except UserError:
        return False
    return True


def read(
    path: str, indexes: Sequence[int], grid: Grid, window: Window, method: Resampling, nodata: float | None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Read bands of a raster on a grid.

    method: of resampling, where the raster's pixels are not the grid's. nodata: the value that is no data; None: the
    raster's mask says.

    Returns:
        (bands, height, width) values, 0 where not valid, and validity of the same shape.
    """
    with _LOCK, environment(path):
        raster, (down, right) = _on_grid(path, grid, method, nodata, os.getpid())
        row, column, height, width = window
        values = np.zeros((len(indexes), height, width), dtype=raster.dtypes[indexes[0] - 1])
        valid = np.zeros(values.shape, dtype=bool)
        top, left = max(0, row + down), max(0, column + right)
        bottom, end = min(raster.height, row + down + height), min(raster.width, column + right + width)
        if top < bottom and left < end:
            found, fine = _read(path, raster, indexes, nodata, window=Part(left, top, end - left, bottom - top))
            place = np.s_[:, top - down - row : bottom - down - row, left - right - column : end - right - column]
            values[place], valid[place] = np.where(fine, found, 0), fine
        return values, valid


def sample(path: str, indexes: Sequence[int], nodata: float | None) -> list[npt.NDArray[Any]]:
    """Valid values of each band, some 100,000 from all over the raster; empty where it has no data.

    From its overviews where it has some, else 12 x 12 windows: corners too, so that a truncated file shows.
    """
    with _LOCK, environment(path):
        raster = opened(path)
        shape, whole = [min(side, _LOOK) for side in raster.shape], Part(0, 0, raster.width, raster.height)
        if raster.width * raster.height > _SMALL and not raster.overviews(indexes[0]):
            size = 64
            rows, columns = (np.linspace(0, max(0, side - size), 12).astype(int) for side in raster.shape)
            parts = [Part(column, row, size, size) for row in rows for column in columns]
            reads = [_read(path, raster, indexes, nodata, window=part.intersection(whole)) for part in parts]
            found, fine = (np.concatenate(arrays, axis=1) for arrays in zip(*reads, strict=True))
            if fine.any() or raster.width * raster.height > _LARGEST:
                return [band[valid] for band, valid in zip(found, fine, strict=True)]
        found, fine = _read(path, raster, indexes, nodata, out_shape=(len(indexes), *shape))
        return [band[valid] for band, valid in zip(found, fine, strict=True)]


def nodata_of(path: str, index: int) -> float | None:
    """The value of a band that is no data; None: the raster's mask says, where it has one, and NaN never is data.

    Where the file says nothing, that is 0 of digital numbers, as in Sentinel-2's products.
    """
    raster = opened(path)
    told: float | None = raster.nodatavals[index - 1]
    if told is not None and not np.isnan(told):
        return told
    masked = MaskFlags.per_dataset in raster.mask_flag_enums[index - 1]
    return None if masked or raster.dtypes[index - 1] in ("uint8", "float32", "float64") else 0.0


@lru_cache(maxsize=128)
def _opened(path: str, _: int) -> Any:
    try:
        with environment(path), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)  # refused in words of our own
            return rasterio.open(path)
    except RasterioError as error:
        raise UserError(f"{path} cannot be read as a raster ({_reason(error)}): check the path and the file") from error


@lru_cache(maxsize=128)
def _on_grid(path: str, grid: Grid, method: Resampling, nodata: float | None, _: int) -> tuple[Any, tuple[int, int]]:
    raster = opened(path)
    shift = grid.shift(raster)
    if shift is not None:
        return raster, shift
    # all of the grid, so that a pixel is the same in whichever window it is read
    form = {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
    if nodata is None and raster.dtypes[0].startswith("float"):
        nodata = np.nan
    alpha = nodata is None and MaskFlags.alpha not in raster.mask_flag_enums[0]
    outside = {"add_alpha": alpha} if nodata is None else {"src_nodata": nodata, "nodata": nodata}
    across, down = grid.times(raster)
    # which GDAL would guess, a little differently in each window
    scale = {"XSCALE": across, "YSCALE": down}
    return WarpedVRT(raster, **form, **outside, **scale, resampling=method, tolerance=_EXACT), (0, 0)


def _read(path: str, raster: Any, indexes: Sequence[int], nodata: float | None, **part: Any) -> Any:
    """Values and validity, both (bands, height, width)."""
    try:
        found = raster.read(indexes, **part)
        fine = raster.read_masks(indexes, **part) > 0 if nodata is None else found != nodata
    except RasterioError as error:
        raise UserError(f"{path} is damaged ({_reason(error)}): copy it again") from error
    if found.dtype.kind == "f":
        fine &= ~np.isnan(found)
    return found, fine


def _reason(error: BaseException) -> str:
    return str(error.__cause__ or error)[:300]
