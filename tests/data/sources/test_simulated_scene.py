"""Simulated scenes as files: what is true of them, and of their second date."""

import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from conftest import DEFAULTS
from scipy.ndimage import label

from landuse import sensors
from landuse.core.errors import UserError
from landuse.data.sources.sample import fields, landscape, radiometry, scene, simulation, surroundings
from landuse.data.sources.sample.landscape import CITY, CLASSES, FARMLAND
from landuse.data.sources.sample.scene import write_scene

SHARE = 0.1
SIZE = 300
Image = np.ndarray[Any, Any]


def read(path: Path) -> Image:
    with rasterio.open(path) as file:
        return file.read()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two") / "scene"
    write_scene(folder, seed=3, size=SIZE, after=SHARE)
    return folder


def test_the_labels_are_those_of_params_yaml() -> None:
    mapping = yaml.safe_load((DEFAULTS / "params.yaml").read_text())["mapping"]
    table = mapping["tables"][mapping["preset"]]
    assert {CLASSES[k] for k in FARMLAND} == set(table["Farmland"])
    assert {CLASSES[k] for k in CITY} < set(table["City"])


def test_the_first_date_is_what_it_was_before_there_was_a_second(two: Path, tmp_path: Path) -> None:
    write_scene(tmp_path / "one", seed=3, size=SIZE)
    for name in ("scene.tif", "land_use.tif"):
        assert (tmp_path / "one" / name).read_bytes() == (two / name).read_bytes()
    digests = [hashlib.sha256(read(two / name).tobytes()).hexdigest()[:16] for name in ("scene.tif", "land_use.tif")]
    assert digests == ["2587008b8af499bf", "0b1796baee0b66e6"]  # of the first release


def test_its_layers_are_written_in_parts_and_are_those_of_its_tiles(two: Path, tmp_path: Path) -> None:
    write_scene(tmp_path / "one", seed=3, size=SIZE, layers=True)
    assert (tmp_path / "one" / "scene.tif").read_bytes() == (two / "scene.tif").read_bytes()
    drawn = simulation.draw(3, 0, SIZE, scene._ZONE, scene._weights(SIZE, None))
    for name, kind in surroundings.KINDS.items():
        whole = surroundings.in_memory(kind, surroundings.draw(3, 0, drawn), drawn)
        with rasterio.open(tmp_path / "one" / f"{name}.tif") as file, whole.open() as other:
            assert np.array_equal(file.read(1), other.read(1)) and file.profile["nodata"] == kind.nodata
            assert (file.transform, file.crs, file.scales) == (other.transform, other.crs, other.scales)
            with rasterio.open(two / "scene.tif") as land:
                assert file.bounds.left < land.bounds.left and file.bounds.bottom < land.bounds.bottom
                assert file.res[0] == 10 * kind.pixels


def test_a_larger_scene_has_the_same_relief_in_whichever_part_it_is_drawn() -> None:
    drawn = simulation.draw(5, 0, 900, 130, scene._weights(900, None))
    found = surroundings.draw(5, 0, drawn)
    cells = np.arange(0, 300)
    whole = found.elevation(cells, cells)
    assert np.array_equal(found.elevation(cells[200:260], cells[40:]), whole[200:260, 40:])
    assert np.isfinite(whole).all() and 5 < whole.std() < 200


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
    assert alike(land_use != later) < alike(lasting) - 0.2


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


@pytest.fixture
def blockwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """As large scenes are made: fields that repeat themselves, and several blocks."""
    monkeypatch.setattr(landscape, "_PERIOD", 128)
    monkeypatch.setattr(scene, "_ROWS", 64)
    monkeypatch.setattr(scene, "_COLUMNS", 96)


