"""Order and augmentation are functions of (seed, epoch, tile) and of nothing else."""

import numpy as np
import pytest
import torch

from landuse.batches import Batches
from landuse.params.recipe import Augment, RandAugment

DIHEDRAL = Augment(dihedral=True)
FULL = Augment(
    hflip=True,
    vflip=True,
    rotate=15.0,
    translate=0.1,
    crop=0.3,
    brightness=0.2,
    contrast=0.2,
    saturation=0.2,
    hue=0.1,
    erase=0.5,
)
CPU = torch.device("cpu")


def batches(batch_size: int = 4, count: int = 21) -> Batches:
    """Tiles whose first pixel is their row, so that a batch tells which tiles it holds."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    rows = np.arange(3, 3 + count)
    return Batches(images, rows, rows % 2, batch_size, CPU)


def by_target(b: Batches, epoch: int, augment: Augment, seed: int = 1) -> dict[bytes, bytes]:
    """Every augmented tile of an epoch, found again by the order in which plain tiles come."""
    plain = torch.cat([x for x, _ in b.shuffled(seed, epoch, Augment())])
    changed = torch.cat([x for x, _ in b.shuffled(seed, epoch, augment)])
    return {p.numpy().tobytes(): c.numpy().tobytes() for p, c in zip(plain, changed, strict=True)}


def test_in_order_yields_every_tile_once_with_its_target() -> None:
    b = batches()
    pixels = torch.cat([x for x, _ in b.in_order()])
    assert torch.equal(pixels, torch.from_numpy(b.images[b.rows]).permute(0, 3, 1, 2).float())
    assert torch.equal(torch.cat([t for _, t in b.in_order()]), torch.from_numpy(b.targets))
    assert len(list(b.in_order())) == len(b)


def test_an_epoch_is_shuffled_whole_batches_of_different_tiles() -> None:
    b = batches()
    sizes = [len(t) for _, t in b.shuffled(1, 1, Augment())]
    assert sizes == [4] * 5 == [4] * b.steps()
    seen = {x.numpy().tobytes() for batch, _ in b.shuffled(1, 1, Augment()) for x in batch}
    assert len(seen) == 20
    orders = {torch.cat([t for _, t in b.shuffled(s, e, Augment())]).numpy().tobytes() for s in (1, 2) for e in (1, 2)}
    assert len(orders) == 4


def test_a_split_smaller_than_a_batch_is_still_one_batch() -> None:
    b = batches(batch_size=64)
    assert [len(t) for _, t in b.shuffled(1, 1, DIHEDRAL)] == [21]
    assert b.steps() == 1


@pytest.mark.parametrize("augment", [DIHEDRAL, FULL, Augment(randaugment=RandAugment(ops=2, magnitude=9))])
def test_what_happens_to_a_tile_does_not_depend_on_its_batch(augment: Augment) -> None:
    small, large = by_target(batches(3), 5, augment), by_target(batches(7), 5, augment)
    shared = small.keys() & large.keys()
    assert len(shared) == 21
    same = sum(
        np.allclose(np.frombuffer(small[k], np.float32), np.frombuffer(large[k], np.float32), atol=1e-3) for k in shared
    )
    assert same == len(shared)
    other_epoch = by_target(batches(3), 6, augment)
    assert sum(small[k] != other_epoch[k] for k in shared) > len(shared) / 2


@pytest.mark.parametrize("start", [1, 3, 5])
def test_an_epoch_goes_on_from_any_batch_in_the_same_bits(start: int) -> None:
    b = batches()
    whole = list(b.shuffled(1, 2, FULL))
    rest = list(b.shuffled(1, 2, FULL, start))
    assert len(rest) == 5 - start
    for (pixels, targets), (pixels_again, targets_again) in zip(whole[start:], rest, strict=True):
        assert torch.equal(pixels, pixels_again)
        assert torch.equal(targets, targets_again)
