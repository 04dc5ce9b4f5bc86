"""A scene that was opened: paths and numbers, and how pixels are read with them."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling

from landuse import sensors
from landuse.inference.scene import rasters
from landuse.inference.scene.grid import Grid

_METHOD = Resampling.cubic  # of coarser bands, as EuroSAT did (phelber/EuroSAT#5)


@dataclass(frozen=True)
class Band:
    """A band of the model: where it is, and what its values mean.

    name: as the model has it. path: as GDAL names it. index: from 1. gain, offset: digital numbers
    (reflectance x 10000) = gain x value + offset. nodata: the value that is none; None: the file's mask says.
    """

    name: str
    path: str
    index: int
    gain: float = 1.0
    offset: float = 0.0
    nodata: float | None = None


@dataclass(frozen=True)
class Scene:
    """A scene on the model's scale. It can be pickled: datasets are opened where they are read, once a process.

    grid: the scene's pixels. bands: in the model's order. dtype: of the model's pixels. rgb: digital numbers become
    EuroSAT's 8-bit RGB. decisions: all that was decided about bands, units and masks, in words. digest: SHA-256 of
    files (path, size, time of change) and options. date: ISO 8601 time of acquisition, where known.
    """

    grid: Grid
    bands: tuple[Band, ...]
    dtype: str
    rgb: bool
    decisions: tuple[str, ...]
    digest: str
    date: str | None = None

    @property
    def height(self) -> int:
        return self.grid.height

    @property
    def width(self) -> int:
        return self.grid.width

    @property
    def transform(self) -> Affine:
        """(column, row) to metres of ``crs``."""
        return self.grid.transform

    @property
    def crs(self) -> CRS:
        return self.grid.crs

    def read(self, row: int, col: int, height: int, width: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Read a window, which may go past the border.

        Returns:
            (height, width, bands) pixels in the model's dtype and units, 0 where there is no data; and (height, width)
            whether a pixel has data and is not masked.
        """
        window = (row, col, height, width)
        pixels = np.zeros((height, width, len(self.bands)), dtype=np.uint16 if self.rgb else self.dtype)
        valid = np.ones((height, width), dtype=bool)
        start = 0
        for (path, nodata), group in groupby(self.bands, key=lambda band: (band.path, band.nodata)):
            bands = list(group)
            values, fine = rasters.read(path, tuple(b.index for b in bands), self.grid, window, _METHOD, nodata)
            for number, band in enumerate(bands):
                pixels[..., start + number] = _digital_numbers(values[number], band)
            valid &= fine.all(axis=0)
            start += len(bands)
        if self.rgb:
            pixels = sensors.to_rgb(pixels)
        pixels[~valid] = 0
        return pixels, valid


def _digital_numbers(values: npt.NDArray[Any], band: Band) -> npt.NDArray[Any]:
    """Values of a file to reflectance x 10000, at least 1 and at most 65535; what is no data comes out as something."""
    if band.gain == 1 and band.offset == 0 and values.dtype.kind == "u":
        return values
    numbers = values.astype(np.float32) * np.float32(band.gain) + np.float32(band.offset)
    clamped: npt.NDArray[Any] = np.clip(np.rint(numbers), 1, 65535)
    return clamped
