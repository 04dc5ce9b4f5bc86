"""From answers for windows to answers for cells."""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.inference.map.answers import Block
from landuse.inference.map.grid import CellGrid
from landuse.inference.map.kept import Kept
from landuse.inference.model import Predictions
from landuse.spec.model import ModelSpec

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
NODATA = 255
SHARE, OOD = 250, 50  # what is stored for a probability or an entropy of 1, and for the limit of the score


@dataclass(frozen=True)
class Cells:
    """A map in memory; NODATA where there is no answer.

    classes: (rows, cols) index of the likeliest class. scores: (classes + 3, rows, cols): the probabilities and the
    entropy times SHARE, 1 for an abstention, the out-of-distribution score times OOD, at most 254. picture: (height,
    width, 1 or 3) of the scene, on the same extent; seen: (height, width), where it shows something.
    """

    classes: Bytes
    scores: Bytes
    picture: npt.NDArray[Any]
    seen: Flags

    @property
    def valid(self) -> Flags:
        flags: Flags = self.classes != NODATA
        return flags

    @property
    def abstained(self) -> Flags:
        flags: Flags = self.scores[-2] == 1
        return flags

    @property
    def strange(self) -> Flags:
        """Where the score is above its limit, and known."""
        flags: Flags = (self.scores[-1] > OOD) & (self.scores[-1] != NODATA)
        return flags

    @property
    def unknown(self) -> Flags:
        """Land of no class: the model is not sure of it, or has never seen the like."""
        flags: Flags = self.valid & (self.abstained | self.strange)
        return flags


def assemble(kept: Kept, grid: CellGrid, spec: ModelSpec, min_valid: float) -> Cells:
    """Put blocks together, a row of them at a time."""
    count = len(spec.classes)
    classes = np.full((grid.rows, grid.cols), NODATA, dtype=np.uint8)
    scores = np.full((count + 3, grid.rows, grid.cols), NODATA, dtype=np.uint8)
    above = np.full((grid.reach - 1, grid.cols, count + 1), np.nan, dtype=np.float32)
    pictures, seen = [], []
    for row in range(0, grid.rows, grid.block):
        block = _beside([kept.read((row, col)) for col in range(0, grid.cols, grid.block)])
        windows = np.concatenate([above, block.windows])
        above = windows[len(windows) - len(above) :]
        mean, votes = _mean(windows, grid.reach)
        answered = (votes > 0) & (block.share >= min_valid)
        rows = slice(row, row + len(answered))
        classes[rows][answered], scores[:, rows][:, answered] = _stored(spec, mean[answered])
        pictures.append(block.picture)
        seen.append(block.seen)
    return Cells(classes, scores, np.concatenate(pictures), np.concatenate(seen))


def _beside(blocks: list[Block]) -> Block:
    return Block(
        *(
            np.concatenate([getattr(block, name) for block in blocks], axis=1)
            for name in ("windows", "share", "picture", "seen")
        )
    )


def _mean(windows: npt.NDArray[np.float32], reach: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """(b + reach - 1, c, answers) of windows, the ones above first -> (b, c, answers) of cells, and their votes.

    Sums have one order, wherever a block begins.
    """
    padded = np.pad(windows.astype(np.float64), ((0, 0), (reach - 1, 0), (0, 0)), constant_values=np.nan)
    voted = ~np.isnan(padded[..., 0])
    total, votes = _summed(np.where(voted[..., None], padded, 0), reach), _summed(voted.astype(np.int64), reach)
    return total / np.maximum(votes, 1)[..., None], votes


def _summed(values: npt.NDArray[Any], reach: int) -> npt.NDArray[Any]:
    rows, cols = len(values) - reach + 1, values.shape[1] - reach + 1
    down = reduce(np.add, (values[i : i + rows] for i in range(reach)))
    return reduce(np.add, (down[:, i : i + cols] for i in range(reach)))


def _stored(spec: ModelSpec, mean: npt.NDArray[np.float64]) -> tuple[Bytes, Bytes]:
    """(n, classes + 1) means -> (n,) classes, (classes + 3, n) scores."""
    found = Predictions.of(spec, mean[:, :-1].astype(np.float32), mean[:, -1].astype(np.float32))
    shares = np.column_stack([found.probabilities, found.entropy]) * SHARE
    ood = np.where(np.isnan(found.ood), NODATA, np.minimum(found.ood * OOD, NODATA - 1))
    scores = np.rint(np.column_stack([shares, found.abstained, ood])).astype(np.uint8)
    return found.probabilities.argmax(axis=1).astype(np.uint8), scores.T
