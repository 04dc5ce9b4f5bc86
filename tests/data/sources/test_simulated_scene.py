"""Simulated scenes as files: what is true of them, and of their second date."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from conftest import DEFAULTS
from scipy.ndimage import label

from landuse import sensors
from landuse.data.sources.sample.landscape import CITY, CLASSES, FARMLAND
from landuse.data.sources.sample.scene import write_scene

SHARE = 0.05
Image = np.ndarray[Any, Any]


def read(path: Path) -> Image:
    with rasterio.open(path) as file:
        return file.read()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two") / "scene"
    write_scene(folder, seed=3, size=512, after=SHARE)
    return folder


def test_the_labels_are_those_of_params_yaml() -> None:
    mapping = yaml.safe_load((DEFAULTS / "params.yaml").read_text())["mapping"]
    table = mapping["tables"][mapping["preset"]]
    assert {CLASSES[k] for k in FARMLAND} == set(table["Farmland"])
    assert {CLASSES[k] for k in CITY} < set(table["City"])


def test_the_first_date_is_what_it_was_before_there_was_a_second(two: Path, tmp_path: Path) -> None:
    write_scene(tmp_path / "one", seed=3, size=512)
    for name in ("scene.tif", "land_use.tif"):
        assert (tmp_path / "one" / name).read_bytes() == (two / name).read_bytes()
    digests = [hashlib.sha256(read(two / name).tobytes()).hexdigest()[:16] for name in ("scene.tif", "land_use.tif")]
    assert digests == ["fcb902608bd1b1c9", "e1e632c1ce5588b0"]  # of the first release


def test_farmland_became_city_in_connected_blocks_and_nothing_else_changed(two: Path) -> None:
    before, after = read(two / "land_use.tif")[0], read(two / "after_land_use.tif")[0]
    changed, farm = before != after, np.isin(before, FARMLAND)
    assert farm[changed].all()
    assert np.isin(after[changed], CITY).all()
    assert changed.sum() / farm.sum() == pytest.approx(SHARE, rel=0.1)
    blocks, _ = label(changed, np.ones((3, 3)))
    pixels = np.sort(np.bincount(blocks.ravel())[1:])[::-1]
    large = pixels[pixels >= 1000]  # 10 hectares
    assert 1 <= len(large) <= 8
    assert large.sum() > 0.97 * changed.sum()


def test_the_transitions_are_those_of_the_maps(two: Path) -> None:
    lines = (two / "transitions.csv").read_text().splitlines()
    assert lines[0] == "from,to,hectares"
    told = {tuple(line.split(",")[:2]): float(line.split(",")[2]) for line in lines[1:]}
    before, after = read(two / "land_use.tif")[0], read(two / "after_land_use.tif")[0]
    pairs, pixels = np.unique(np.stack([before, after]).reshape(2, -1), axis=1, return_counts=True)
    assert told == {(CLASSES[a], CLASSES[b]): pytest.approx(n / 100) for (a, b), n in zip(pairs.T, pixels, strict=True)}


def test_the_second_date_shows_the_same_land_in_another_state(two: Path) -> None:
    before, after = read(two / "scene.tif").astype(float), read(two / "after.tif").astype(float)
    land_use, later = read(two / "land_use.tif")[0], read(two / "after_land_use.tif")[0]
    red = sensors.BANDS.index("B04")

    def alike(land: Image) -> float:
        return float(np.corrcoef(before[red][land], after[red][land])[0, 1])

    crops, lasting = np.isin(land_use, FARMLAND) & (land_use == later), np.isin(land_use, CITY)
    assert 0.1 < alike(crops) < 0.8
    assert 0.8 < alike(lasting) < 0.999
    assert abs(alike(land_use != later)) < 0.3


def offset(a: Image, b: Image) -> Image:
    """How far b lies down and right of a, pixels: the slope of the phase of their cross spectrum, low frequencies."""
    window = np.outer(np.hanning(len(a)), np.hanning(len(a)))
    first, second = (np.fft.fft2(window * (image - image.mean())) for image in (a, b))
    fy, fx = np.meshgrid(np.fft.fftfreq(len(a)), np.fft.fftfreq(len(a)), indexing="ij")
    low = (np.hypot(fy, fx) > 0.02) & (np.hypot(fy, fx) < 0.25)
    cross = (first.conj() * second)[low]
    slopes = -2 * np.pi * np.stack([fy[low], fx[low]], 1) * np.abs(cross)[:, None] ** 0.5
    return np.linalg.lstsq(slopes, np.angle(cross) * np.abs(cross) ** 0.5, rcond=None)[0]


def test_the_second_date_is_shifted_as_its_file_says(two: Path) -> None:
    with rasterio.open(two / "after.tif") as file:
        right, down = (float(file.tags()[f"shift_{axis}_metres"]) / 10 for axis in ("x", "y"))
    assert max(abs(right), abs(down)) < 0.5
    assert np.hypot(right, down) > 0.1
    for band in ("B08", "B02"):
        k = sensors.BANDS.index(band)
        found = offset(read(two / "scene.tif")[k].astype(float), read(two / "after.tif")[k].astype(float))
        assert found == pytest.approx([-down, right], abs=0.1)  # metres of y grow to the north
