"""Statistics of the channels that a network gets, against their definitions."""

from typing import Any

import numpy as np
import pytest
import torch
from trained import network, spec

from landuse import sensors
from landuse.core.errors import UserError
from landuse.model.backbones import Backbone, build
from landuse.model.channels import Channels
from landuse.training.normalisation import Numbers, normalisation

RANDOM = np.random.default_rng(2)
LEVEL, SPREAD = np.array([1000.0, 3000.0]), np.array([100.0, 400.0])
IMAGES = RANDOM.normal(LEVEL, SPREAD, (40, 16, 16, 2)).astype(np.uint16)
ROWS = list(range(30))
NAMES = ("B04", "B08")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return build("test_resnet", 3)


def asked(backbone: Backbone, how: Any, names: Any = NAMES, images: Any = IMAGES) -> Numbers:
    return normalisation(how, backbone, images, ROWS, names, None)


def test_tiles_give_mean_and_deviation_of_the_training_tiles_alone(backbone: Backbone) -> None:
    images = IMAGES.copy()
    images[30:] = 9000
    mean, std = asked(backbone, "auto", images=images)
    np.testing.assert_allclose(mean, IMAGES[:30].mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, IMAGES[:30].std(axis=(0, 1, 2)), rtol=1e-6)


def test_percentiles_are_the_same_without_clouds_and_not_moved_by_them(backbone: Backbone) -> None:
    clouded = IMAGES.copy()
    clouded[0] = 15_000  # one tile of thirty
    for images in (IMAGES, clouded):
        mean, std = asked(backbone, "percentiles", images=images)
        np.testing.assert_allclose(mean, LEVEL, rtol=0.02)
        np.testing.assert_allclose(std, SPREAD, rtol=0.1)
    assert min(asked(backbone, "tiles", images=clouded)[1]) > 2000


def test_the_weights_statistics_go_with_the_colours_whatever_their_order(backbone: Backbone) -> None:
    eight = np.zeros((40, 4, 4, 3), np.uint8)
    mean, std = asked(backbone, "auto", sensors.RGB, eight)
    assert (mean, std) == ([m * 255 for m in backbone.mean], [s * 255 for s in backbone.std])
    assert asked(backbone, "weights", ("B02", "B03", "B04"), eight) == (mean[::-1], std[::-1])
    # digital numbers that EuroSAT's scaling turns into the mean, but for rounding
    numbers, width = asked(backbone, "weights", sensors.RGB, eight.astype(np.uint16))
    assert np.abs(sensors.to_rgb(np.array(numbers)) - np.array(mean)).max() <= 0.5
    bright = sensors.to_rgb(np.array(numbers) + np.array(width)).astype(float)
    assert np.abs(bright - np.array(mean) - np.array(std)).max() <= 1


def test_indices_have_statistics_of_their_own(backbone: Backbone) -> None:
    channels = Channels(NAMES, [("NDVI", "(B08 - B04) / (B08 + B04)")], 0)
    mean, std = normalisation("auto", backbone, IMAGES, ROWS, ["NDVI"], channels)
    red, nir = (IMAGES[:30, ..., at].astype(float) for at in (0, 1))
    index = (nir - red) / (nir + red)
    assert (mean, std) == (pytest.approx([index.mean()], abs=1e-4), pytest.approx([index.std()], abs=1e-4))


@pytest.mark.parametrize("how", ["weights", "unscaled"])
def test_of_layers_the_weights_know_nothing(backbone: Backbone, how: Any) -> None:
    names, images = (*sensors.RGB, "dem", "ndvi"), np.concatenate([IMAGES[..., :1]] * 3 + [IMAGES], axis=3)
    mean, std = normalisation(how, backbone, images, ROWS, names, None, 2)
    light, alone = asked(backbone, how, sensors.RGB, images[..., :3]), asked(backbone, "tiles")
    assert (mean, std) == (light[0] + alone[0], light[1] + alone[1])


def test_a_layer_of_one_value_is_told_with_its_key(backbone: Backbone) -> None:
    flat = np.where(np.arange(2) == 1, 7, IMAGES).astype(np.uint16)
    with pytest.raises(UserError, match=r"dem has one value .* leave it out of data\.layers"):
        normalisation("tiles", backbone, flat, ROWS, ["B04", "dem"], None, 1)


@pytest.mark.parametrize(
    ("how", "names", "images", "told"),
    [
        ("weights", NAMES, IMAGES, "red, green and blue alone, but the channels are B04, B08"),
        ("tiles", NAMES, np.where(np.arange(2) == 1, 7, IMAGES).astype(np.uint16), "B08 has one value"),
        ("percentiles", NAMES, np.where(np.arange(2) == 1, 7, IMAGES).astype(np.uint16), "B08 has one value"),
    ],
)
def test_what_cannot_be_normalised_is_told(backbone: Backbone, how: str, names: Any, images: Any, told: str) -> None:
    with pytest.raises(UserError, match=told):
        asked(backbone, how, names, images)


def test_a_model_on_disk_keeps_what_it_sees_of_its_bands() -> None:
    channels = [("B04", "B04"), ("NDVI", "(B08 - B04) / (B08 + B04)")]
    described = spec(bands=13, channels=channels, mean=[900.0, 0.2], std=[300.0, 0.3])
    model = network(type(described).parse(described.model_dump_json().encode()))
    assert model.bands == 13
    assert model(torch.ones(2, 13, 32, 32)).shape == (2, 2)
