"""Models of layers: a scene and a tile get the raster that a person names, on their own pixels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from exported import write_model
from made_scenes import numbers, place, write_raster

from landuse import cli
from landuse.core.errors import UserError
from landuse.inference import Model, plausible
from landuse.inference.scene import SceneOptions, open_scene
from landuse.sensors.layers import Layer, Pixels, read, stored_bands
from landuse.spec.model import ModelSpec

BANDS = ("B02", "B03", "B04")
DEM = stored_bands("dem", "bilinear", (-500, 9000), "m", "slope")
SIDE = 48


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of three bands, elevation and slope, tiles of 16 pixels."""
    folder = tmp_path_factory.mktemp("model") / "export"
    write_model(folder, (*BANDS, "dem", "dem_slope"), "uint16", 16)
    described = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(described | {"layers": list(DEM)}))
    return folder


@pytest.fixture
def scene(tmp_path: Path) -> str:
    return write_raster(tmp_path / "scene.tif", numbers(3, SIDE), BANDS)


@pytest.fixture
def dem(tmp_path: Path) -> str:
    return relief(tmp_path / "dem.tif")


def relief(file: Path, margin: int = 3, **form: Any) -> str:
    """30 m, in the scene's CRS; begins so many cells before it and ends as many behind."""
    cells = SIDE * 10 // 30 + 2 * margin
    values = np.random.default_rng(1).uniform(100, 400, (1, cells, cells)).astype(np.float32)
    corner = place(30) @ rasterio.Affine.translation(-margin, -margin)
    return write_raster(file, values, transform=corner, **form)


def spec_of(model: Path) -> ModelSpec:
    return ModelSpec.parse((model / "model.json").read_bytes())


def test_a_scene_has_its_layers_behind_its_bands(model: Path, scene: str, dem: str) -> None:
    spec = spec_of(model)
    assert spec.spectral == list(BANDS)
    opened = open_scene([scene], spec, SceneOptions(layer=(("dem", dem),)))
    pixels, valid = opened.read(0, 0, SIDE, SIDE)
    assert valid.all() and pixels.shape == (SIDE, SIDE, 5)
    assert np.array_equal(pixels[..., :3], np.moveaxis(numbers(3, SIDE), 0, -1))
    with rasterio.open(scene) as raster:
        own = read(Layer(dem, DEM), Pixels(raster.crs, raster.transform, SIDE, SIDE))
    assert np.array_equal(pixels[..., 3:], np.moveaxis(own, 0, -1))
    part, known = opened.read(-5, 20, 30, 40)
    assert not known[:5].any() and not known[:, SIDE - 20 :].any() and not part[~known].any()
    assert np.abs(part[5:, : SIDE - 20].astype(int) - pixels[:25, 20:]).max() <= 1
    assert f"layer dem is {dem}, onto the scene's pixels by bilinear" in opened.decisions


def test_where_a_layer_has_no_data_the_scene_has_none(model: Path, scene: str, tmp_path: Path) -> None:
    small = relief(tmp_path / "small.tif", margin=-4)
    pixels, valid = open_scene([scene], spec_of(model), SceneOptions(layer=(("dem", small),))).read(0, 0, SIDE, SIDE)
    assert not valid[:12].any() and not valid[:, :12].any() and valid[13:35, 13:35].all()
    assert not pixels[~valid].any()


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ([], "has learnt with a layer dem (m): give its raster, --layer dem=FILE"),
        ([("ndvi", "x.tif")], "--layer ndvi=x.tif: this model has no layer ndvi (its layers are dem): leave it out"),
        ([("dem", "x.tif"), ("dem", "y.tif")], "--layer dem is there twice, x.tif and y.tif"),
        ([("dem", "x.tif")], "layer dem: x.tif cannot be read as a raster"),
        ([("dem", "SCENE")], "has 3 bands, a layer has one"),
    ],
)
def test_what_is_missing_or_unknown_is_told(model: Path, scene: str, named: list[tuple[str, str]], told: str) -> None:
    layer = tuple((name, path.replace("SCENE", scene)) for name, path in named)
    with pytest.raises(UserError) as error:
        open_scene([scene], spec_of(model), SceneOptions(layer=layer))
    assert told in str(error.value)


