"""The Python interface to an exported model."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exported import write_model

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference import Model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "export")
    return tmp_path / "export"


@pytest.fixture
def model(folder: Path) -> Model:
    return Model.load(folder, threads=1)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of 13 bands of digital numbers, whose training tiles had means of 300 to 2850."""
    folder = tmp_path_factory.mktemp("numbers") / "export"
    write_model(folder, sensors.BANDS, "uint16", 16)
    return Model.load(folder, threads=1)


def land(count: int, level: float = 900, seed: int = 0) -> np.ndarray:
    """Tiles of digital numbers with dark and bright pixels around a level, (count, 16, 16, 13)."""
    rng = np.random.default_rng(seed)
    return (level * rng.uniform(0.1, 1.9, (count, 16, 16, 13))).astype(np.uint16)


def test_a_bright_tile_is_city_and_a_dark_one_farmland(model: Model) -> None:
    tiles = np.full((2, 64, 64, 3), 40, dtype=np.uint8)
    tiles[1] = 220
    answers = model.predict(tiles)
    assert answers.labels.tolist() == ["Farmland", "City"]
    assert answers.probabilities.sum(axis=1) == pytest.approx(1)
    assert not answers.abstained.any()


def test_a_tile_between_the_two_is_unsure(model: Model) -> None:
    answers = model.predict(np.full((1, 64, 64, 3), 128, dtype=np.uint8))
    assert answers.abstained[0] and answers.entropy[0] == pytest.approx(1, abs=0.01) and answers.sets[0].all()


def test_a_tile_like_none_of_the_reference_is_strange(model: Model) -> None:
    usual, strange = np.full((2, 1, 64, 64, 3), 100, dtype=np.uint8)
    strange[..., ::2, :, :] = 255
    strange[..., 2] = 0
    assert model.predict(usual).ood[0] < 1 < model.predict(strange).ood[0]


def test_many_tiles_are_answered_as_they_are_one_by_one_and_no_tiles_give_no_answers(numbers: Model) -> None:
    tiles = land(70)
    assert np.allclose(
        numbers.predict(tiles).probabilities[69], numbers.predict(tiles[69:]).probabilities[0], atol=1e-6
    )
    assert len(numbers.predict(tiles[:0])) == 0


@pytest.mark.parametrize(
    ("tiles", "told"),
    [
        (np.zeros((1, 64, 64, 4), np.uint8), r"\(1, 64, 64, 4\).*bands B04, B03, B02"),
        (np.zeros((1, 3, 64, 64), np.uint8), r"tiles\.transpose\(0, 2, 3, 1\)"),
        (np.zeros((64, 64, 3), np.uint8), r"tiles\[np\.newaxis\]"),
        (np.zeros((1, 100, 100, 3), np.uint8), r"\(1, 100, 100, 3\).*64 pixels a side"),
        (np.zeros((1, 64, 64, 3), np.uint16), r"uint16 from 0 to 0, this model takes uint8: 1\.\.255"),
        (np.full((2, 64, 64, 3), 0.3), r"float64 from 0\.3 to 0\.3 \(reflectance\?\), this model takes uint8"),
        (np.full((2, 64, 64, 3), np.nan), "NaN or infinity in 2 of 2"),
    ],
)
def test_what_the_model_does_not_take_is_refused(model: Model, tiles: np.ndarray, told: str) -> None:
    with pytest.raises(UserError, match=told):
        model.predict(tiles)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tiles: tiles / 10000, "all pixels are 0 or 1"),
        (lambda tiles: sensors.to_rgb(tiles), "no pixel is above 255"),
        (lambda tiles: tiles.astype(float) * 65535 / 1600, "above 20000"),
        (lambda tiles: tiles + 1000 * np.ones(1, np.uint16), "subtract the offset of baseline 04.00"),
    ],
)
def test_values_in_other_units_are_refused_with_what_is_expected(
    numbers: Model, change: Callable[[np.ndarray], np.ndarray], told: str
) -> None:
    tiles = change(land(20, 2000)).clip(0, 65535).astype(np.uint16)
    with pytest.raises(UserError, match=f"not in this model's units: .*{told}.*It takes digital numbers"):
        numbers.predict(tiles)
    assert len(numbers.predict(tiles, check_values=False)) == 20


