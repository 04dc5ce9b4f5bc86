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
from landuse.inference.scene.masks import Mask
from landuse.sensors import layers as beside
from landuse.sensors.layers import Layer, Pixels


@dataclass(frozen=True)
class Band:
    """A band of the model: where it is, and what its values mean.

    name: as the model has it. path: as GDAL names it. index: from 1. gain, offset: digital numbers
    (reflectance x 10000) = gain x value + offset. nodata: see ``rasters.nodata_of``. method: of resampling, where the
    raster's pixels are not the scene's.
    """

    name: str
    path: str
    index: int
    gain: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    method: Resampling = Resampling.nearest


@dataclass(frozen=True)
class Scene:
    """A scene on the model's scale. It can be pickled: datasets are opened where they are read, once a process.

    grid: the scene's pixels. bands: in the model's order. masks: of what is not valid although it has data. dtype: of
    the model's pixels. rgb: digital numbers become EuroSAT's 8-bit RGB. decisions: all that was decided about bands,
    units and masks, in words. digest: SHA-256 of files (path, size, time of change; of a VRT's sources, too) and
    options. layers: other rasters, behind the bands. date: ISO 8601 time of acquisition, level: "L1C" or "L2A", where
    known.
    """

    grid: Grid
    bands: tuple[Band, ...]
    masks: tuple[Mask, ...]
    dtype: str
    rgb: bool
    decisions: tuple[str, ...]
    digest: str
    layers: tuple[Layer, ...] = ()
    date: str | None = None
    level: str | None = None

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
        layers, valid, some = [], np.ones((height, width), dtype=bool), np.zeros((height, width), dtype=bool)
        for (path, nodata, method), group in groupby(self.bands, key=lambda b: (b.path, b.nodata, b.method)):
            same = list(group)
            values, fine = rasters.read(path, [band.index for band in same], self.grid, window, method, nodata)
            layers += [_digital_numbers(part, band) for part, band in zip(values, same, strict=True)]
            valid &= fine.all(axis=0)
            some |= values.any(axis=0)
        valid &= some  # 0 in all bands is nothing, whatever the file says
        pixels = np.stack(layers, axis=-1)
        if self.rgb:
            pixels = sensors.to_rgb(pixels)
        if self.layers:
            pixels, valid = self._with_layers(pixels, valid, self.grid.part(window))
        pixels[~valid] = 0
        for mask in self.masks:
            valid &= ~mask.masked(self.grid, window)
        return pixels, valid

    def _with_layers(
        self, pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_], part: Grid
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Behind the bands; a pixel without data in one of them is not valid."""
        here = Pixels(part.crs, part.transform, part.height, part.width)
        with rasters.environment():
            stored = np.concatenate([beside.read(layer, here) for layer in self.layers])
        return np.concatenate([pixels, stored.transpose(1, 2, 0)], axis=-1), valid & stored.all(axis=0)


def _digital_numbers(values: npt.NDArray[Any], band: Band) -> npt.NDArray[Any]:
    """Values of a file as reflectance x 10000, uint16 and at least 1; an 8-bit picture stays what it is."""
    if values.dtype == np.uint8 or (values.dtype == np.uint16 and band.gain == 1 and band.offset == 0):
        return values
    numbers = values.astype(np.float32) * np.float32(band.gain) + np.float32(band.offset)
    clamped: npt.NDArray[Any] = np.clip(np.rint(numbers), 1, 65535).astype(np.uint16)
    return clamped
