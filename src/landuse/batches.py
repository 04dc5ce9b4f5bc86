"""From the tile store to batches on the device: order, augmentation, moving.

Tiles stay uint8 (or uint16) in one memory-mapped array until a batch is gathered; a batch is moved and
augmented as a whole on the training device. Randomness is counter-based: what happens to a tile depends on
(seed, epoch, row of the tile) and on nothing else, so neither batch order nor resumption can change it.
Normalisation belongs to the model.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from landuse import augment
from landuse.params import Augment

_ORDER, _AUGMENT = 1, 2  # separate the streams of random numbers


@dataclass(frozen=True)
class Batches:
    """The tiles of one part of the split.

    images: (N, H, W, C) of the whole store. rows: (n,) of this part. targets: (n,) int64.
    """

    images: npt.NDArray[Any]
    rows: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    batch_size: int
    device: torch.device

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every tile once: pixels (B, C, H, W) float32 as stored, targets (B,)."""
        for start in range(0, len(self.rows), self.batch_size):
            yield self._gather(np.arange(start, min(start + self.batch_size, len(self.rows))))

    def shuffled(self, seed: int, epoch: int, settings: Augment, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one epoch in random order, augmented. The last batch is dropped unless it is the only one.

        A last batch of one or two tiles would disturb BatchNorm; every epoch drops other tiles.

        start: batches of the epoch to leave out, because they are done.
        """
        order = _generator(_ORDER, seed, epoch).permutation(len(self.rows))
        draws = _generator(_AUGMENT, seed, epoch).random((len(self.images), augment.DRAWS), dtype=np.float32)
        full = len(order) // self.batch_size * self.batch_size or len(order)
        for first in range(start * self.batch_size, full, self.batch_size):
            chosen = order[first : first + self.batch_size]
            pixels, targets = self._gather(chosen)
            own = torch.from_numpy(draws[self.rows[chosen]]).to(self.device)
            yield augment.apply(settings, pixels, own), targets

    def steps(self) -> int:
        """Batches that ``shuffled`` yields in an epoch."""
        return max(1, len(self.rows) // self.batch_size)

    def _gather(self, chosen: npt.NDArray[Any]) -> tuple[Tensor, Tensor]:
        rows = self.rows[chosen]
        by_address = np.argsort(rows, kind="stable")  # a mapped file is read in one direction
        pixels = np.empty((len(rows), *self.images.shape[1:]), self.images.dtype)
        pixels[by_address] = self.images[rows[by_address]]
        moved = torch.from_numpy(pixels).to(self.device, non_blocking=True)
        targets = torch.from_numpy(self.targets[chosen]).to(self.device, non_blocking=True)
        # (N, H, W, C) seen as (N, C, H, W) is already channels-last: the layout convolutions like best
        return moved.permute(0, 3, 1, 2).float(), targets


def _generator(stream: int, seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([stream, seed, epoch])))
