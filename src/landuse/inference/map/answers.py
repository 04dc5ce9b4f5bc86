"""What the model answers to the windows that start in one block of a scene."""

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from landuse.inference.map.grid import CellGrid
from landuse.inference.model import BATCH, Model
from landuse.inference.scene import Scene

Floats = npt.NDArray[np.float32]
_LOADING = threading.Lock()  # a worker of Dask has threads, and one session


@dataclass(frozen=True)
class Task:
    """All that a process needs to answer for any block: it travels to other machines.

    model: folder. digest: of the scene, the model and the options. shown: the channels of the true colours, or of the
    first bands. shrink: pixels of the scene that become one of the picture, a side.
    """

    scene: Scene
    model: str
    digest: str
    grid: CellGrid
    min_valid: float
    shown: tuple[int, ...]
    shrink: int


@dataclass(frozen=True)
class Block:
    """The answers of b x c cells; the last blocks of a row or column are smaller.

    windows: (b, c, classes + 1) float32 of the window that starts at each cell: its probabilities and its
    out-of-distribution score; NaN where there is none, or too little of it is valid. share: (b, c) float32 of valid
    pixels in each cell. picture: (b', c', 1 or 3) in the dtype of the scene, the mean of the valid pixels; seen:
    (b', c') bool, where there are some.
    """

    windows: Floats
    share: Floats
    picture: npt.NDArray[Any]
    seen: npt.NDArray[np.bool_]


def answer(task: Task, first: tuple[int, int]) -> Block:
    """Compute the block whose first cell this is; the same bytes in every process of one kind of processor."""
    grid, (row, col) = task.grid, first
    height, width = min(grid.block, grid.rows - row), min(grid.block, grid.cols - col)
    side, more = grid.stride, grid.reach - 1
    with _LOADING:
        model = _model(task.model, task.digest)
    pixels, valid = task.scene.read(row * side, col * side, (height + more) * side, (width + more) * side)
    share = valid.reshape(height + more, side, width + more, side).mean(axis=(1, 3), dtype=np.float32)
    complete = sliding_window_view(share, (grid.reach, grid.reach)).mean(axis=(2, 3)) >= task.min_valid
    complete[grid.rows - grid.reach + 1 - row :] = False  # windows that would leave the cells
    complete[:, grid.cols - grid.reach + 1 - col :] = False
    windows = np.full((height, width, len(model.spec.classes) + 1), np.nan, dtype=np.float32)
    starts = np.argwhere(complete)
    for at in range(0, len(starts), BATCH):  # of one size: the last bits of an answer may depend on it
        i, j = starts[at : at + BATCH].T
        tiles = filled(_windows(pixels, grid)[i, j], _windows(valid, grid)[i, j])
        probabilities, features = model.run(tiles)
        windows[i, j, :-1], windows[i, j, -1] = probabilities, model.strangeness(features)
    own = np.s_[: height * side, : width * side]
    picture, seen = _shrunk(pixels[own][..., list(task.shown)], valid[own], task.shrink)
    return Block(windows, share[:height, :width], picture, seen)


@lru_cache(maxsize=1)
def _model(folder: str, _digest: str) -> Model:  # another digest, another content of the folder
    return Model.load(folder, threads=1)  # its process has a core, and a sum has one order


def _windows(pixels: npt.NDArray[Any], grid: CellGrid) -> npt.NDArray[Any]:
    """(H, W, ...) -> (rows, columns, tile, tile, ...), a view."""
    every = sliding_window_view(pixels, (grid.tile, grid.tile), axis=(0, 1))
    return np.moveaxis(every[:: grid.stride, :: grid.stride], (-2, -1), (2, 3))


def filled(tiles: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Give pixels without data the mean of the window's others: a model never saw a hole."""
    for tile, known in zip(tiles, valid, strict=True):
        if not known.all():
            tile[~known] = np.rint(tile[known].mean(axis=0)).astype(tile.dtype)
    return np.ascontiguousarray(tiles)


def _shrunk(
    pixels: npt.NDArray[Any], valid: npt.NDArray[np.bool_], by: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    height, width, bands = pixels.shape
    known = valid.reshape(height // by, by, width // by, by).sum(axis=(1, 3))
    parts = np.where(valid[..., None], pixels, 0).reshape(height // by, by, width // by, by, bands)
    mean = parts.sum(axis=(1, 3), dtype=np.float64) / np.maximum(known, 1)[..., None]
    return np.rint(mean).astype(pixels.dtype), known > 0