def test_a_model_without_layers_takes_none(scene: str, tmp_path: Path) -> None:
    spec = write_model(tmp_path / "plain", BANDS, "uint16", 16)
    assert "layers" not in json.loads((tmp_path / "plain" / "model.json").read_text())
    with pytest.raises(UserError, match=r"this model has no layer dem \(it has learnt with none\)"):
        open_scene([scene], spec, SceneOptions(layer=(("dem", "x.tif"),)))


def test_the_last_bands_of_a_model_are_its_layers(model: Path) -> None:
    described = json.loads((model / "model.json").read_text())
    described["bands"] = [*BANDS, "dem_slope", "dem"]
    with pytest.raises(ValueError, match="layers are dem, dem_slope, but the last bands B02"):
        ModelSpec.parse(json.dumps(described).encode())


def test_values_are_judged_by_the_bands_alone(model: Path) -> None:
    tiles = np.full((8, 16, 16, 5), 1200, np.uint16)
    tiles[..., 3:] = 60_000
    spec = spec_of(model)
    assert plausible.faults(tiles, spec) == [""] * 8
    tiles[..., :3] = 1
    assert all(plausible.faults(tiles, spec))


def test_map_and_predict_answer_the_same_of_a_tile(
    model: Path, scene: str, dem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "map"
    take = ["--model", str(model), "--layer", f"dem={dem}"]
    cli.main(["map", scene, "--out", str(out), "--workers", "1", "--stride", "16", *take])
    with rasterio.open(out / "scores.tif") as file:
        mapped = file.read(2) / 250
    tiles = tmp_path / "tiles"
    with rasterio.open(scene) as raster:
        for row, col in ((0, 0), (1, 2)):
            window = rasterio.windows.Window(col * 16, row * 16, 16, 16)
            form = {"transform": raster.window_transform(window), "crs": raster.crs}
            write_raster(tiles / f"{row}{col}.tif", raster.read(window=window), BANDS, **form)
    capsys.readouterr()
    cli.main(["predict", str(tiles), "--out", str(tmp_path / "table.csv"), "--any-values", *take])
    lines = (tmp_path / "table.csv").read_text().splitlines()[1:]
    for line, (row, col) in zip(lines, ((0, 0), (1, 2)), strict=True):
        _, label, probability, *_ = line.split(",")
        city = float(probability) if label == "City" else 1 - float(probability)
        assert mapped[row, col] == pytest.approx(city, abs=0.01), line


@pytest.mark.parametrize(
    ("form", "told"),
    [({}, "layer dem does not cover it"), ({"crs": None}, "does not say where it lies")],
)
def test_a_tile_without_its_layer_gets_no_answer_but_a_reason(
    model: Path, dem: str, tmp_path: Path, form: dict[str, Any], told: str
) -> None:
    far = {"transform": rasterio.Affine(10, 0, 700_000, 0, -10, 5_000_000)}
    write_raster(tmp_path / "tiles" / "a.tif", numbers(3, 16), BANDS, **(far | form))
    take = ["--model", str(model), "--layer", f"dem={dem}", "--out", str(tmp_path / "table.csv")]
    with pytest.raises(SystemExit):
        cli.main(["predict", str(tmp_path / "tiles"), *take])
    assert told in (tmp_path / "table.csv").read_text()


@pytest.mark.parametrize("text", ["dem", "=x.tif", "dem="])
def test_a_layer_is_named_by_name_and_file(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["predict", "tiles", "--layer", text])
    assert end.value.code == 2
    assert f"'{text}': give NAME=FILE, like dem=elevation.tif" in capsys.readouterr().err


def test_an_array_needs_the_layers_too(model: Path) -> None:
    with pytest.raises(UserError, match="bands B02, B03, B04, dem, dem_slope"):
        Model.load(model, threads=1).predict(np.zeros((1, 16, 16, 3), np.uint16))