@pytest.mark.long
@pytest.mark.usefixtures("blockwise")
def test_blocks_fit_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the same scene in one block: nothing but the noise is other, at the borders of blocks as elsewhere."""
    write_scene(tmp_path / "blocks", seed=3, size=200, after=0.3)
    monkeypatch.setattr(scene, "_ROWS", 200)
    monkeypatch.setattr(scene, "_COLUMNS", 200)
    write_scene(tmp_path / "whole", seed=3, size=200, after=0.3)
    for name in ("land_use.tif", "after_land_use.tif"):
        assert np.array_equal(read(tmp_path / "blocks" / name), read(tmp_path / "whole" / name))
    for name in ("scene.tif", "after.tif"):
        blocks, whole = (read(tmp_path / folder / name).astype(float) for folder in ("blocks", "whole"))
        noise = (blocks - whole) / (np.sqrt(2) * radiometry._NOISE[:, None, None] + 1)
        assert np.abs(noise).max() < 6
        border = np.concatenate([noise[:, 63:65].ravel(), noise[:, :, 95:97].ravel()])
        assert border.std() < 1.05 * noise.std()


@pytest.mark.usefixtures("blockwise")
def test_fields_repeat_without_a_seam_and_the_land_does_not() -> None:
    plan = simulation.draw(5, 0, 384, 130, scene._weights(384, None)).plan
    every = np.arange(384)
    for field in (plan.bend, plan.warp, plan.patchy, plan.winding, plan.hills):
        values = fields.at(field, every, every)
        assert np.array_equal(values[:128], values[128:256])
        for axis in (0, 1):
            steps = np.abs(np.diff(values, axis=axis)).mean(axis=1 - axis)
            assert steps[[127, 255]].max() < 1.5 * steps.mean()
    land_use = landscape.paint(plan, every, every).land_use
    assert (land_use[:128] == land_use[128:256]).mean() < 0.5


@pytest.mark.long
@pytest.mark.usefixtures("blockwise")
def test_memory_does_not_grow_with_the_scene(tmp_path: Path) -> None:
    peaks = []
    for size in (200, 300):
        tracemalloc.start()
        write_scene(tmp_path / str(size), seed=5, size=size)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


@pytest.mark.usefixtures("blockwise")
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5])
def test_so_much_of_the_land_is_city(share: float) -> None:
    places = np.arange(8, 1024, 16)
    for seed in range(3):
        plan = simulation.draw(seed, 0, 1024, 130, scene._weights(1024, share), evenly=True).plan
        city = np.isin(landscape.paint(plan, places, places).land_use, CITY).mean()
        assert city == pytest.approx(share, rel=0.25, abs=0.015)


@pytest.mark.usefixtures("blockwise")
@pytest.mark.parametrize(("share", "lowest"), [(0.0, 0.0), (0.001, 0.0001), (0.6, 0.58), (1.0, 0.98)])
def test_any_share_of_the_farmland(share: float, lowest: float) -> None:
    first = simulation.draw(1, 0, 256, 130, scene._weights(256, 0.1), evenly=True)
    later = simulation.later(1, 0, first, share)
    every = np.arange(256)
    before = landscape.paint(first.plan, every, every)
    after = landscape.build(later.plan, before, every, every)
    farm = np.isin(before.land_use, FARMLAND)
    changed = (before.land_use != after.land_use)[farm].mean()
    assert lowest <= changed <= share + 0.02


@pytest.mark.usefixtures("blockwise")
def test_blocks_of_a_city_go_on_with_its_zone_or_are_their_own() -> None:
    first = simulation.draw(2, 0, 1024, 130, scene._weights(1024, 0.2), evenly=True)
    plan = simulation.later(2, 0, first, 0.1).plan
    zones, old = np.unique(plan.grown[plan.grown > 0]) - 1, len(first.plan.zone_class)
    assert np.isin(plan.zone_class[zones], CITY).all()
    assert (zones < old).any() and (zones >= old).any()
    assert len(plan.angle) == plan.style.shape[1] == len(plan.steep) == len(plan.zone_class)


def test_no_farmland_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no farmland.*another --seed, or a lower --city"):
        write_scene(tmp_path / "out", seed=3, size=256, city=1.0, after=0.1)
    assert list(tmp_path.iterdir()) == []
