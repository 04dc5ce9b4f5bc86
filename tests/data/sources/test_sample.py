"""The simulated tiles: the same bytes every time, measured statistics, and no gift to a linear classifier."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import DEFAULTS
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.data.sources import sample
from landuse.data.sources.collection import Collection
from landuse.data.sources.sample.landscape import CLASSES
from landuse.data.sources.sample.radiometry import statistics
from landuse.data.sources.sample.scene import write_scene

CITY = ("Highway", "Industrial", "Residential")
FARMLAND = ("AnnualCrop", "Pasture", "PermanentCrop")
Data = Callable[..., params.Data]


def small(data: Data, tiles: int, **changes: object) -> params.Data:
    return data(sample={"tiles_per_class": tiles, "seed": 7}, **changes)


def made(tiles: int, bands: str) -> Collection:
    section = params.read(DEFAULTS / "params.yaml").data
    wanted = {"bands": bands, "sample": {"tiles_per_class": tiles, "seed": 7}}
    return sample.collection(params.Data.model_validate(section.model_dump() | wanted))


@pytest.fixture(scope="module")
def all_bands() -> Collection:
    return made(40, "all")


@pytest.fixture(scope="module")
def rgb() -> Collection:
    return made(60, "rgb")


def of_class(collection: Collection, name: str) -> np.ndarray:
    chosen = [n for n in collection.names if n.startswith(f"{name}/")]
    return np.stack([collection.read(n).pixels for n in chosen])


@pytest.mark.long
def test_every_class_has_its_number_of_different_tiles(all_bands: Collection) -> None:
    assert [len(of_class(all_bands, name)) for name in CLASSES] == [40] * 10
    assert len({all_bands.read(name).sha256 for name in all_bands.names}) == 400
    assert all_bands.names == sorted(all_bands.names)
    tile = all_bands.read(all_bands.names[0])
    assert tile.pixels.shape == (64, 64, 13)
    assert tile.pixels.dtype == np.uint16


@pytest.mark.long
def test_the_same_seed_gives_the_same_bytes_and_rgb_is_made_as_eurosat_made_it(data: Data) -> None:
    rgb, all_bands = sample.collection(small(data, 3)), sample.collection(small(data, 3, bands="all"))
    assert rgb.names == all_bands.names
    bands = [sensors.BANDS.index(band) for band in sensors.RGB]
    for name in rgb.names:
        assert np.array_equal(rgb.read(name).pixels, sensors.to_rgb(all_bands.read(name).pixels[..., bands]))
        assert rgb.read(name).georef == all_bands.read(name).georef
    again = sample.collection(small(data, 3))
    assert [again.read(n).sha256 for n in again.names] == [rgb.read(n).sha256 for n in rgb.names]
    other = sample.collection(data(sample={"tiles_per_class": 3, "seed": 8}))
    assert other.read(other.names[0]).sha256 != rgb.read(rgb.names[0]).sha256


@pytest.mark.long
@pytest.mark.parametrize("size", [8, 50, 128])
def test_tiles_of_other_sizes(data: Data, size: int) -> None:
    tiles = sample.collection(small(data, 2, tile_size=size))
    assert {tiles.read(name).pixels.shape for name in tiles.names} == {(size, size, 3)}
    assert len({tiles.read(name).sha256 for name in tiles.names}) == 20


def test_tiles_too_large_are_refused(data: Data) -> None:
    with pytest.raises(UserError, match=r"data.tile_size is 512.*256"):
        sample.collection(small(data, 2, tile_size=512))


@pytest.mark.long
def test_tiles_are_cut_from_scenes_and_do_not_overlap(all_bands: Collection) -> None:
    places = [all_bands.read(name).georef for name in all_bands.names]
    boxes = np.array([(p.left, p.bottom, p.right, p.top) for p in places if p])
    assert len(boxes) == 400
    assert set(boxes[:, 2] - boxes[:, 0]) == {640.0}
    for i, box in enumerate(boxes):
        apart = (boxes[:, 0] >= box[2]) | (boxes[:, 2] <= box[0]) | (boxes[:, 1] >= box[3]) | (boxes[:, 3] <= box[1])
        assert apart.sum() == 399, f"tile {i} overlaps another"


@pytest.mark.long
@pytest.mark.parametrize("name", [n for n in CLASSES if n not in ("Highway", "River")])
def test_bands_have_the_measured_statistics(all_bands: Collection, name: str) -> None:
    """Highway and River are left out: their tiles show other land uses as well."""
    tiles, measured = of_class(all_bands, name).astype(float), statistics()["classes"][name]
    between, within = np.array(measured["std_between_patches"]), np.array(measured["std_within_patch"])
    strong = [i for i, band in enumerate(sensors.BANDS) if band != "B10"]
    off = np.abs(tiles.mean(axis=(0, 1, 2)) - measured["mean"]) / np.hypot(between, within)
    assert off[strong].max() < 0.75
    ratio = tiles.std(axis=(1, 2)).mean(axis=0) / within
    assert ratio[strong].min() > 0.3
    assert ratio[strong].max() < 2.6
    spread = tiles.mean(axis=(1, 2)).std(axis=0) / between
    assert 0.35 < np.median(spread[strong]) < 1.8


def autocorrelation(tiles: np.ndarray, lag: int) -> float:
    """Mean over tiles of the correlation of pixels ``lag`` apart, along both axes."""
    centred = tiles - tiles.mean(axis=(1, 2), keepdims=True)
    power = (centred**2).mean(axis=(1, 2)) + 1e-9
    along = (centred[:, lag:] * centred[:, :-lag]).mean(axis=(1, 2)) + (
        centred[:, :, lag:] * centred[:, :, :-lag]
    ).mean(axis=(1, 2))
    return float(np.mean(along / 2 / power))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "lag1", "lag8"),
    [
        ("AnnualCrop", 0.961, 0.49),
        ("Forest", 0.744, 0.081),
        ("Industrial", 0.879, 0.183),
        ("Residential", 0.731, 0.117),
    ],
)
def test_red_is_autocorrelated_as_measured(all_bands: Collection, name: str, lag1: float, lag8: float) -> None:
    red = of_class(all_bands, name)[..., sensors.BANDS.index("B04")].astype(float)
    assert autocorrelation(red, 1) == pytest.approx(lag1, abs=0.15)
    assert autocorrelation(red, 8) == pytest.approx(lag8, abs=0.25)


@pytest.mark.long
@pytest.mark.parametrize(("deviations", "highest"), [(False, 0.93), (True, 0.96)])
def test_a_linear_classifier_on_band_statistics_does_not_solve_it(
    rgb: Collection, deviations: bool, highest: float
) -> None:
    """On the real tiles it reaches 84 % from means and 88 % from means and deviations."""
    names = [n for n in rgb.names if n.split("/")[0] in CITY + FARMLAND]
    pixels = np.stack([rgb.read(n).pixels for n in names]).astype(float)
    features = pixels.mean(axis=(1, 2))
    if deviations:
        features = np.concatenate([features, pixels.std(axis=(1, 2))], axis=1)
    is_city = [n.split("/")[0] in CITY for n in names]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    accuracy = cross_val_score(model, features, is_city, cv=5).mean()
    assert 0.55 < accuracy < highest


def test_a_scene_and_its_true_map_are_georeferenced(tmp_path: Path) -> None:
    write_scene(tmp_path / "out", seed=3, size=512)
    with rasterio.open(tmp_path / "out/scene.tif") as scene, rasterio.open(tmp_path / "out/land_use.tif") as truth:
        assert scene.descriptions == sensors.BANDS
        assert (scene.crs, scene.transform) == (truth.crs, truth.transform)
        assert 32629 <= scene.crs.to_epsg() <= 32636
        assert scene.dtypes[0] == "uint16"
        land_use = truth.read(1)
        assert set(np.unique(land_use)) <= set(range(10))
        assert {int(k): v for k, v in truth.tags(1).items()} == dict(enumerate(CLASSES))
        water = scene.read(8)[land_use == CLASSES.index("SeaLake")]
        forest = scene.read(8)[land_use == CLASSES.index("Forest")]
    assert water.mean() < 0.5 * forest.mean()


@pytest.mark.real
def test_rgb_from_digital_numbers_is_what_eurosat_published(real_data: Path, data: Data) -> None:
    """The JPEGs are lossy: equal on average, and nearly so at every pixel."""
    from landuse.data.sources import eurosat

    numbers = eurosat.collection(data(source="eurosat_ms", url=str(real_data / "EuroSAT_MS_469.zip")))
    published = eurosat.collection(data(source="eurosat_rgb", url=str(real_data / "EuroSAT_RGB.zip")))
    differences = []
    for name in numbers.names[::10]:
        theirs = published.read(name.replace(".tif", ".jpg")).pixels.astype(float)
        differences.append(numbers.read(name).pixels.astype(float) - theirs)
    assert np.abs(np.mean(differences)) < 0.5
    assert np.mean(np.abs(differences)) < 4
