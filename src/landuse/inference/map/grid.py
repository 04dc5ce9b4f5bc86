"""The cells of a map, the windows that answer for them, and the blocks that they are computed in."""

from dataclasses import dataclass
from typing import Self

from landuse.core.errors import UserError

_BLOCK = 1024  # pixels a side, about: each is read at once
_MOST = 25_000_000  # cells: their scores are in memory when the files are written


@dataclass(frozen=True)
class CellGrid:
    """Cells of stride x stride pixels from the upper left corner of a scene.

    A window of tile x tile pixels starts at every cell from which it ends within the last row and column of cells: it
    leaves the scene by less than a stride, at the lower and the right border, and a cell is in (tile / stride)^2
    windows, at the borders in fewer.

    height, width: of the scene, pixels, a tile at least.
    """

    height: int
    width: int
    tile: int
    stride: int

    @classmethod
    def over(cls, height: int, width: int, tile: int, stride: int | None) -> Self:
        """Lay cells over a scene; stride None: half a tile.

        Raises:
            UserError: the stride does not divide a tile, or the cells are too many.
        """
        stride = max(1, tile // 2) if stride is None else stride
        if not 0 < stride <= tile or tile % stride:
            known = ", ".join(str(n) for n in range(tile, 0, -1) if tile % n == 0)
            raise UserError(f"--stride {stride}: a tile of {tile} pixels has strides of {known}")
        grid = cls(height, width, tile, stride)
        if grid.rows * grid.cols > _MOST:
            raise UserError(
                f"the map would have {grid.rows} x {grid.cols} cells, more than {_MOST}: cut the scene "
                "(gdal_translate -projwin), or give a larger --stride"
            )
        return grid

    @property
    def rows(self) -> int:
        return -(-self.height // self.stride)

    @property
    def cols(self) -> int:
        return -(-self.width // self.stride)

    @property
    def reach(self) -> int:
        """Cells that a window spans, a side."""
        return self.tile // self.stride

    @property
    def block(self) -> int:
        """Cells of a block, a side; a window that starts in one block ends in the next at most."""
        return max(self.reach, _BLOCK // self.stride)

    @property
    def blocks(self) -> list[tuple[int, int]]:
        """Row and column of the first cell of each block, by rows."""
        return [(row, col) for row in range(0, self.rows, self.block) for col in range(0, self.cols, self.block)]
