"""Order and augmentation are functions of (seed, epoch, tile) and of nothing else."""

from collections import Counter

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from landuse.batches import Batches, apply
from landuse.params import Augment

DIHEDRAL = Augment(hflip=True, vflip=True, transpose=True)
FULL = Augment(hflip=True, vflip=True, rotate=15.0, brightness=0.2, contrast=0.2, saturation=0.2)
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


@pytest.mark.parametrize("augment", [DIHEDRAL, FULL])
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


def test_dihedral_gives_exactly_the_eight_views_equally_often() -> None:
    tile = torch.arange(2 * 5 * 5, dtype=torch.float32).view(1, 2, 5, 5)
    draws = torch.from_numpy(np.random.default_rng(0).random((4000, 7), dtype=np.float32))
    views = apply(DIHEDRAL, tile.expand(4000, -1, -1, -1), draws)
    expected = {
        view.contiguous().numpy().tobytes()
        for turns in range(4)
        for view in (tile[0].rot90(turns, (1, 2)), tile[0].flip(2).rot90(turns, (1, 2)))
    }
    counted = Counter(view.contiguous().numpy().tobytes() for view in views)
    assert len(expected) == 8
    assert set(counted) == expected
    assert min(counted.values()) > 400


def test_rotation_reflects_at_the_border_and_stays_within_its_limit() -> None:
    white = torch.full((64, 3, 16, 16), 255.0)
    draws = torch.rand(64, 7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(apply(Augment(rotate=45.0), white, draws), white)
    ramp = torch.arange(33.0).view(1, 1, 1, 33).expand(2, 3, 33, 33)
    draws = torch.tensor([[0.5] * 7, [1.0] * 7])
    turned = apply(Augment(rotate=90.0), ramp, draws)
    assert torch.allclose(turned[0], ramp[0], atol=1e-3)
    assert torch.allclose(turned[1].flip(1), ramp[1].transpose(1, 2), atol=1e-3) or torch.allclose(
        turned[1], ramp[1].transpose(1, 2), atol=1e-3
    )


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("draw", [0.0, 0.3, 1.0])
def test_colour_jitter_follows_torchvision(name: str, draw: float) -> None:
    pixels = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0)) * 255
    factor = 1 + (draw * 2 - 1) * 0.4
    ours = apply(Augment(**{name: 0.4}), pixels, torch.full((2, 7), draw))
    theirs = getattr(v2.functional, f"adjust_{name}")(pixels / 255, factor) * 255
    assert torch.allclose(ours, theirs, atol=0.5)


def test_thirteen_bands_are_augmented_too() -> None:
    pixels = torch.rand(4, 13, 8, 8) * 9000
    changed = apply(FULL, pixels, torch.rand(4, 7))
    assert changed.shape == pixels.shape
    assert changed.max() > 255
