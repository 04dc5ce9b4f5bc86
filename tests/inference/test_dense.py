"""landuse map --dense: where its scores lie, what they say, and what it refuses."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from exported import write_dense, write_model
from land import CITY, FARM, HOLE, made, scene, texture
from rasterio.transform import from_origin

from landuse import sensors
from landuse.cli import main
from landuse.core.errors import UserError
from landuse.inference import Model

STRIDE = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of 16 pixels, so that a large window has 128."""
    folder = tmp_path_factory.mktemp("model") / "export"
    write_dense(folder, write_model(folder, sensors.RGB, "uint16", size=16), STRIDE)
    return folder


def test_every_window_gets_its_answer_wherever_large_windows_meet(tmp_path: Path, model: Path) -> None:
    land = texture(330, 215)
    out = made(tmp_path, model, land, dense=True)
    windows = np.lib.stride_tricks.sliding_window_view(land, (16, 16))[::STRIDE, ::STRIDE]
    tiles = np.repeat(windows.reshape(-1, 16, 16, 1), 3, axis=3)
    expected = Model.load(model, threads=1).run(tiles)[0].T.reshape(2, *windows.shape[:2])
    with rasterio.open(out / "dense.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.descriptions == ("probability Farmland", "probability City")
        assert file.scales == (1 / 250, 1 / 250) and file.nodata == 255
        # a window of 160 m starts in the corner of the scene: the pixel of 40 m in its middle, 60 m from there
        assert file.transform == from_origin(500_060, 5_399_940, 40, 40)
        assert file.read() == pytest.approx(250 * expected, abs=0.51)
    told = json.loads((out / "summary.json").read_text())["dense"]
    assert (told["metres"], told["shape"], told["compared"], told["agreement"]) == (40, [79, 50], 1000, 1)
    assert told["largest_difference"] < 1e-3
    assert (
        "the same class as the answer to the window as a tile in 100.0% of 1,000" in (out / "decisions.log").read_text()
    )
    assert "dense.tif" in (out / "stac.json").read_text()


def test_windows_with_too_little_data_have_no_score(tmp_path: Path, model: Path) -> None:
    land = np.full((64, 64), CITY)
    land[:, 32:] = HOLE
    with rasterio.open(made(tmp_path, model, land, dense=True) / "dense.tif") as file:
        city = file.read(2)
    assert (city[:, :7] >= 249).all()  # the seventh window starts at pixel 24: half of it has data
    assert (city[:, 7:] == 255).all()


def test_a_model_that_answers_otherwise_in_large_windows_is_told(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "other"
    spec = write_model(folder, sensors.RGB, "uint16", size=16)
    write_dense(folder, spec, STRIDE)
    (folder / "model.onnx").write_bytes((model / "model.onnx").read_bytes())
    content = (folder / "dense.onnx").read_bytes()
    bias = np.array([0.0, -12.0], dtype=np.float32).tobytes()
    assert content.count(bias) == 1
    (folder / "dense.onnx").write_bytes(content.replace(bias, np.array([0.0, -99.0], dtype=np.float32).tobytes()))
    land = np.full((64, 64), FARM)
    land[32:] = CITY
    told = json.loads((made(tmp_path, folder, land, dense=True) / "summary.json").read_text())["dense"]
    assert told["compared"] == 13**2
    assert told["agreement"] == pytest.approx(6 / 13, abs=0.08) and told["largest_difference"] > 0.99


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, r"no .*dense\.onnx: run 'dvc repro export' again"),
        (b"", r"--dense: tiny has no dense form, since its answer is no average over places: leave --dense out"),
        (b"no model", r"dense\.onnx is damaged"),
    ],
)
def test_a_model_without_dense_form_is_refused(
    tmp_path: Path, content: bytes | None, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tmp_path / "export", sensors.RGB, "uint16")
    if content is not None:
        (tmp_path / "export/dense.onnx").write_bytes(content)
    path = scene(tmp_path / "scene.tif", texture(64, 64))
    with pytest.raises(SystemExit, match="2"):
        main(["map", path, "--out", str(tmp_path / "map"), "--model", str(tmp_path / "export"), "--dense"])
    assert re.fullmatch(f"landuse: error: .*{reason}.*\\n", capsys.readouterr().err)
    assert {file.name for file in tmp_path.iterdir()} == {"export", "scene.tif"}


def test_a_dense_file_of_another_model_is_refused(tmp_path: Path) -> None:
    spec = write_model(tmp_path / "export", sensors.RGB, "uint16", size=16)
    write_dense(tmp_path / "export", spec.model_copy(update={"identity": "2" * 64}), STRIDE)
    with pytest.raises(UserError, match=r"dense\.onnx and model\.json are of different models"):
        made(tmp_path, tmp_path / "export", texture(64, 64), dense=True)
