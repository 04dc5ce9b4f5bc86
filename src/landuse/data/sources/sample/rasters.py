"""GeoTIFFs that are written part by part."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
import rasterio
from rasterio.windows import Window

from landuse.data.sources.sample.landscape import Places

_CACHE = 64 << 20  # bytes of GDAL's


class _File(io.FileIO):
    """Keeps what the disk says, and goes on as if all was well: GDAL would print it, or say nothing when it closes."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        left = memoryview(data)
        try:
            while left and not self.error:
                left = left[super().write(left) :]
        except OSError as error:
            self.error = error
        return len(data)


class Raster:
    """A GeoTIFF that is written part by part; ``file`` is rasterio's."""

    def __init__(self, file: Any, files: list[_File]) -> None:
        self.file, self._files = file, files

    def write(self, values: npt.NDArray[Any], rows: Places, columns: Places) -> None:
        """Write values (bands, rows, columns) where they belong."""
        self.file.write(values, window=Window(columns[0], rows[0], len(columns), len(rows)))
        self.check()

    def check(self) -> None:
        """Raise what the disk has said."""
        for file in self._files:
            if file.error:
                raise file.error


@contextmanager
def created(path: Path, **profile: Any) -> Iterator[Raster]:
    """Create a tiled and deflated GeoTIFF to write.

    Raises:
        OSError: what the disk says.
    """
    files: list[_File] = []

    def opened(name: str, mode: str = "rb") -> _File:
        file = _File(name, mode.replace("b", ""))
        if mode != "rb":
            files.append(file)
        return file

    # bands apart: who reads three of them need not inflate thirteen
    form = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "band", "bigtiff": "if_safer"}
    form |= {"compress": "deflate", "predictor": 2, "zlevel": 1}
    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        with rasterio.open(path, "w", "GTiff", **form, **profile, opener=opened) as file:
            raster = Raster(file, files)
            yield raster
        raster.check()
