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
from trained import Workspace, answer, changed

from landuse import tracking
from landuse.core.errors import UserError
from landuse.core.paths import CALIBRATION, EXPORT, MODEL
from landuse.export import onnx_file
from landuse.export import stage as export
from landuse.model import saved
from landuse.spec.scaling import Scaling


@pytest.fixture(autouse=True)
def tracked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls of tracking, whose own tests run MLflow."""
    calls: list[str] = []
    monkeypatch.setattr(tracking, "check", lambda _: None)
    monkeypatch.setattr(tracking, "track", lambda stage: calls.append(stage))
    return calls


def snapshot() -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in Path().rglob("*") if file.is_file()}


@pytest.mark.long
def test_it_writes_the_model_and_its_description(
    workspace: Workspace, tracked: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    export.run(workspace.params)
    assert {file.name for file in EXPORT.iterdir()} == {"model.onnx", "model.json"}
    described, calibration = (json.loads(file.read_text()) for file in (MODEL / "model.json", CALIBRATION))
    assert json.loads((EXPORT / "model.json").read_text()) == described | {"calibration": calibration}
    report = json.loads(Path("reports/export.json").read_text())
    assert report["tiles"] == 41
    assert report["opset"] == workspace.params.export.opset
    assert report["bytes"] == (EXPORT / "model.onnx").stat().st_size
    assert set(report["parity"]) == {"batch_1", "batch_37"}
    for found in report["parity"].values():
        assert found["differing"] == 0
        assert 0 <= found["largest_difference"] < 1e-4
    assert tracked == ["export"]
    shown = capfd.readouterr()
    assert shown.err == ""
    assert "same class as the network for all 41 test tiles" in shown.out
    assert len(shown.out.splitlines()) == 1


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
        def forward(self, pixels: Tensor) -> Tensor:
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
        ("models/answers/test.npz", "evaluate"),
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
    assert np.allclose(*answers, atol=1e-5)
