"""The pixels of a scene: where they lie, and whether those of a file are the same."""

from dataclasses import dataclass
from typing import Any

from affine import Affine
from rasterio.crs import CRS

_SAME = 0.05  # pixels that corners may lie apart to be the same


@dataclass(frozen=True)
class Grid:
    """height x width pixels; transform: (column, row) to metres of a projected crs, north up."""

    height: int
    width: int
    transform: Affine
    crs: CRS

    def shift(self, raster: Any) -> tuple[int, int] | None:
        """(rows, columns) to add to the grid's to get those of an open raster; None where their pixels differ."""
        if raster.crs != self.crs:
            return None
        to_raster = ~raster.transform * self.transform
        column, row = to_raster * (0, 0)
        right, bottom = to_raster * (self.width, self.height)
        apart = (column - round(column), row - round(row), right - column - self.width, bottom - row - self.height)
        return None if max(map(abs, apart)) > _SAME else (round(row), round(column))
