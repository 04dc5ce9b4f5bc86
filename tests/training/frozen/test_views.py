"""The views of an augmentation: as many as there are, and each tile's own where they are chosen."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from landuse import params
from landuse.params import Augment
from landuse.training.augment import DRAWS, apply
from landuse.training.augment import draws as d
from landuse.training.frozen.views import views

COLOURS = Augment(hflip=True, rotate=15, brightness=0.2)


def drawn(count: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, DRAWS), dtype=np.float32)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (Augment(), 1),
        (Augment(hflip=True), 2),
        (Augment(vflip=True), 2),
        (Augment(hflip=True, vflip=True), 4),
        (Augment(dihedral=True), 8),
        (Augment(dihedral=True, hflip=True), 8),
    ],
)
def test_the_numbers_of_a_view_do_what_the_draws_did(settings: Augment, count: int) -> None:
    """To the bit, for tiles of every kind that is stored; and all the views there are occur."""
    found = views(settings, None, 0)
    assert found is not None
    assert found.count == count
    numbers = drawn(400)
    numbers[:3, :3] = [[0.0] * 3, [0.5] * 3, [np.nextafter(np.float32(0.5), np.float32(0))] * 3]
    chosen = found.of(numbers)
    assert set(chosen) == set(range(count))
    again = found.numbers(np.arange(400), chosen)
    assert again.dtype == np.float32
    assert np.array_equal(found.of(again), chosen)
    rng = np.random.default_rng(1)
    for tiles in (rng.integers(0, 256, (400, 3, 6, 6), np.uint8), rng.integers(0, 9999, (400, 13, 6, 6), np.uint16)):
        pixels = torch.from_numpy(tiles)
        plain, kept = (apply(settings, pixels, torch.from_numpy(of), rgb=True) for of in (numbers, again))
        assert torch.equal(plain, kept)
    one = torch.from_numpy(tiles[:1]).expand(400, -1, -1, -1)
    seen = apply(settings, one, torch.from_numpy(numbers), rgb=True).contiguous()
    assert len({view.numpy().tobytes() for view in seen}) == count


def test_the_first_view_is_the_tile_itself() -> None:
    found = views(Augment(dihedral=True), None, 0)
    assert found is not None
    pixels = torch.rand(5, 3, 8, 8)
    numbers = torch.from_numpy(found.numbers(np.arange(5), np.zeros(5, np.int64)))
    assert torch.equal(apply(Augment(dihedral=True), pixels, numbers, rgb=True), pixels)


def test_chosen_views_depend_on_seed_row_and_view_alone() -> None:
    found = views(COLOURS, 4, 7)
    assert found is not None
    rows, numbers = np.arange(100), np.random.default_rng(0).integers(0, 4, 100)
    all_ = found.numbers(rows, numbers)
    assert all_.shape == (100, DRAWS)
    assert all_.min() >= 0
    assert all_.max() < 1
    order = np.random.default_rng(1).permutation(100)[:30]
    assert np.array_equal(found.numbers(rows[order], numbers[order]), all_[order])
    larger = views(COLOURS, 9, 7)  # of a larger store, and one of more views
    assert larger is not None
    assert np.array_equal(larger.numbers(rows, numbers), all_)
    other = views(COLOURS, 4, 8)
    assert other is not None
    tables = [found.numbers(rows, np.full(100, view)) for view in range(4)] + [other.numbers(rows, numbers)]
    assert len({row.tobytes() for table in tables for row in table}) == 500


@pytest.mark.parametrize("count", [1, 3, 8, 1000])
def test_draws_take_every_chosen_view_equally_often(count: int) -> None:
    found = views(COLOURS, count, 0)
    assert found is not None
    taken = np.bincount(found.of(drawn(count * 300)), minlength=count)
    assert len(taken) == count
    assert taken.min() > 200
    assert taken.max() < 400
    edge = np.zeros((2, DRAWS), np.float32)
    edge[1, d.VIEW] = np.nextafter(np.float32(1), np.float32(0))
    assert found.of(edge).tolist() == [0, count - 1]


def test_flips_are_never_approximated() -> None:
    assert views(Augment(dihedral=True), 2, 0) == views(Augment(dihedral=True), None, 0)


def test_endless_views_and_mixed_batches_are_none() -> None:
    presets = params.read().augmentations
    for name, settings in presets.items():
        assert (views(settings, None, 0) is None) == (name not in ("none", "dihedral")), name
        assert (views(settings, 4, 0) is None) == bool(settings.mixup or settings.cutmix), name
