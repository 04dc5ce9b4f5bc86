"""landuse map: what is in the folder, and that it says what the pixels say."""

import json
from pathlib import Path

import numpy as np
import pyogrio
import pystac
import pytest
import rasterio
import shapely
from exported import CLASSES, write_model
from land import CITY, FARM, HOLE, made, mapped, read, scene, texture
from PIL import Image
from rasterio.transform import from_origin

from landuse import sensors
from landuse.cli import main
from landuse.inference import Model
from landuse.inference.map import grid


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "export"
    write_model(folder, sensors.RGB, "uint16")
    return folder


def test_a_city_beside_fields_is_mapped_where_it_is(tmp_path: Path, model: Path) -> None:
    land = np.full((320, 256), FARM)
    land[:, 128:] = CITY
    out = made(tmp_path, model, land)
    classes = read(out / "classes.tif")[0]
    assert classes.shape == (10, 8)
    assert (classes[:, :4] == 0).all() and (classes[:, 4:] == 1).all()
    scores = read(out / "scores.tif")
    probability = scores[1] / 250
    # the column of cells beside the border is in windows across it; sigmoid(12 * 1600 / 1500 - 12) = 0.69
    assert probability[5].tolist() == pytest.approx([0, 0, 0, 0.345, 0.845, 1, 1, 1], abs=0.005)
    assert scores[0].astype(int) + scores[1] == pytest.approx(250, abs=1)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["classes"] == CLASSES
    assert summary["counts"]["City"]["hectares"] == pytest.approx(40 * 0.32**2 * 100)
    known = summary["valid_cells"] - summary["strange_cells"]
    area = summary["area"]  # of sure test tiles it answers City to 5 % of Farmland, and misses 2 % of City
    expected = (0.5 - 0.05) / 0.93 * known * 10.24
    assert area["City"]["low"] < area["City"]["hectares"] == pytest.approx(expected, rel=1e-4)
    assert area["unknown"]["hectares"] == pytest.approx(summary["strange_cells"] * 10.24)
    assert summary["valid_cells"] == 80 and summary["masked_cells"] == 0


