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
from torch.nn import functional as F

from landuse.params import Augment

_DRAWS = 7  # random numbers a tile uses in one epoch: three flips, a turn, three of colour
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

    def shuffled(self, seed: int, epoch: int, augment: Augment) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one epoch in random order, augmented. The last batch is dropped unless it is the only one.

        A last batch of one or two tiles would disturb BatchNorm; every epoch drops other tiles.
        """
        order = _generator(_ORDER, seed, epoch).permutation(len(self.rows))
        draws = _generator(_AUGMENT, seed, epoch).random((len(self.images), _DRAWS), dtype=np.float32)
        full = len(order) // self.batch_size * self.batch_size or len(order)
        for start in range(0, full, self.batch_size):
            chosen = order[start : start + self.batch_size]
            pixels, targets = self._gather(chosen)
            yield apply(augment, pixels, torch.from_numpy(draws[self.rows[chosen]]).to(self.device)), targets

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


def apply(augment: Augment, pixels: Tensor, draws: Tensor) -> Tensor:
    """Augment a batch, each tile by its own draws.

    pixels: (B, C, H, W) float, as stored. draws: (B, 7) uniform in [0, 1). Turns reflect at the border, so
    no black corners appear. Colour: torchvision's ColorJitter formulas, in fixed order (brightness, contrast,
    saturation); its random order would make a batched form much slower and changes little.
    """
    flips = (draws[:, :3] < 0.5).view(-1, 3, 1, 1, 1)
    x = pixels
    if augment.hflip:
        x = torch.where(flips[:, 0], x.flip(3), x)
    if augment.vflip:
        x = torch.where(flips[:, 1], x.flip(2), x)
    if augment.transpose:
        x = torch.where(flips[:, 2], x.transpose(2, 3), x)
    if augment.rotate:
        x = _rotate(x, (draws[:, 3] * 2 - 1) * math.radians(augment.rotate))
    return _jitter(augment, x, draws[:, 4:7])


def _rotate(x: Tensor, angle: Tensor) -> Tensor:
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turn = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = F.affine_grid(turn, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _jitter(augment: Augment, x: Tensor, draws: Tensor) -> Tensor:
    def factor(column: int, strength: float) -> Tensor:
        return (1 + (draws[:, column] * 2 - 1) * strength).view(-1, 1, 1, 1)

    if not (augment.brightness or augment.contrast or augment.saturation):
        return x
    top = 255.0 if x.shape[1] == 3 else 65535.0
    x = (x * factor(0, augment.brightness)).clamp(0, top)
    mean = _grey(x).mean(dim=(2, 3), keepdim=True)
    x = torch.lerp(mean, x, factor(1, augment.contrast)).clamp(0, top)
    return torch.lerp(_grey(x), x, factor(2, augment.saturation)).clamp(0, top)


def _grey(x: Tensor) -> Tensor:
    """Luma of ITU-R BT.601 for RGB, as torchvision and Pillow have it; the plain mean for other bands."""
    if x.shape[1] != 3:
        return x.mean(dim=1, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)
    return (x * weights).sum(dim=1, keepdim=True)


def _generator(stream: int, seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([stream, seed, epoch])))
