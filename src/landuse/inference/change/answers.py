"""What a model answered for the cells of two dates, in the form that the estimate of change takes."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from landuse.inference.map.cells import SHARE, Bytes

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


def _levels() -> Bytes:
    """Stored probabilities that are taken together: by steps of a quarter of their log-odds."""
    stored = np.arange(SHARE + 1).clip(0.5, SHARE - 0.5)
    return np.unique(np.rint(4 * np.log(stored / (SHARE - stored))), return_inverse=True)[1].astype(np.uint8)


_LEVEL = _levels()


@dataclass(frozen=True)
class Answers:
    """Answers that are alike stand here once.

    first, second: (n, K) probabilities by their prior, of the n different answers of either date. pairs: (m, 2) which
    of them occur together. pair: (cells,) which of those pairs a cell has.
    """

    first: Floats
    second: Floats
    pairs: Numbers
    pair: Numbers

    @classmethod
    def of(cls, first: Bytes, second: Bytes, prior: Floats) -> Self:
        """Of (K, cells) probabilities of either date as scores.tif has them, and (K,) their prior."""
        (ratio, mine), (other, its) = (_different(stored, prior) for stored in (first, second))
        both, pair = np.unique(mine * len(other) + its, return_inverse=True)
        return cls(ratio, other, np.column_stack(np.divmod(both, len(other))), pair)

    def counts(self, weights: Floats | None = None) -> Floats:
        """(m,) how often each pair occurs; weights: (cells,) of each cell."""
        return np.bincount(self.pair, weights, minlength=len(self.pairs)).astype(np.float64)

    def thinned(self, most: int) -> Self:
        """Every so manieth cell, so that there are about so many pairs."""
        kept, pair = np.unique(self.pair[:: -(-len(self.pairs) // most)], return_inverse=True)
        return replace(self, pairs=self.pairs[kept], pair=pair)


def _different(stored: Bytes, prior: Floats) -> tuple[Floats, Numbers]:
    """(K, cells) stored -> (n, K) different answers by the prior, and (cells,) which of them each cell has."""
    levels = np.ascontiguousarray(_LEVEL[stored].T)
    rows = levels.view([("", np.uint8)] * levels.shape[1])[:, 0]
    _, at, inverse = np.unique(rows, return_index=True, return_inverse=True)
    mean = np.stack([_means(values)[level] for values, level in zip(stored, levels[at].T, strict=True)], axis=1)
    return mean / mean.sum(axis=1, keepdims=True) / prior, inverse


def _means(stored: Bytes) -> Floats:
    """(levels,) of one class: the mean probability of the cells on each level, never 0.

    A stored 0 stands for all below half a step, 1 / 500. What these are in the mean follows from how many cells have
    the next value: the density of the logarithm is taken for even, and that value has a width of ln 3 in it. Half a
    step for all of them would hide changes below half a percent.
    """
    count = np.bincount(stored, minlength=SHARE + 1).astype(np.float64)
    mean = np.arange(SHARE + 1) / SHARE
    even = (count[1] + 0.5) / np.log(3)
    mean[0] = 0.5 / SHARE * even / max(count[0], 1) * -np.expm1(-count[0] / even)
    of_level: Floats = np.bincount(_LEVEL, count * mean) / np.maximum(np.bincount(_LEVEL, count), 1)
    return of_level
