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

    def of(self, draws: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """(n, DRAWS) random numbers -> (n,) the views to take for them."""
        return (draws[:, d.VIEW] * self.count).astype(np.int64)

    def numbers(self, rows: npt.NDArray[np.int64], views: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """(n,) rows of tiles and (n,) views -> (n, DRAWS) random numbers that come to them."""
        key = np.random.SeedSequence([_STREAM, self.seed]).generate_state(2, np.uint64)
        pairs = zip(rows.tolist(), views.tolist(), strict=True)
        streams = (np.random.Philox(counter=[0, 0, row, view], key=key) for row, view in pairs)
        return np.stack([np.random.Generator(stream).random(d.DRAWS, dtype=np.float32) for stream in streams])


Views = Flips | Chosen


def views(settings: Augment, frozen_views: int | None, seed: int) -> Views | None:
    """Return the views of an augmentation, or None where every epoch shall see new ones.

    Mixed batches (mixup, cutmix) have none.
    """
    if settings.mixup or settings.cutmix:
        return None
    if settings.model_copy(update={"hflip": False, "vflip": False, "dihedral": False}) == Augment():
        on = {d.HFLIP: settings.hflip, d.VFLIP: settings.vflip, d.TRANSPOSE: False}
        return Flips(tuple(draw for draw, own in on.items() if own or settings.dihedral))
    return Chosen(frozen_views, seed) if frozen_views else None
