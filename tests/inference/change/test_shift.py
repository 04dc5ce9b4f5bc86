"""Shifts between two pictures, where they are known."""

import numpy as np
import pytest
from PIL import Image

from landuse.inference.change.shift import between


def land(size: int = 256, seed: int = 0) -> np.ndarray:
    """(size, size) pixels of patches that are some ten pixels wide, with a little noise."""
    rng = np.random.default_rng(seed)
    coarse = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)) * size
    smooth = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * (coarse < size / 12)).real
    return 100 + 25 * np.rint(2 * smooth / smooth.std()) / 2 + rng.normal(0, 4, (size, size))


def moved(pixels: np.ndarray, right: float, down: float) -> np.ndarray:
    """Around the border, to a fraction of a pixel."""
    rows, cols = np.fft.fftfreq(len(pixels)), np.fft.fftfreq(pixels.shape[1])
    turn = np.exp(-2j * np.pi * (down * rows[:, None] + right * cols))
    return np.fft.ifft2(np.fft.fft2(pixels) * turn).real


def picture(pixels: np.ndarray, hidden: slice = slice(0, 0)) -> Image.Image:
    grey = np.rint(pixels.clip(0, 255)).astype(np.uint8)
    shown = np.full_like(grey, 255)
    shown[hidden] = 0
    return Image.fromarray(np.dstack([grey, grey, grey, shown]))


@pytest.mark.parametrize(("right", "down"), [(0.0, 0.0), (0.3, -0.4), (-2.0, 5.0), (17.25, 3.5)])
def test_a_shift_is_found_to_a_tenth_of_a_pixel_though_fields_turn_dark(right: float, down: float) -> None:
    first = land()
    later = moved(first, right, down)
    found = between(picture(first), picture(np.where(later > 110, 0.5 * later, later)), (2560.0, 2560.0))
    assert found is not None
    assert (found.x, found.y) == pytest.approx((10 * right, -10 * down), abs=1.0)


def test_what_either_picture_does_not_show_is_left_out() -> None:
    first = land(600)
    second = moved(first, 1.5, 0.0)
    found = between(picture(first, slice(0, 250)), picture(second, slice(400, 430)), (600.0, 600.0))
    assert found is not None and (found.x, found.y) == pytest.approx((1.5, 0.0), abs=0.1)


@pytest.mark.parametrize(
    "second", [picture(land(seed=1)), picture(np.full((256, 256), 90.0)), picture(land(), slice(0, 200))]
)
def test_a_shift_that_cannot_be_told_is_not_told(second: Image.Image) -> None:
    assert between(picture(land()), second, (2560.0, 2560.0)) is None


def test_pictures_of_other_sizes_are_brought_to_one() -> None:
    first = land(256)
    halved = moved(first, 4.0, 0.0).reshape(128, 2, 128, 2).mean(axis=(1, 3))
    found = between(picture(first), picture(halved), (2560.0, 2560.0))
    assert found is not None and (found.x, found.y) == pytest.approx((40.0, 0.0), abs=2.5)
