"""Views: the few versions of a tile that an augmentation comes to, where they are few.

Then what a frozen trunk makes of each can be kept. Flips and turns by right angles have two to eight of them, exactly.
Other augmentations have endless ones; ``frozen_views`` chooses some of them for each tile, an approximation.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from landuse.augment import draws as d
from landuse.params import Augment

_STREAM = 3  # of random numbers, beside those of batches.py


@dataclass(frozen=True)
class Flips:
    """Every combination of the flips that are on. draws: which random number is for each."""

    draws: tuple[int, ...]

    @property
    def count(self) -> int:
        return 1 << len(self.draws)

    def of(self, draws: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """(n, DRAWS) random numbers -> (n,) the views that they come to."""
        views = np.zeros(len(draws), dtype=np.int64)
        for bit, draw in enumerate(self.draws):
            views |= (draws[:, draw] < 0.5).astype(np.int64) << bit
        return views

    def numbers(self, rows: npt.NDArray[np.int64], views: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(n,) rows of tiles and (n,) views -> (n, DRAWS) random numbers that come to them."""
        found = np.full((len(rows), d.DRAWS), 0.75, dtype=np.float32)
        for bit, draw in enumerate(self.draws):
            found[:, draw] -= 0.5 * (views >> bit & 1)
        return found


@dataclass(frozen=True)
class Chosen:
    """So many of a tile's endless views, chosen by the seed."""

    count: int
    seed: int
    rows: int  # of the whole tile store

    def of(self, draws: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """(n, DRAWS) random numbers -> (n,) the views to take for them."""
        return (draws[:, d.VIEW] * self.count).astype(np.int64)

    def numbers(self, rows: npt.NDArray[np.int64], views: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(n,) rows of tiles and (n,) views -> (n, DRAWS) random numbers that come to them."""
        found = np.empty((len(rows), d.DRAWS), dtype=np.float32)
        for view in np.unique(views):
            seeds = np.random.SeedSequence([_STREAM, self.seed, int(view)])
            table = np.random.Generator(np.random.Philox(seeds)).random((self.rows, d.DRAWS), dtype=np.float32)
            found[views == view] = table[rows[views == view]]
        return found


Views = Flips | Chosen


def views(settings: Augment, frozen_views: int | None, seed: int, rows: int) -> Views | None:
    """Return the views of an augmentation, or None where every epoch shall see new ones.

    Mixed batches (mixup, cutmix) have none.
    """
    if settings.mixup or settings.cutmix:
        return None
    if settings.model_copy(update={"hflip": False, "vflip": False, "dihedral": False}) == Augment():
        on = {d.HFLIP: settings.hflip, d.VFLIP: settings.vflip, d.TRANSPOSE: False}
        return Flips(tuple(draw for draw, own in on.items() if own or settings.dihedral))
    return Chosen(frozen_views, seed, rows) if frozen_views else None