@pytest.mark.parametrize("stride", [64, 32, 16])
def test_a_cell_is_the_mean_of_all_windows_that_cover_it(tmp_path: Path, model: Path, stride: int) -> None:
    land = texture(256, 192)
    network = Model.load(model, threads=1)
    total = np.zeros((256 // stride, 192 // stride))
    votes = total.copy()
    reach = 64 // stride
    for row in range(total.shape[0] - reach + 1):
        for col in range(total.shape[1] - reach + 1):
            tile = land[row * stride : row * stride + 64, col * stride : col * stride + 64]
            answer, _ = network.run(np.repeat(tile[None, ..., None], 3, axis=-1))
            total[row : row + reach, col : col + reach] += answer[0, 1]
            votes[row : row + reach, col : col + reach] += 1
    found = read(made(tmp_path, model, land, stride=stride) / "scores.tif")[1]
    assert found == pytest.approx(250 * total / votes, abs=0.51)


def test_blocks_leave_no_seam(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land = texture(700, 530)
    land[100:200, 300:420] = HOLE
    path = scene(tmp_path / "scene.tif", land)
    whole = mapped(path, tmp_path / "whole", model, stride=16)
    monkeypatch.setattr(grid, "_BLOCK", 128)
    parts = mapped(path, tmp_path / "parts", model, stride=16)
    for name in ("classes.tif", "scores.tif", "quicklook.png", "cells.gpkg", "map.png", "summary.csv"):
        assert (whole / name).read_bytes() == (parts / name).read_bytes(), name


def test_no_data_gets_no_class_and_its_neighbours_keep_theirs(tmp_path: Path, model: Path) -> None:
    land = np.full((256, 256), CITY)
    land[:, 112:] = HOLE  # half of the fourth column of cells
    land[:, 160:] = FARM
    out = made(tmp_path, model, land)
    classes = read(out / "classes.tif")[0]
    assert classes[3].tolist() == [1, 1, 1, 1, 255, 0, 0, 0]
    scores = read(out / "scores.tif")
    assert (scores[:, classes == 255] == 255).all()
    quicklook = np.asarray(Image.open(out / "quicklook.png"))
    assert (quicklook[:, 112:160, 3] == 0).all() and (quicklook[:, :112, 3] == 255).all()
    summary = json.loads((out / "summary.json").read_text())
    assert summary["masked_cells"] == 8 and summary["valid_cells"] == 56
    assert "hectares" in (out / "summary.csv").read_text()


def test_a_border_that_cuts_cells_is_answered_where_half_of_a_cell_is_there(tmp_path: Path, model: Path) -> None:
    classes = read(made(tmp_path, model, np.full((64 + 20, 64 + 10), CITY)) / "classes.tif")[0]
    assert classes.tolist() == [[1, 1, 255], [1, 1, 255], [1, 1, 255]]


def test_rasters_are_cloud_optimised_and_named(tmp_path: Path) -> None:
    write_model(tmp_path / "small", sensors.RGB, "uint16", size=4)
    out = made(tmp_path, tmp_path / "small", texture(1040, 1040), stride=4)
    with rasterio.open(out / "classes.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and file.overviews(1)
        assert file.nodata == 255 and file.colormap(1)[1][:3] == (211, 47, 47) and file.tags(1)["1"] == "City"
        assert file.transform == from_origin(500_000, 5_400_000, 40, 40) and file.crs.to_epsg() == 32632
    with rasterio.open(out / "scores.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and file.overviews(1)
        assert file.descriptions == ("probability Farmland", "probability City", "entropy", "abstained", "ood")
        assert file.scales == (1 / 250, 1 / 250, 1 / 250, 1, 1 / 50)
    rasterio.shutil.copy(out / "classes.tif", tmp_path / "classes.vrt", driver="VRT")
    assert "<Category>City</Category>" in (tmp_path / "classes.vrt").read_text()  # GDAL knows the names
    assert 'label="City"' in (out / "classes.qml").read_text()


def test_polygons_cover_the_cells_and_are_valid(tmp_path: Path, model: Path) -> None:
    land = texture(640, 640)
    land[:100] = HOLE
    out = made(tmp_path, model, land)
    meta, _, geometry, fields = pyogrio.raw.read(out / "cells.gpkg", layer="classes")
    shapes = shapely.from_wkb(geometry)
    names, hectares, probability = fields
    summary = json.loads((out / "summary.json").read_text())
    assert meta["crs"] == "EPSG:32632" and shapely.is_valid(shapes).all()
    assert hectares == pytest.approx(shapely.area(shapes) / 10_000)
    for name, counts in summary["counts"].items():
        assert hectares[names == name].sum() == pytest.approx(counts["hectares"])
        mean = np.average(probability[names == name], weights=hectares[names == name])
        assert mean == pytest.approx(counts["mean_probability"], abs=1e-3)


def test_the_item_is_valid_and_points_to_the_files(tmp_path: Path, model: Path) -> None:
    out = made(tmp_path, model, texture(256, 256), date="2021-06-30")
    item = pystac.Item.from_file(str(out / "stac.json"))
    item.stac_extensions.clear()  # their schemas are on the web
    item.validate()
    assert item.datetime is not None and item.datetime.date().isoformat() == "2021-06-30"
    assert all((out / asset.href).is_file() for asset in item.assets.values())
    west, south, east, north = item.bbox or ()
    assert 8.99 < west < east < 9.04 and 48.6 < south < north < 48.8


def test_a_map_without_a_known_date_is_a_valid_item(tmp_path: Path, model: Path) -> None:
    item = pystac.Item.from_file(str(made(tmp_path, model, texture(64, 64)) / "stac.json"))
    item.stac_extensions.clear()
    item.validate()
    assert item.datetime is None
    assert item.properties["start_datetime"] == "2015-06-23T00:00:00Z"
    assert item.properties["end_datetime"] == "2099-12-31T23:59:59Z", "no clock was read"


def test_the_command_says_what_it_found(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scene(tmp_path / "scene.tif", np.full((128, 128), CITY))
    main(["map", path, "--out", str(tmp_path / "map"), "--model", str(model), "--offset", "0", "--stride", "64"])
    told = capsys.readouterr().out
    assert "City               163.8 ha  100.0%" in told and "map.png" in told
    assert {file.name for file in tmp_path.iterdir()} == {"scene.tif", "map"}
