"""Each augmentation against its definition, or against torchvision's."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from landuse import params
from landuse.core.errors import UserError
from landuse.params.recipe import Augment, RandAugment
from landuse.training.augment import DRAWS, apply, mix
from landuse.training.augment.colour import turn_hue


def draws(count: int, **fixed: float) -> Tensor:
    """Random numbers of so many tiles; a column by its name in draws.py is set to a value."""
    from landuse.training.augment import draws as columns

    numbers = torch.from_numpy(np.random.default_rng(0).random((count, DRAWS), dtype=np.float32))
    for name, value in fixed.items():
        numbers[:, getattr(columns, name)] = value
    return numbers


def tiles(count: int = 4, channels: int = 3, side: int = 16, top: float = 255.0) -> Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(1)) * top


def test_dihedral_gives_exactly_the_eight_views_equally_often() -> None:
    tile = torch.arange(2 * 5 * 5, dtype=torch.float32).view(1, 2, 5, 5)
    views = apply(Augment(dihedral=True), tile.expand(4000, -1, -1, -1), draws(4000), rgb=True)
    expected = {
        view.contiguous().numpy().tobytes()
        for turns in range(4)
        for view in (tile[0].rot90(turns, (1, 2)), tile[0].flip(2).rot90(turns, (1, 2)))
    }
    counted = Counter(view.contiguous().numpy().tobytes() for view in views)
    assert len(expected) == 8
    assert set(counted) == expected
    assert min(counted.values()) > 400


@pytest.mark.parametrize("name", list(params.read().augmentations))
def test_a_preset_changes_tiles_within_their_range_and_leaves_white_white(name: str) -> None:
    settings = params.read().augmentations[name]
    pixels = tiles(64, side=32)
    changed = apply(settings, pixels, draws(64), rgb=True)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.float32
    assert (name == "none") == torch.equal(changed, pixels)
    assert changed.min() >= 0
    assert changed.max() <= 255 + 1e-3
    geometry = settings.model_copy(update={"brightness": 0.0, "contrast": 0.0, "randaugment": None})
    white = torch.full((64, 3, 32, 32), 255.0)
    assert torch.allclose(apply(geometry, white, draws(64), rgb=True), white, atol=1e-3)


def test_a_turn_of_ninety_degrees_is_exact_and_half_way_is_none() -> None:
    ramp = torch.arange(33.0).view(1, 1, 1, 33).expand(1, 3, 33, 33)
    still = apply(Augment(rotate=90.0), ramp, draws(1, ANGLE=0.5), rgb=True)
    assert torch.allclose(still, ramp, atol=1e-3)
    turned = apply(Augment(rotate=90.0), ramp, draws(1, ANGLE=1.0), rgb=True)
    assert torch.allclose(turned, ramp.rot90(1, (2, 3)), atol=1e-3) or torch.allclose(
        turned, ramp.rot90(-1, (2, 3)), atol=1e-3
    )


def test_a_shift_moves_by_whole_pixels_and_reflects() -> None:
    ramp = torch.arange(20.0).view(1, 1, 1, 20).expand(1, 3, 20, 20)
    shifted = apply(Augment(translate=0.1), ramp, draws(1, SHIFT_X=1.0, SHIFT_Y=0.5), rgb=True)
    assert torch.allclose(shifted[0, 0, 0, :18], torch.arange(2.0, 20.0), atol=1e-3)
    assert torch.allclose(shifted[0, 0, 0, 18:], torch.tensor([19.0, 18.0]), atol=1e-3)


@pytest.mark.parametrize(("left", "first"), [(0.0, 0.25), (1.0, 8.25)])
def test_a_crop_is_a_window_of_the_tile_enlarged(left: float, first: float) -> None:
    """A quarter of the area is half of each side: steps of half a pixel, from one end to the other."""
    ramp = torch.arange(17.0)[:16].view(1, 1, 1, 16).expand(1, 3, 16, 16)
    fixed = {"AREA": 0.0, "RATIO": 0.5, "LEFT": left, "TOP": 0.5}
    window = apply(Augment(crop=0.25), ramp, draws(1, **fixed), rgb=True)[0, 0, 0]
    assert float(window[1]) == pytest.approx(first, abs=1e-3)
    assert torch.allclose(window.diff()[1:-1], torch.full((13,), 0.5), atol=1e-3)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize("draw", [0.0, 0.3, 1.0])
def test_colour_jitter_follows_torchvision(name: str, draw: float) -> None:
    factor = 1 + (draw * 2 - 1) * 0.4
    ours = apply(Augment.model_validate({name: 0.4}), tiles(), torch.full((4, DRAWS), draw), rgb=True)
    theirs = getattr(v2.functional, f"adjust_{name}")(tiles() / 255, factor) * 255
    assert torch.allclose(ours, theirs, atol=0.5)


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.1, 0.37])
def test_hue_turns_as_torchvision_turns_it(turn: float) -> None:
    pixels = tiles()
    pixels[0] = 77.0  # grey has no hue
    ours = turn_hue(pixels, torch.full((4,), turn))
    theirs = v2.functional.adjust_hue(pixels / 255, turn) * 255
    assert torch.allclose(ours, theirs, atol=0.01)


def test_an_erased_box_holds_the_mean_and_has_the_size_that_was_asked_for() -> None:
    pixels = tiles(500, side=32)
    erased = apply(Augment(erase=0.5), pixels, draws(500), rgb=True)
    changed = (erased != pixels).any(dim=1)
    hit = changed.flatten(1).any(dim=1)
    assert 200 < int(hit.sum()) < 300
    shares = changed[hit].float().mean(dim=(1, 2))
    assert float(shares.min()) > 0.01
    assert float(shares.max()) < 0.36
    first = int(hit.nonzero()[0])
    rows, columns = changed[first].nonzero(as_tuple=True)
    box = erased[first, :, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert torch.allclose(box, pixels[first].mean(dim=(1, 2)).view(3, 1, 1).expand_as(box), atol=1e-3)


def test_thirteen_bands_are_augmented_too() -> None:
    pixels = tiles(8, channels=13, top=9000.0)
    settings = params.read().augmentations["d004"]
    changed = apply(settings, pixels, draws(8), rgb=False)
    assert changed.shape == pixels.shape
    assert changed.max() > 255


def test_randaugment_needs_rgb_and_leaves_torchs_generator_alone() -> None:
    settings = Augment(randaugment=RandAugment(ops=2, magnitude=9))
    with pytest.raises(UserError, match="RGB"):
        apply(settings, tiles(2, channels=13), draws(2), rgb=False)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = apply(settings, tiles(32), draws(32), rgb=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, apply(settings, tiles(32), draws(32), rgb=True))
    assert not torch.equal(first, tiles(32).round())


@pytest.mark.parametrize("settings", [Augment(mixup=0.4), Augment(cutmix=1.0), Augment(mixup=0.4, cutmix=1.0)])
def test_mixed_labels_tell_what_the_pixels_hold(settings: Augment) -> None:
    """Tiles of one value each: the mean of a mixed tile tells its shares."""
    values = torch.arange(8.0)
    pixels = values.view(8, 1, 1, 1).expand(8, 3, 16, 16).clone()
    for seed in range(8):
        torch.manual_seed(seed)
        mixed, shares = mix(settings, pixels, torch.arange(8), 8)
        assert torch.allclose(shares.sum(dim=1), torch.ones(8))
        assert torch.allclose(mixed.mean(dim=(1, 2, 3)), shares @ values, atol=1e-4)


def test_without_mixing_labels_stay_numbers() -> None:
    pixels, targets = mix(Augment(dihedral=True), tiles(), torch.arange(4), 4)
    assert targets.dtype == torch.int64
    assert torch.equal(pixels, tiles())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_three_bands_that_are_no_picture_keep_their_range_and_have_no_hue(dtype: torch.dtype) -> None:
    top = 255.0 if dtype == torch.uint8 else 9000.0
    pixels = tiles(8, top=top).to(dtype)
    same = apply(Augment(hue=0.5), pixels, draws(8), rgb=False)
    assert torch.equal(same, pixels.float())
    brighter = apply(Augment(brightness=1.0), pixels, draws(8, BRIGHTNESS=1.0), rgb=False)
    assert torch.equal(brighter, (2 * pixels.float()).clamp(max=255.0 if dtype == torch.uint8 else 65535.0))


def test_light_of_many_bands_changes_as_light_does() -> None:
    """Brightness is one factor of all bands; contrast keeps each band's mean; saturation and hue are not for them."""
    pixels = tiles(4, channels=13, top=4000.0) * torch.linspace(0.2, 1, 13).view(1, 13, 1, 1)
    brighter = apply(Augment(brightness=0.3), pixels, draws(4), rgb=False)
    factors = (brighter / pixels).flatten(1)
    assert torch.allclose(factors, factors[:, :1].expand_as(factors))
    assert factors[:, 0].unique().numel() == 4
    flatter = apply(Augment(contrast=0.3), pixels, draws(4, CONTRAST=0.0), rgb=False)
    mean = pixels.mean(dim=(2, 3), keepdim=True)
    assert torch.allclose(flatter, mean + 0.7 * (pixels - mean), atol=0.01)
    assert torch.equal(apply(Augment(saturation=0.5, hue=0.5), pixels, draws(4), rgb=False), pixels)


def test_layers_turn_with_the_tile_and_keep_their_values() -> None:
    pixels = tiles(4, channels=5, top=4000.0)
    colours = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}
    changed = apply(Augment.model_validate({"dihedral": True} | colours), pixels, draws(4), rgb=False, layers=2)
    turned = apply(Augment(dihedral=True), pixels, draws(4), rgb=False, layers=2)
    assert torch.equal(changed[:, 3:], turned[:, 3:])
    assert not torch.isclose(changed[:, :3], turned[:, :3]).all(dim=(1, 2, 3)).any()
    assert not torch.equal(turned, pixels)
