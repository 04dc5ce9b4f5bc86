"""Order and augmentation are functions of (seed, epoch, tile) and of nothing else."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from landuse.model.batches import Batches
from landuse.params.recipe import Augment, RandAugment
from landuse.training.epochs import shown, shuffled, steps

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
    return Batches(images, rows, rows % 2, batch_size, CPU, rgb=True)


def by_target(b: Batches, epoch: int, augment: Augment, seed: int = 1) -> dict[bytes, bytes]:
    """Every augmented tile of an epoch, found again by the order in which plain tiles come."""
    plain = torch.cat([x for x, _ in shuffled(b, seed, epoch, Augment())])
    changed = torch.cat([x for x, _ in shuffled(b, seed, epoch, augment)])
    return {p.numpy().tobytes(): c.numpy().tobytes() for p, c in zip(plain, changed, strict=True)}


def test_an_epoch_is_shuffled_whole_batches_of_different_tiles() -> None:
    b = batches()
    sizes = [len(t) for _, t in shuffled(b, 1, 1, Augment())]
    assert sizes == [4] * 5 == [4] * steps(b)
    seen = {x.numpy().tobytes() for batch, _ in shuffled(b, 1, 1, Augment()) for x in batch}
    assert len(seen) == 20
    orders = {torch.cat([t for _, t in shuffled(b, s, e, Augment())]).numpy().tobytes() for s in (1, 2) for e in (1, 2)}
    assert len(orders) == 4


def test_a_split_smaller_than_a_batch_is_still_one_batch() -> None:
    b = batches(batch_size=64)
    assert [len(t) for _, t in shuffled(b, 1, 1, DIHEDRAL)] == [21]
    assert steps(b) == 1


@pytest.mark.parametrize(("count", "batch_size"), [(3, 4), (21, 4), (5, 64)])
def test_few_tiles_are_shown_again_by_other_random_changes_until_there_are_enough_batches(
    count: int, batch_size: int
) -> None:
    once = batches(batch_size, count)
    b = replace(once, least=7)
    assert steps(b) == 7
    changes = Augment(dihedral=True, brightness=0.2)
    shown_ = torch.cat([x for x, _ in shuffled(b, 1, 1, Augment())])
    changed = torch.cat([x for x, _ in shuffled(b, 1, 1, changes)])
    assert len(shown_) == shown(b) == 7 * batch_size
    times = torch.unique(shown_, dim=0, return_counts=True)[1]
    assert len(times) == count and times.max() - times.min() <= 1
    assert len(torch.unique(changed, dim=0)) == len(changed)
    first = torch.cat([x for x, _ in shuffled(once, 1, 1, changes)])
    torch.testing.assert_close(changed[: len(first)], first, rtol=0, atol=0)
    rest = torch.cat([x for x, _ in shuffled(b, 1, 1, changes, 3)])
    torch.testing.assert_close(rest, changed[3 * batch_size :], rtol=0, atol=0)


def test_enough_tiles_are_shown_once() -> None:
    b = batches()
    assert all(
        torch.equal(x, y)
        for (x, _), (y, _) in zip(shuffled(b, 1, 1, FULL), shuffled(replace(b, least=5), 1, 1, FULL), strict=True)
    )


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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("augment", [Augment(), DIHEDRAL, FULL])
def test_tiles_in_the_devices_memory_give_the_bits_of_tiles_that_are_streamed(
    dtype: type[np.generic], augment: Augment, tmp_path: Path
) -> None:
    """Streamed from a map of a file; resident as an accelerator would hold them."""
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 60_000, (40, 8, 8, 5)).astype(dtype))
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    streamed = Batches(images, np.arange(30)[::-1].copy(), np.arange(30), 4, CPU, rgb=False)
    resident = replace(streamed, resident=torch.from_numpy(images.view(np.uint8).copy()))
    for ours, theirs in (
        (streamed.in_order(), resident.in_order()),
        (shuffled(streamed, 1, 2, augment), shuffled(resident, 1, 2, augment)),
    ):
        for (pixels, targets), (pixels_again, targets_again) in zip(ours, theirs, strict=True):
            assert pixels.dtype == pixels_again.dtype == torch.float32
            assert pixels.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(pixels, pixels_again)
            assert torch.equal(targets, targets_again)


@pytest.mark.parametrize("start", [1, 3, 5])
def test_an_epoch_goes_on_from_any_batch_in_the_same_bits(start: int) -> None:
    b = batches()
    whole = list(shuffled(b, 1, 2, FULL))
    rest = list(shuffled(b, 1, 2, FULL, start))
    assert len(rest) == 5 - start
    for (pixels, targets), (pixels_again, targets_again) in zip(whole[start:], rest, strict=True):
        assert torch.equal(pixels, pixels_again)
        assert torch.equal(targets, targets_again)
