"""The versions of a tile that an augmentation comes to; where they are few, what a prefix makes of each can be kept.

Flips and right angles have two to eight; of other augmentations' endless ones, ``train.frozen_views`` chooses some.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from landuse.params import Augment
from landuse.training.augment import draws as d

_STREAM = 3  # of random numbers, beside those of training.epochs
_Ints = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Flips:
    """Every combination of the flips that are on. draws: which random number is for each."""

    draws: tuple[int, ...]

    @property
    def count(self) -> int:
        return 1 << len(self.draws)

    def of(self, draws: _Floats) -> _Ints:
        """(n, DRAWS) random numbers -> (n,) the views that they come to."""
        bits = [(draws[:, draw] < 0.5).astype(np.int64) << bit for bit, draw in enumerate(self.draws)]
        return np.asarray(sum(bits, np.zeros(len(draws), dtype=np.int64)))

    def numbers(self, rows: _Ints, views: _Ints) -> _Floats:
        """(n,) rows of tiles and (n,) views -> (n, DRAWS) random numbers that come to them."""
        found = np.full((len(rows), d.DRAWS), 0.75, dtype=np.float32)
        for bit, draw in enumerate(self.draws):
            found[:, draw] -= 0.5 * (views >> bit & 1)
        return found


@dataclass(frozen=True)
class Chosen:
    """So many of a tile's endless views, chosen by the seed; ``of`` and ``numbers`` as those of ``Flips``."""

    count: int
    seed: int

    def of(self, draws: _Floats) -> _Ints:
        return (draws[:, d.VIEW] * self.count).astype(np.int64)

    def numbers(self, rows: _Ints, views: _Ints) -> _Floats:
        key = np.random.SeedSequence([_STREAM, self.seed]).generate_state(2, np.uint64)
        pairs = zip(rows.tolist(), views.tolist(), strict=True)
        streams = (np.random.Philox(counter=[0, 0, row, view], key=key) for row, view in pairs)
        return np.stack([np.random.Generator(stream).random(d.DRAWS, dtype=np.float32) for stream in streams])


Views = Flips | Chosen
UNCHANGED = Flips(())  # the tile as it is


def views(settings: Augment, frozen_views: int | None, seed: int) -> Views | None:
    """Return the views of an augmentation; None: every epoch sees new ones, as do mixed batches (mixup, cutmix)."""
    if settings.mixup or settings.cutmix:
        return None
    if settings.model_copy(update={"hflip": False, "vflip": False, "dihedral": False}) == Augment():
        on = {d.HFLIP: settings.hflip, d.VFLIP: settings.vflip, d.TRANSPOSE: False}
        return Flips(tuple(draw for draw, own in on.items() if own or settings.dihedral))
    return Chosen(frozen_views, seed) if frozen_views else None
