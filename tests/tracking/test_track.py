"""Files on disk fill the MLflow run of their identity, once."""

import hashlib
import json
from pathlib import Path

import pytest
from tracked import artefacts, client, everything, runs, write_outputs

from landuse import tracking
from landuse.core.errors import UserError
from landuse.tracking.outputs import flat

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")  # SQLAlchemy to MLflow, on first use


def test_files_alone_fill_a_run_once(root: Path) -> None:
    write_outputs(root)
    assert tracking.track("export") == "fast-efficientnet_lite0-3f2a"
    (run,) = runs(root)
    expected = {
        "test/accuracy": 0.9,
        "test/nll": 0.25,
        "train/val_accuracy": 0.75,
        "lr": 1e-3 / 3,
        "val_accuracy": 0.75,
    }
    details = {"test.accuracy_low": 0.8, "test.recall.Forest_high": 0.95, "split.counts.train": 70.0}
    details |= {"export.largest_difference": 1e-6}
    expected |= {f"verbose.{name}": value for name, value in details.items()}
    for name, value in expected.items():
        assert run.data.metrics[name] == pytest.approx(value)
    assert all(name.startswith("verbose.") for name in sorted(run.data.metrics)[-len(details) :])  # behind what matters
    assert run.info.status == "FINISHED"
    assert len(client(root).get_metric_history(run.info.run_id, "val_loss")) == 3
    assert artefacts(root) == {
        "plots/training_curves.png",
        "plots/confusion.png",
        "reports/index.html",
        "export/MODEL_CARD.md",
    }
    assert run.data.tags["landuse.export.path"] == "models/export/model.onnx"
    assert run.data.tags["landuse.export.sha256"] == hashlib.sha256(b"onnx").hexdigest()

    before = everything(root)
    tracking.track("train")
    tracking.track("evaluate")
    tracking.track("export")
    assert everything(root) == before


def test_a_new_value_replaces_the_old_one(root: Path) -> None:
    write_outputs(root, accuracy=0.9)
    tracking.track("evaluate")
    write_outputs(root, accuracy=0.8)
    tracking.track("evaluate")
    (run,) = runs(root)
    assert run.data.metrics["test/accuracy"] == pytest.approx(0.8)
    assert not any(name.startswith("verbose.export") for name in run.data.metrics)


def test_the_model_is_stored_when_asked_for(root: Path) -> None:
    write_outputs(root)
    tracking.track("export", log_model=True)
    assert {"export/model.onnx", "export/model.json", "export/MODEL_CARD.md"} <= artefacts(root)


def test_no_model_is_a_clear_error(root: Path) -> None:
    with pytest.raises(UserError, match=r"no .*models/model/model\.json: run 'dvc repro train' first"):
        tracking.track("evaluate")
    assert runs(root) == []


def test_flat_names() -> None:
    content = {"a": 1, "ok": True, "b": {"value": 0.5, "low": 0.25, "high": 1}, "c": {"d": {"Forêt (x)": 2}}}
    content |= {"text": "no", "none": None, "list": [1]}
    assert flat(content, "test/") == {
        "test/a": 1.0, "test/ok": 1.0, "test/b": 0.5, "test/b_low": 0.25, "test/b_high": 1.0,
        "test/c/d/Forêt _x_": 2.0,
    }  # fmt: skip


def test_a_class_name_with_odd_characters_can_be_logged(root: Path) -> None:
    write_outputs(root)
    (root / "reports/evaluate.json").write_text(json.dumps({"recall": {"Forêt (x) 100 %": 0.5}}))
    tracking.track("evaluate")
    assert runs(root)[0].data.metrics["verbose.test.recall.Forêt _x_ 100 _"] == 0.5


@pytest.mark.long
def test_track_takes_only_what_dvc_calls_up_to_date(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dvc.cli  # each worker of pytest would load it, for this test alone

    write_outputs(root)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for words in (["init", "--no-scm"], ["commit", "--force"]):
        assert dvc.cli.main([*words, "--quiet"]) == 0
    (root / "models/export/model.onnx").write_bytes(b"edited by hand")
    tracking.track()
    (run,) = runs(root)
    assert {"test/accuracy", "train/best_epoch"} <= run.data.metrics.keys()
    assert not any(name.startswith("verbose.export") for name in run.data.metrics)

    (root / "models/model/model.json").write_text("{}")
    with pytest.raises(UserError, match="train is not up to date"):
        tracking.track()

    (root / "dvc.lock").write_text("stages: {")
    with pytest.raises(UserError, match=r"'dvc status' failed \(.*dvc\.lock.*\): mend that first"):
        tracking.track()
