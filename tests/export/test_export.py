"""The export stage as a whole: three files that agree with the network, or none."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT
from torch import Tensor
from trained import TEMPERATURE, Workspace, answer, changed, dealt

from landuse import tracking
from landuse.core.errors import UserError
from landuse.core.paths import ANSWERS, CALIBRATION, EXPORT, EXPORT_METRICS, MODEL
from landuse.evaluation import ood
from landuse.export import deepness, int8, onnx_file
from landuse.export import stage as export
from landuse.inference import Model
from landuse.model import saved
from landuse.spec.answers import Answers
from landuse.spec.scaling import Scaling

ADDED = ("version", "calibration", "precision", "limits", "confusion", "confusion_sure", "ood")


@pytest.fixture(autouse=True)
def tracked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """Calls of tracking, whose own tests run MLflow."""
    calls: list[tuple[str, str | None]] = []
    monkeypatch.setattr(tracking, "check", lambda _: None)
    monkeypatch.setattr(tracking, "track", lambda stage, register: calls.append((stage, register)))
    return calls


def snapshot() -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in Path().rglob("*") if file.is_file()}


@pytest.mark.long
def test_it_writes_the_model_and_all_that_belongs_to_it(
    workspace: Workspace, tracked: list[tuple[str, str | None]], capfd: pytest.CaptureFixture[str]
) -> None:
    export.run(workspace.params)
    assert {file.name for file in EXPORT.iterdir()} == {
        "model.onnx",
        "model.json",
        "reference.npz",
        "deepness.onnx",
        "dense.onnx",
    }
    described, calibration = (json.loads(file.read_text()) for file in (MODEL / "model.json", CALIBRATION))
    found = json.loads((EXPORT / "model.json").read_text())
    assert {key: found[key] for key in described if key not in ADDED} == {
        key: described[key] for key in described if key not in ADDED
    }
    assert (found["version"], found["precision"], found["calibration"]) == (3, "fp32", calibration)
    store, split = dealt(Path())
    means = store.images[split["split"] == "train"].mean(axis=(1, 2))
    assert np.allclose(found["limits"], np.stack([means.min(axis=0), means.max(axis=0)], axis=1), rtol=1e-5)
    assert np.sum(found["confusion"], axis=1).tolist() == np.bincount(split.target[split["split"] == "test"]).tolist()
    test = split[split["split"] == "test"]
    answers = Model.load(EXPORT).predict(store.images[test.row], check_values=False)
    sure = ~answers.abstained & (answers.ood <= 1)
    right = answers.probabilities.argmax(axis=1) == test.target
    assert 0 < sure.sum() == np.sum(found["confusion_sure"]) < 41
    assert np.trace(found["confusion_sure"]) == (right & sure).sum()
    report = json.loads(Path("reports/export.json").read_text())
    assert report["tiles"] == 41
    assert report["opset"] == workspace.params.export.opset
    assert report["bytes"] == (EXPORT / "model.onnx").stat().st_size
    assert set(report["parity"]) == {"batch_1", "batch_37"}
    for found in report["parity"].values():
        assert found["differing"] == 0
        assert 0 <= found["largest_difference"] < 1e-4
        assert 0 <= found["largest_feature_difference"] < 1e-4
    metrics = json.loads(EXPORT_METRICS.read_text())
    assert set(metrics) == {"opset", "bytes", "largest_difference", "largest_feature_difference"}
    assert tracked == [("export", None)]
    shown = capfd.readouterr()
    assert shown.err == ""
    assert "same class as the network for all 41 test tiles" in shown.out
    assert len(shown.out.splitlines()) == 1


@pytest.mark.long
def test_the_folder_is_all_that_inference_needs(workspace: Workspace) -> None:
    export.run(workspace.params)
    model = Model.load(EXPORT, threads=1)
    val, test = (Answers.load(ANSWERS / f"{part}.npz", len(workspace.images)) for part in ("val", "test"))
    answers = model.predict(workspace.images[test.rows])
    truth = Scaling(TEMPERATURE).log_probabilities(test.pooled())
    assert np.allclose(answers.probabilities, np.exp(truth), atol=1e-5)
    ranked = ood.scores(test, ood.Reference.fit(val))["knn"]
    assert np.allclose(answers.ood * model.spec.ood.neighbours, -ranked * 10 / model.spec.ood.limit, rtol=1e-3)


@pytest.mark.long
def test_again_gives_the_same_bytes_which_do_not_name_this_machine(workspace: Workspace) -> None:
    export.run(workspace.params)
    first = snapshot()
    export.run(workspace.params)
    assert snapshot() == first
    for file in (*EXPORT.iterdir(), Path("reports/export.json")):
        for word in (str(workspace.path), str(ROOT), sys.prefix, str(Path.home())):
            assert os.fsencode(word) not in first[str(file)], (file, word)


def refused(workspace: Workspace, match: str, **settings: object) -> None:
    """The stage raises a one-line error and changes no file."""
    EXPORT.mkdir(parents=True, exist_ok=True)
    (EXPORT / "model.onnx").write_bytes(b"of an earlier run")
    before = snapshot()
    with pytest.raises(UserError, match=match) as caught:
        export.run(changed(workspace.params, "export", **settings))
    assert "\n" not in str(caught.value)
    assert snapshot() == before


@pytest.mark.long
def test_a_difference_beyond_the_tolerance_is_refused(workspace: Workspace) -> None:
    refused(workspace, r"does not agree .* for 0 of 20 test tiles, .*export.tolerance 1e-12", tolerance=1e-12)


@pytest.mark.long
def test_a_file_that_preprocesses_otherwise_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(onnx_file._Deployed):
        def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
            return super().forward(pixels.flip(3))  # bands in the wrong order

    monkeypatch.setattr(onnx_file, "_Deployed", Other)
    refused(workspace, r"another class for [1-9]\d* of 20 test tiles", tolerance=2.0)


@pytest.mark.long
def test_a_file_without_the_temperature_is_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    original = onnx_file._Deployed
    monkeypatch.setattr(onnx_file, "_Deployed", lambda predictor, _: original(predictor, Scaling()))
    refused(workspace, r"another class for 0 of 20 test tiles, largest probability difference")


@pytest.mark.long
def test_probabilities_that_are_no_numbers_are_refused(workspace: Workspace) -> None:
    model, described = saved.load()
    with torch.no_grad():
        model.head[-1].bias.fill_(torch.nan)
    saved.save(model, described)
    answer(Path())
    refused(workspace, "values that are not numbers")


@pytest.mark.parametrize(
    ("missing", "stage"),
    [
        ("data/tiles/index.csv", "download"),
        ("models/model/model.json", "train"),
        ("models/answers/val.npz", "evaluate"),
        ("models/answers/test.npz", "evaluate"),
        ("data/split.csv", "split"),
        ("models/calibration.json", "evaluate"),
    ],
)
def test_what_is_missing_is_named_with_the_remedy(workspace: Workspace, missing: str, stage: str) -> None:
    Path(missing).unlink()
    refused(workspace, f"no .*{missing}: run 'dvc repro {stage}' first")


def test_another_model_than_the_evaluated_one_is_refused(workspace: Workspace) -> None:
    model, described = saved.load()
    with torch.no_grad():
        model.head[-1].bias += 0.01
    saved.save(model, described)
    refused(
        workspace,
        r"calibration\.json is of another model or ensemble than models/model: run 'dvc repro evaluate' first",
    )


@pytest.mark.long
def test_views_are_exported_as_they_were_evaluated(workspace: Workspace) -> None:
    answer(Path(), views=8)
    export.run(workspace.params)
    content = (EXPORT / "model.onnx").read_bytes()
    rows, turned = np.arange(20), workspace.images[:, ::-1].swapaxes(1, 2).copy()
    answers = [onnx_file.predict(content, images, rows, 20) for images in (workspace.images, turned)]
    assert np.allclose(*(answer.probabilities for answer in answers), atol=1e-5)


@pytest.mark.long
def test_a_file_whose_features_are_of_another_stage_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Other(onnx_file._Deployed):
        def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
            probabilities, features = super().forward(pixels)
            return probabilities, features * 1.01

    monkeypatch.setattr(onnx_file, "_Deployed", Other)
    refused(workspace, r"the features of the ONNX file differ from the network's at batch 1 by [\d.e-]+ of the largest")


@pytest.mark.long
def test_a_file_for_qgis_that_answers_otherwise_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = deepness.predict
    monkeypatch.setattr(deepness, "predict", lambda content, tiles: original(content, tiles[::-1]))
    refused(workspace, r"deepness\.onnx does not agree with the network: largest probability difference \d")


@pytest.mark.long
@pytest.mark.parametrize(("speeds", "shipped"), [([100.0, 131.0], "int8"), ([100.0, 129.0], "fp32")])
def test_int8_is_shipped_where_it_is_worth_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, speeds: list[float], shipped: str
) -> None:
    monkeypatch.setattr(int8, "_speeds", lambda *_: speeds)
    monkeypatch.setattr(int8, "_LOST", 1.0)  # 41 tiles, and a network that was never trained
    export.run(changed(workspace.params, "export", int8="auto"))
    metrics = json.loads(EXPORT_METRICS.read_text())
    assert [metrics[each]["tiles_per_second"] for each in ("fp32", "int8")] == speeds
    assert metrics["int8"]["bytes"] < metrics["fp32"]["bytes"] / 2
    assert metrics["bytes"] == metrics[shipped]["bytes"] == (EXPORT / "model.onnx").stat().st_size
    model = Model.load(EXPORT, threads=1)
    assert model.spec.precision == shipped
    val, test = (Answers.load(ANSWERS / f"{part}.npz", len(workspace.images)) for part in ("val", "test"))
    right = float((model.predict(workspace.images[test.rows]).probabilities.argmax(axis=1) == test.targets).mean())
    assert right == metrics[shipped]["accuracy"]
    # a validation tile is its own nearest neighbour: with it, hardly one is beyond the limit
    assert (model.predict(workspace.images[val.rows]).ood > 1).mean() <= 0.05


@pytest.mark.long
def test_int8_that_answers_worse_is_not_shipped(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8, "_speeds", lambda *_: [1.0, 2.0])
    monkeypatch.setattr(int8, "_LOST", -2.0)  # it would have to be right more often than always
    export.run(changed(workspace.params, "export", int8="auto"))
    assert Model.load(EXPORT, threads=1).spec.precision == "fp32"
