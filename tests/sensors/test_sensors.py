"""Bands and indices by name, and what pixels of them look like."""

from typing import Any, get_args

import numpy as np
import pytest

from landuse import sensors
from landuse.core.errors import UserError
from landuse.params.data import BandPreset
from landuse.sensors.choice import PRESETS

RANDOM = np.random.default_rng(5)


def test_every_preset_is_one_of_params_yaml_and_stays_what_it_was() -> None:
    assert list(PRESETS) == list(get_args(BandPreset))
    rgb, every = sensors.choose("rgb"), sensors.choose("all")
    assert (rgb.bands, rgb.dtype, rgb.units, rgb.channels) == (sensors.RGB, np.uint8, sensors.RGB_UNITS, None)
    assert (every.bands, every.dtype, every.units, every.channels) == (sensors.BANDS, np.uint16, sensors.UNITS, None)
    assert sensors.choose("ten_metre").bands == ("B02", "B03", "B04", "B08")
    assert sensors.choose("twenty_metre").bands == ("B05", "B06", "B07", "B11", "B12", "B8A")
    assert len(sensors.choose("no_cirrus").bands) == 12


def test_three_bands_by_name_are_digital_numbers_and_no_picture() -> None:
    chosen = sensors.choose(["B04", "B03", "B02"])
    assert (chosen.bands, chosen.dtype) == (sensors.RGB, np.uint16)
    assert not sensors.is_rgb(chosen.bands, chosen.dtype)
    assert sensors.is_rgb(sensors.RGB, "uint8") and sensors.is_rgb(["red", "green", "blue"], "uint8")
    assert not sensors.is_rgb(["B02", "B03", "B04"], "uint8")


def test_what_an_index_needs_is_stored_and_not_seen() -> None:
    chosen = sensors.choose(["NDVI", "B02", "BSI"])
    assert chosen.bands == ("B02", "B08", "B04", "B11")
    assert chosen.channels == (
        ("NDVI", ("B08",), ("B04",)),
        ("B02", ("B02",), ()),
        ("BSI", ("B11", "B04"), ("B08", "B02")),
    )


def test_landsat_is_another_table() -> None:
    chosen = sensors.choose(["SR_B4", "SR_B5", "NDVI", "MNDWI"])
    assert chosen.sensor is sensors.LANDSAT
    assert chosen.bands == ("SR_B4", "SR_B5", "SR_B3", "SR_B6")
    assert sensors.band("LC08_L2SP_193027_20200808_02_T1_SR_B5") == "SR_B5"  # near infrared, no red edge
    assert sensors.band("B5", sensors.LANDSAT) == sensors.band("nir08", sensors.LANDSAT) == "SR_B5"
    assert sensors.band("B10", sensors.LANDSAT) not in sensors.LANDSAT.names  # thermal
    assert sensors.band("B04", sensors.LANDSAT) == "B04"  # Landsat has no zeros there
    water = np.array([7273 + 364, 7273 - 200], dtype=np.uint16)  # reflectance 0.01 and below 0
    assert sensors.LANDSAT.digital_numbers(water).tolist() == [100, 1]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["B04", "B4"], "data.bands has 'B4', no band or index; did you mean 'B04'"),
        (["B04", "NDVJ"], "'NDVJ', no band or index; did you mean 'NDVI'"),
        (["B04", "B03", "B04"], "data.bands has B04 twice"),
        (["NDVI", "NDVI"], "data.bands has NDVI twice"),
        (["B04", "SR_B5"], "mixes sensors (B04 of Sentinel-2, SR_B5 of Landsat 8/9)"),
    ],
)
def test_a_wrong_list_of_bands_is_told(asked: list[str], told: str) -> None:
    with pytest.raises(UserError) as error:
        sensors.choose(asked)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("bands", "shown"),
    [
        (sensors.BANDS, [3, 2, 1]),
        (("SR_B2", "SR_B3", "SR_B4"), [2, 1, 0]),
        (("B8A", "B04", "B11", "B05"), [2, 3, 1]),  # B11, B05, B04: falling in wavelength
        (("B08", "B04"), [0]),
    ],
)
def test_pictures_show_true_colours_or_false_ones(bands: tuple[str, ...], shown: list[int]) -> None:
    assert sensors.shown(bands) == shown
    pixels = RANDOM.integers(1, 5000, (8, 8, len(bands)), dtype=np.uint16)
    picture: Any = sensors.picture(pixels, bands)
    assert (picture.shape, picture.dtype) == ((8, 8, 3), np.uint8)
    assert picture.std() > 20
    if sensors.visible(bands):
        assert np.array_equal(picture, sensors.to_rgb(pixels[..., shown]))


def test_reflectance_and_digital_numbers_come_to_the_same() -> None:
    numbers = RANDOM.integers(1, 9000, (2, 8, 8), dtype=np.uint16)
    names = ("B02", "B03")
    assert np.array_equal(sensors.stored(numbers, names, sensors.SENTINEL2), numbers)
    reflectance = numbers.astype(np.float32) / 10_000
    assert np.array_equal(sensors.stored(reflectance, names, sensors.SENTINEL2), numbers)


def test_layers_are_not_shown_where_there_are_bands() -> None:
    assert sensors.shown(["dem", "B8A", "B11", "B02", "ndvi"]) == [2, 1, 3]
    assert sensors.shown(["B11", "dem", "dem_slope"]) == [0]
