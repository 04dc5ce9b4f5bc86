"""Epochs of training batches: their order, and the augmentation of each tile, by (seed, epoch, row) alone."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from landuse.model.batches import Batches
from landuse.params import Augment
from landuse.training import augment

_ORDER, _AUGMENT = 1, 2  # separate the streams of random numbers
_Ints = npt.NDArray[np.int64]


def steps(tiles: Batches) -> int:
    """Batches in an epoch; a last one that is not full would disturb BatchNorm, and is left out if there are others."""
    return max(tiles.least, len(tiles.rows) // tiles.batch_size)


def shown(tiles: Batches) -> int:
    """Tiles in an epoch, counting those again that are shown again to come to ``tiles.least`` batches."""
    count = steps(tiles) * tiles.batch_size
    return min(count, len(tiles.rows)) if tiles.least == 1 else count


def shuffled(
    tiles: Batches, seed: int, epoch: int, settings: Augment, start: int = 0, share: tuple[int, int] = (0, 1)
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one epoch in random order: augmented pixels (B, C, H, W) float32 in the stored unit, and targets (B,).

    start: batches of the epoch to leave out, because they are done. share: which share of each batch, of how many.
    """
    order, draws = drawn(tiles, seed, epoch)
    chosen = dealt(len(order), tiles.batch_size, start, share)
    for own, (pixels, targets) in zip(chosen, tiles.gathered([order[own] for own in chosen]), strict=True):
        numbers = torch.from_numpy(draws[own]).to(tiles.device, non_blocking=True)
        yield augment.apply(settings, pixels, numbers, tiles.rgb, tiles.layers), targets


def drawn(tiles: Batches, seed: int, epoch: int) -> tuple[_Ints, npt.NDArray[np.float32]]:
    """Return what is random in an epoch: (n,) positions in ``tiles.rows``, in order, and (n, DRAWS) numbers of each."""
    count, orders, numbers = shown(tiles), _generator(_ORDER, seed, epoch), _generator(_AUGMENT, seed, epoch)
    passes: list[tuple[_Ints, npt.NDArray[np.float32]]] = []
    for start in range(0, count, len(tiles.rows)):  # once, but for few tiles
        order = orders.permutation(len(tiles.rows))[: count - start]
        draws = numbers.random((len(tiles.images), augment.DRAWS), dtype=np.float32)
        passes.append((order, draws[tiles.rows[order]]))
    return np.concatenate([order for order, _ in passes]), np.concatenate([draws for _, draws in passes])


def dealt(count: int, batch_size: int, start: int, share: tuple[int, int]) -> list[_Ints]:
    """Return the positions in an epoch's order of one share, of so many, of each batch from ``start`` on."""
    batches = (np.arange(i, min(i + batch_size, count)) for i in range(start * batch_size, count, batch_size))
    return [np.array_split(batch, share[1])[share[0]] for batch in batches]


def _generator(stream: int, seed: int, epoch: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([stream, seed, epoch])))
