"""``data.layers``: which rasters are stored beside the bands, in which form, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from conftest import DEFAULTS
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps
from rasterio import Affine
from rasterio.warp import transform
from rasters import geotiff
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from landuse import params
from landuse.core.errors import UserError
from landuse.core.layers import Resampling
from landuse.data import writer
from landuse.data.sources import open_source
from landuse.sensors.layers import DERIVED
from landuse.tiles.store import TileStore, open_store

MakeData = Callable[..., params.Data]
Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(7)
BANDS = ["B04", "B03", "B02"]
SLOPE = 0.2  # metres a metre, to the north


def table(path: Path | str, **changes: Any) -> dict[str, Any]:
    return {
        "path": str(path),
        "resampling": "bilinear",
        "range": [-500.0, 9000.0],
        "units": "m",
        "derive": "none",
    } | changes


def degrees(file: Path, form: Callable[[Array, Array], Array], **profile: Any) -> Path:
    """A raster of a function of longitude and latitude, over the places of all tiles (zones 32 and 33)."""
    west, north, step = 8.9, 45.2, 0.005
    columns, rows = np.meshgrid(np.arange(1320), np.arange(40))
    values = form(west + (columns + 0.5) * step, north - (rows + 0.5) * step).astype(np.float32)
    place = {"crs": "EPSG:4326", "transform": Affine(step, 0, west, 0, -step, north)}
    written = {"height": 40, "width": 1320, "count": 1, "dtype": "float32"} | place | profile
    with rasterio.open(file, "w", "GTiff", **written) as image:
        image.write(np.broadcast_to(values, (image.count, *values.shape)))
    return file


def northward(longitude: Array, latitude: Array) -> Array:
    return 1000 + SLOPE * (latitude - 45) * 111_195 + 0 * longitude


@pytest.fixture
def dem(tmp_path: Path) -> Path:
    return degrees(tmp_path / "dem.tif", northward)


def pixels(side: int = 16) -> Array:
    return RANDOM.integers(200, 5000, (3, side, side), dtype=np.uint16)


def stored(folder: Path, data: MakeData, files: list[bytes], tables: dict[str, Any], **changes: Any) -> TileStore:
    """Store the files as tiles of 16 pixels with all the layers."""
    for number, content in enumerate(files):
        path = folder / "own" / ("Forest", "River")[number % 2] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    own = {"source": "folder", "url": str(folder / "own"), "tile_size": 16, "bands": BANDS}
    section = data(**(own | {"layers": list(tables), "layer_tables": tables} | changes))
    writer.write(folder / "store", open_source(section), section.max_quarantined)
    return open_store(folder / "store")


def decoded(store: TileStore) -> dict[str, Array]:
    layers = store.info["layers"]
    parts = np.moveaxis(store.images[..., -len(layers) :], -1, 0)
    assert (parts > 0).all()
    return {band["name"]: part * band["scale"] + band["offset"] for band, part in zip(layers, parts, strict=True)}


def test_layers_lie_behind_the_bands_on_the_tiles_own_pixels_in_any_zone(
    tmp_path: Path, data: MakeData, dem: Path
) -> None:
    numbers = [pixels(), pixels(20), pixels()]
    files = [geotiff(values, BANDS, epsg) for values, epsg in zip(numbers, (32632, 32633, 32633), strict=True)]
    east = degrees(tmp_path / "east.tif", lambda longitude, latitude: longitude + 0 * latitude)
    tables = {"dem": table(dem, derive="slope_aspect"), "east": table(east, range=[0.0, 20.0], units="degrees")}
    store = stored(tmp_path, data, files, tables)
    names = [*BANDS, "dem", "dem_slope", "dem_northness", "dem_eastness", "east"]
    assert store.info["bands"] == names and store.images.shape == (3, 16, 16, 8)
    assert [band["name"] for band in store.info["layers"]] == names[3:]
    assert [band["of"] for band in store.info["layers"]] == ["dem"] * 4 + ["east"]
    assert set(store.info["layers"][0]) == {"name", "scale", "offset", "units", "resampling", "of"}
    assert np.array_equal(store.images[0, ..., :3], numbers[0].transpose(1, 2, 0))
    found = decoded(store)
    for row in store.index.itertuples():
        middle = slice(7, 9), slice(7, 9)
        assert found["east"][row.row][middle].mean() == pytest.approx(row.longitude, abs=1e-3)
        height = 1000 + SLOPE * (row.latitude - 45) * 111_195
        assert found["dem"][row.row][middle].mean() == pytest.approx(height, abs=0.5)
        (left, right), _ = transform(f"EPSG:{row.epsg}", "EPSG:4326", [row.left, row.right], [row.top, row.top])
        assert np.ptp(found["east"][row.row][0]) == pytest.approx((right - left) * 15 / 16, rel=0.05)
    assert found["dem_slope"] == pytest.approx(np.degrees(np.arctan(SLOPE)), abs=0.1)
    assert found["dem_northness"] == pytest.approx(-np.sin(np.arctan(SLOPE)), abs=2e-3)  # it falls to the south
    assert found["dem_eastness"] == pytest.approx(0, abs=5e-3)


def test_indices_and_layers_go_together(tmp_path: Path, data: MakeData, dem: Path) -> None:
    numbers = RANDOM.integers(200, 5000, (4, 16, 16), dtype=np.uint16)
    files = [geotiff(numbers, [*BANDS, "B08"])]
    store = stored(tmp_path, data, files, {"dem": table(dem)}, bands=[*BANDS, "NDVI"])
    assert store.info["bands"] == [*BANDS, "B08", "dem"]
    assert [name for name, *_ in store.info["channels"]] == [*BANDS, "NDVI", "dem"]


def test_without_layers_nothing_is_said_of_them(tmp_path: Path, data: MakeData) -> None:
    stored(tmp_path, data, [geotiff(pixels(), BANDS)], {}, layer_tables=data().model_dump()["layer_tables"])
    assert "layers" not in json.loads((tmp_path / "store" / "dataset.json").read_text())


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda file: degrees(file, northward, nodata=-1.0, transform=Affine(0.005, 0, 30, 0, -0.005, 45.2)),
         "layer dem does not cover it, or has no data there: none between -500 and 9000 in 256 of 256 pixels"),
        (lambda file: degrees(file, northward, transform=Affine(0.005, 0, 14.9, 0, -0.0001, 45.1528)),
         "layer dem covers a part of it"),
        (lambda file: degrees(file, lambda longitude, _: 0 * longitude - 9999, nodata=-9999), "has no data there"),
        (lambda file: degrees(file, lambda longitude, _: np.nan * longitude), "has no data there"),
        (lambda file: degrees(file, lambda longitude, _: 0 * longitude - 9999), "none between -500 and 9000"),
    ],
)  # fmt: skip
def test_a_tile_that_a_layer_does_not_cover_is_set_aside(
    tmp_path: Path, data: MakeData, make: Callable[[Path], Path], told: str
) -> None:
    tables = {"dem": table(make(tmp_path / "dem.tif"), resampling="nearest")}
    with pytest.raises(UserError, match="1 of 1 tiles cannot be used") as error:
        stored(tmp_path, data, [geotiff(pixels(), BANDS)], tables)
    assert told in str(error.value)
    assert not (tmp_path / "store").exists()


def test_tiles_without_a_place_are_set_aside_and_the_others_kept(tmp_path: Path, data: MakeData, dem: Path) -> None:
    files = [geotiff(pixels(), BANDS), geotiff(pixels(), BANDS, epsg=None)]
    store = stored(tmp_path, data, files, {"dem": table(dem)}, max_quarantined=1)
    assert len(store.images) == 1
    assert "does not say where it lies" in (tmp_path / "store" / "quarantine.csv").read_text()


def test_a_tile_of_one_colour_is_none_whatever_a_layer_has_there(tmp_path: Path, data: MakeData, dem: Path) -> None:
    flat = np.full((3, 16, 16), 900, np.uint16)
    with pytest.raises(UserError, match=r"constant: every pixel is \[900, 900, 900"):
        stored(tmp_path, data, [geotiff(flat, BANDS)], {"dem": table(dem, derive="slope")})


@pytest.mark.parametrize(
    ("tables", "changes", "told"),
    [
        ({"dem": table("nowhere.tif")}, {}, "layer dem: .*nowhere.tif cannot be read as a raster"),
        ({"B08": table("DEM")}, {}, "B08 is the name of a band or index"),
        ({"nir": table("DEM")}, {}, "nir is the name of a band"),
        ({"NDVI": table("DEM")}, {"bands": ["B08", "NDVI"]}, "NDVI is the name of a band or index"),
        (
            {"dem": table("DEM", derive="slope"), "dem_slope": table("DEM")},
            {},
            "dem_slope is the name of .* two layers",
        ),
        (
            {"dem": table("sample")},
            {},
            "the simulated one, but data.source is folder: name a raster, -S data.layer_tables",
        ),
        ({"dem": table("DEM")}, {"bands": "rgb"}, r"needs tiles of 16 bits, .*-S 'data.bands=\[B04,B03,B02\]'"),
    ],
)
def test_what_is_no_layer_is_refused_with_the_remedy(
    tmp_path: Path, data: MakeData, dem: Path, tables: dict[str, Any], changes: dict[str, Any], told: str
) -> None:
    tables = {name: each | ({"path": str(dem)} if each["path"] == "DEM" else {}) for name, each in tables.items()}
    files = [geotiff(RANDOM.integers(200, 5000, (4, 16, 16), dtype=np.uint16), [*BANDS, "B08"])]
    if changes.get("bands") == "rgb":
        files = [geotiff(RANDOM.integers(1, 255, (3, 16, 16), dtype=np.uint8))]
    with pytest.raises(UserError, match=told):
        stored(tmp_path, data, files, tables, **changes)


def test_eurosat_in_rgb_has_no_place_for_layers(tmp_path: Path, data: MakeData, dem: Path) -> None:
    from PIL import Image

    folder = tmp_path / "rgb" / "Forest"
    folder.mkdir(parents=True)
    Image.fromarray(RANDOM.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / "Forest_1.jpg")
    changes = {"url": str(folder.parent), "layers": ["dem"], "layer_tables": {"dem": table(dem)}}
    with pytest.raises(UserError, match="needs tiles of 16 bits"):
        open_source(data(source="eurosat_rgb", **changes))


def test_dvc_sweeps_over_lists_of_layers_and_takes_a_table_of_ones_own(tmp_path: Path) -> None:
    combined = get_hydra_sweeps({"params.yaml": ["data.layers=[],[ndvi],[dem],[ndvi,dem]"]})
    own = "{path: rain.tif, resampling: average, range: [0.0, 5000.0], units: mm, derive: none}"
    found = []
    for overrides in [each["params.yaml"] for each in combined] + [
        ["data.layers=[rain]", f"+data.layer_tables.rain={own}"]
    ]:
        shutil.copy(DEFAULTS / "params.yaml", tmp_path)
        apply_overrides(tmp_path / "params.yaml", overrides)
        found.append(params.read(tmp_path / "params.yaml").data)
    assert [data.layers for data in found] == [[], ["ndvi"], ["dem"], ["ndvi", "dem"], ["rain"]]
    assert found[-1].layer_tables["rain"].range == [0, 5000]


def test_params_and_sensors_know_the_same_words() -> None:
    form = params.data.LayerTable.model_fields
    assert set(form["derive"].annotation.__args__) == set(DERIVED)
    assert form["resampling"].annotation == Resampling


def of_sample(data: MakeData, tiles: int, layers: list[str], bands: Any = ("B04", "B03", "B02", "B08")) -> Any:
    sample = {"tiles_per_class": tiles, "seed": 7}
    return open_source(data(sample=sample, bands=bands if bands == "rgb" else list(bands), layers=layers))


def test_the_samples_layers_change_nothing_of_its_tiles(data: MakeData) -> None:
    without, several = of_sample(data, 1, []), of_sample(data, 1, ["ndvi", "dem"])
    assert without.names == several.names and several.bands[4:6] == ("ndvi", "dem")
    for name in without.names:
        one, other = without.read(name), several.read(name)
        assert np.array_equal(one.pixels, other.pixels[..., :4])
        assert (one.sha256, one.georef) == (other.sha256, other.georef)
    again = of_sample(data, 1, ["ndvi", "dem"])
    assert all(np.array_equal(again.read(name).pixels, several.read(name).pixels) for name in again.names)
    with pytest.raises(UserError, match="16 bits"):
        of_sample(data, 1, ["dem"], "rgb")
    tables = data().model_dump()["layer_tables"] | {"rain": table("sample")}
    with pytest.raises(UserError, match="layer rain has the path 'sample', whose layers are dem and ndvi"):
        open_source(data(layers=["rain"], layer_tables=tables, bands=BANDS, sample={"tiles_per_class": 1, "seed": 7}))


@pytest.mark.long
def test_the_samples_layers_tell_what_its_bands_do_not(data: MakeData) -> None:
    """The ablation has a right answer: each layer helps, both help more."""
    found = of_sample(data, 40, ["ndvi", "dem"])
    tiles = np.stack([found.read(name).pixels for name in found.names])
    labels = np.array([name.split("/")[0] for name in found.names])
    statistics = np.stack([tiles.mean(axis=(1, 2)), tiles.std(axis=(1, 2))], axis=-1)
    spectral, ndvi, dem = [0, 1, 2, 3], [4], [5, 6, 7, 8]
    right = {}
    for name, bands in {"s2": spectral, "ndvi": spectral + ndvi, "dem": spectral + dem, "all": range(9)}.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
        answers = cross_val_predict(model, statistics[:, list(bands)].reshape(len(tiles), -1), labels, cv=5)
        right[name] = (answers == labels).mean()
    assert right["s2"] + 0.02 < min(right["ndvi"], right["dem"]), right
    assert max(right["ndvi"], right["dem"]) + 0.01 < right["all"], right
    slope = {name: statistics[labels == name, 6, 0].mean() for name in set(labels)}
    assert slope["SeaLake"] < slope["Industrial"] < slope["PermanentCrop"] < slope["Forest"], slope