def test_reflectance_times_255_is_refused_of_many_tiles(model: Model) -> None:
    tiles = np.full((8, 64, 64, 3), 15, dtype=np.uint8)
    with pytest.raises(UserError, match="reflectance x 255"):
        model.predict(tiles)
    assert len(model.predict(tiles[:1])) == 1  # a shadow may look like that


@pytest.mark.parametrize("level", [200, 4500, 12000])
def test_single_dark_and_bright_tiles_are_answered(numbers: Model, level: float) -> None:
    assert len(numbers.predict(land(1, level))) == 1
    mixed = np.concatenate([land(9), land(1, level, seed=1)])
    assert len(numbers.predict(mixed)) == 10


def test_haze_is_no_offset(numbers: Model) -> None:
    hazy = land(1, 2000) + np.uint16(1000)
    assert len(numbers.predict(hazy)) == 1
    assert len(numbers.predict(np.concatenate([land(4), np.repeat(hazy, 4, axis=0)]))) == 8


def rewritten(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / "model.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return change


def renamed(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    for place in [graph.graph.output[1].name], *(node.output for node in graph.graph.node):
        place[:] = ["other" if name == "features" else name for name in place]
    graph.graph.output[1].name = "other"
    onnx.save(graph, folder / "model.onnx")


def truncated(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-200]) and None


def fewer_features(folder: Path) -> None:
    np.savez(folder / "reference.npz", features=np.ones((5, 4), np.float16))


def no_features(folder: Path) -> None:
    np.savez(folder / "reference.npz", features=np.full((5, 6), np.nan, np.float16))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "model.onnx").unlink(), "no .*model.onnx"),
        (lambda folder: (folder / "model.json").unlink(), "no .*model.json"),
        (lambda folder: (folder / "reference.npz").unlink(), "no .*reference.npz"),
        (truncated("model.onnx"), "model.onnx is damaged"),
        (truncated("model.json"), "model.json is damaged"),
        (truncated("reference.npz"), "reference.npz is damaged"),
        (lambda folder: (folder / "model.onnx").write_bytes(b""), "model.onnx is damaged"),
        (no_features, "not all of them are finite"),
        (fewer_features, "6 features, reference.npz 4"),
        (renamed, "gives probabilities, other, not probabilities and features"),
        (rewritten(version=4), "a newer landuse .*update this one"),
        (rewritten(version=2), "an older landuse .*export"),
        (rewritten(calibration=None), "no calibration"),
        (rewritten(limits=[[1, 2]]), "1 limits of 3 bands"),
        (rewritten(confusion=[[1, 2]]), "confusion is not of 2 classes"),
        (rewritten(confusion_sure=[[1, 2]]), "confusion is not of 2 classes"),
        (rewritten(identity="2" * 64), "another identity"),
        (rewritten(classes=["City", "Farmland"]), "other classes"),
        (rewritten(dtype="uint16"), r"takes tensor\(uint8\).*says tensor\(uint16\)"),
        (rewritten(tile_size=32), r"takes .*64, 64, 3\], model.json says .*32, 32, 3\]"),
    ],
)
def test_a_folder_that_is_damaged_or_disagrees_is_refused_in_one_line(
    folder: Path, damage: Callable[[Path], None], told: str
) -> None:
    damage(folder)
    with pytest.raises(UserError, match=told) as error:
        Model.load(folder)
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        Model.load(tmp_path / "export")


def test_the_import_loads_neither_a_library_of_training_nor_what_one_may_not_need() -> None:
    late = "{'torch', 'mlflow', 'pandas', 'sklearn', 'scipy', 'onnxruntime', 'rasterio', 'pyogrio', 'PIL'}"
    command = f"import sys, landuse.inference; print({late} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
