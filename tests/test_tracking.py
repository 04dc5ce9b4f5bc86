"""Tracking: one MLflow run for one identity, whatever ran, died, was restored or ran at the same time."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

from landuse import tracking
from landuse.errors import UserError
from landuse.tracking.outputs import flat

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")  # SQLAlchemy to MLflow, on first use

IDENTITY = "3f2a" + "0" * 60
PARAMS = {"model.backbone": "efficientnet_lite0", "train.recipe": "fast", "train.lr": None, "recipe.phases.0.lr": 1e-3}
TAGS = {"landuse.data_digest": "d1", "landuse.params_digest": "p1", "landuse.backbone": "efficientnet_lite0"}
DVC_YAML = """
stages:
  split: {cmd: "true", outs: [data/split.csv], metrics: [metrics/split.json: {cache: false}]}
  train:
    cmd: python -c 1
    deps: [data/split.csv]
    outs: [models/model, plots/training_curves.png: {cache: false}]
    metrics: [metrics/train.json: {cache: false}]
    plots: [plots/history.csv: {cache: false}]
  evaluate:
    cmd: python -c 2
    deps: [models/model]
    metrics: [metrics/evaluate.json: {cache: false}]
    plots: [plots/confusion.csv, plots/confusion.png]
  export:
    cmd: python -c 3
    deps: [models/model, metrics/evaluate.json]
    outs: [models/export]
    metrics: [metrics/export.json: {cache: false}]
"""


def row(epoch: int) -> dict[str, Any]:
    return {"epoch": epoch, "phase": "all", "lr": 1e-3 / epoch, "train_loss": 1 / epoch, "train_accuracy": 0.5,
            "val_loss": 2 / epoch, "val_accuracy": 1 - 1 / (epoch + 1), "val_macro_f1": 0.4}  # fmt: skip


def write_outputs(folder: Path, identity: str = IDENTITY, epochs: int = 3, accuracy: float = 0.9) -> None:
    """Write what the whole pipeline leaves on disk."""
    for name in ("data", "metrics", "plots", "models/model", "models/export"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "data/split.csv").write_text("row\n")
    model = {"identity": identity, "params": PARAMS, "backbone": "efficientnet_lite0"}
    model |= {"data_digest": "d1", "params_digest": "p1"}
    interval = {"value": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.05}
    files = {
        "models/model/model.json": model,
        "models/export/model.json": model,
        "metrics/split.json": {"counts": {"train": 70, "val": 15}},
        "metrics/train.json": {"best_epoch": epochs, "val": {"accuracy": 0.75}},
        "metrics/evaluate.json": {"accuracy": interval, "recall": {"Forest": interval}, "classes": ["A", "B"]},
        "metrics/export.json": {"largest_difference": 1e-6},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    pd.DataFrame([row(e) for e in range(1, epochs + 1)]).to_csv(folder / "plots/history.csv", index=False)
    (folder / "plots/confusion.csv").write_text("actual,predicted\n")
    for name in ("training_curves", "confusion"):
        Image.new("RGB", (8, 8)).save(folder / f"plots/{name}.png")
    (folder / "models/export/model.onnx").write_bytes(b"onnx")
    (folder / "models/export/MODEL_CARD.md").write_text("# Card\n")


def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")


def runs(root: Path, experiment: str = "landuse") -> list[Run]:
    """All runs of an experiment, the oldest first."""
    there = client(root)
    found = there.get_experiment_by_name(experiment)
    return list(there.search_runs([found.experiment_id], order_by=["start_time ASC"])) if found else []


def everything(root: Path) -> dict[str, Any]:
    """All that a store holds of its runs, to the last point of every metric."""
    return {
        r.info.run_id: (
            r.info.status, r.info.end_time, r.data.params, r.data.tags,
            {k: [(m.step, m.value, m.timestamp) for m in client(root).get_metric_history(r.info.run_id, k)]
             for k in r.data.metrics},
        )
        for r in runs(root)
    }  # fmt: skip


def artefacts(root: Path) -> set[str]:
    """Paths below the artefact folder of the only run."""
    (folder,) = (root / "mlartifacts").iterdir()
    return {file.relative_to(folder / "artifacts").as_posix() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database: making one takes MLflow seconds, copying it nothing."""
    folder = tmp_path_factory.mktemp("database")
    client(folder).get_experiment_by_name("landuse")
    return folder / "mlflow.db"


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without any output or database, as current folder; its path holds a blank and an umlaut."""
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "DVC_"))]:
        monkeypatch.delenv(name)
    root = tmp_path / "my prøject"
    root.mkdir()
    (root / "dvc.yaml").write_text(DVC_YAML)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def root(bare: Path, fresh_database: Path) -> Path:
    shutil.copy(fresh_database, bare / "mlflow.db")
    return bare


def python(code: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    """Start a process that knows the helpers of this file."""
    header = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_tracking import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", header + textwrap.dedent(code)], cwd=folder, env=os.environ | env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_training_shows_live_and_ends_finished(root: Path) -> None:
    with tracking.run(IDENTITY, PARAMS, TAGS) as tracked:
        tracked.epoch(row(1), {"tiles_per_second": 800.0})
        (during,) = runs(root)
        assert (during.info.status, during.info.run_name) == ("RUNNING", "fast-efficientnet_lite0-3f2a")
        assert during.data.metrics["val_loss"] == 2.0
        assert during.data.metrics["system/tiles_per_second"] == 800.0
        write_outputs(root, epochs=2)
    (after,) = runs(root)
    assert after.info.status == "FINISHED"
    assert after.data.params["train.lr"] == "None"
    assert after.data.params["recipe.phases.0.lr"] == "0.001"
    assert after.data.tags["landuse.identity"] == IDENTITY
    assert after.data.tags["landuse.data_digest"] == "d1"
    history = client(root).get_metric_history(after.info.run_id, "train_loss")
    assert [(m.step, m.value) for m in history] == [(1, 1.0), (2, 0.5)]
    assert after.data.metrics["train/val/accuracy"] == 0.75


def test_training_leaves_out_what_belongs_to_the_model_before(root: Path) -> None:
    write_outputs(root)
    with tracking.run(IDENTITY, PARAMS, TAGS):
        pass
    (run,) = runs(root)
    assert {name.split("/")[0] for name in run.data.metrics if "/" in name} == {"split", "train"}
    assert artefacts(root) == {"plots/training_curves.png"}


def test_a_failure_ends_failed_and_keeps_its_error(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), tracking.run(IDENTITY, PARAMS, TAGS):
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), tracking.run("beef", PARAMS, TAGS):
        raise KeyboardInterrupt
    assert {run.data.tags["landuse.identity"][:4]: run.info.status for run in runs(root)} == {
        "3f2a": "FAILED",
        "beef": "KILLED",
    }


def test_a_killed_run_is_continued(root: Path) -> None:
    killed = python(
        """
        with tracking.run(IDENTITY, PARAMS, TAGS) as tracked:
            tracked.epoch(row(1)), tracked.epoch(row(2))
            os.kill(os.getpid(), 9)
        """,
        root,
    )
    assert killed.wait() == -9
    (dead,) = runs(root)
    assert dead.info.status == "RUNNING"
    with tracking.run(IDENTITY, PARAMS, TAGS) as tracked:
        for epoch in (2, 3):  # the state on disk may be an epoch behind
            tracked.epoch(row(epoch))
    (run,) = runs(root)
    assert run.info.run_id == dead.info.run_id
    assert run.info.status == "FINISHED"
    assert [m.step for m in client(root).get_metric_history(run.info.run_id, "val_loss")] == [1, 2, 3]


def test_files_alone_fill_a_run_once(root: Path) -> None:
    write_outputs(root)
    assert tracking.track("export") == "fast-efficientnet_lite0-3f2a"
    (run,) = runs(root)
    expected = {"test/accuracy": 0.9, "test/accuracy_low": 0.8, "test/recall/Forest_high": 0.95, "lr": 1e-3 / 3}
    expected |= {"split/counts/train": 70.0, "export/largest_difference": 1e-6, "val_accuracy": 0.75}
    for name, value in expected.items():
        assert run.data.metrics[name] == pytest.approx(value)
    assert run.info.status == "FINISHED"
    assert len(client(root).get_metric_history(run.info.run_id, "val_loss")) == 3
    assert artefacts(root) == {"plots/training_curves.png", "plots/confusion.png", "export/MODEL_CARD.md"}
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
    assert not any(name.startswith("export/") for name in run.data.metrics)


def test_the_model_is_stored_when_asked_for(root: Path) -> None:
    write_outputs(root)
    tracking.track("export", log_model=True)
    assert {"export/model.onnx", "export/model.json", "export/MODEL_CARD.md"} <= artefacts(root)


def test_no_model_is_a_clear_error(root: Path) -> None:
    with pytest.raises(UserError, match="no model at models/model: run 'dvc repro' first"):
        tracking.track("evaluate")
    assert runs(root) == []


def test_a_temporary_experiment_logs_where_it_came_from(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = root / ".dvc/tmp/exps/tmp1"
    temporary.mkdir(parents=True)
    write_outputs(temporary)
    monkeypatch.chdir(temporary)
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-lamb")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "c0ffee")
    tracking.track("evaluate")
    (run,) = runs(root)
    assert run.info.run_name == run.data.tags["dvc.exp_name"] == "puffy-lamb"
    assert run.data.tags["mlflow.source.git.commit"] == "c0ffee"
    assert "plots/confusion.png" in artefacts(root)
    assert {file.name for file in temporary.iterdir()} == {"data", "metrics", "models", "plots", "dvc.yaml"}


def test_a_moved_repository_keeps_its_artefacts_together(root: Path) -> None:
    write_outputs(root)
    tracking.track("train")
    moved = root.rename(root.with_name("moved"))
    assert python("tracking.track('evaluate')", moved).wait() == 0  # a process of its own: MLflow remembers paths
    assert not root.exists()
    assert artefacts(moved) == {"plots/training_curves.png", "plots/confusion.png"}
    (run,) = runs(moved)
    assert {file.path for file in client(moved).list_artifacts(run.info.run_id, "plots")} == artefacts(moved)


def test_the_environment_chooses_store_and_experiment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_outputs(root)
    (root / "elsewhere").mkdir()
    (root / "mlflow.db").rename(root / "elsewhere/mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///elsewhere/mlflow.db")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    monkeypatch.chdir(root / "models")
    tracking.track("train")
    assert len(runs(root / "elsewhere", "mine")) == 1
    assert not (root / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("sqlite:///broken.db", "not a database"),
        ("sqlite:///nowhere/mlflow.db", "unable to open"),
        ("http://me:secret@127.0.0.1:9", "refused"),
        ("./mlruns", "maintenance mode"),
        ("postgresql://me:secret@127.0.0.1:9/x", "psycopg"),
    ],
)
def test_a_broken_store_is_one_clear_line(
    bare: Path, uri: str, said: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (bare / "broken.db").write_bytes(b"no database" * 99)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match=said) as caught, tracking.run(IDENTITY, PARAMS, TAGS):
        pass
    assert "MLFLOW_TRACKING_URI" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_deleted_experiment_is_a_clear_error(root: Path) -> None:
    identifier = client(root).create_experiment("landuse")
    client(root).delete_experiment(identifier)
    with pytest.raises(UserError, match=f"mlflow experiments restore -x {identifier}"), tracking.run("1", PARAMS, TAGS):
        pass


def test_importing_it_does_not_import_mlflow(bare: Path) -> None:
    code = "import landuse.tracking, sys; assert not {'mlflow', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=bare)


def test_flat_names() -> None:
    content = {"a": 1, "ok": True, "b": {"value": 0.5, "low": 0.25, "high": 1}, "c": {"d": {"Forêt (x)": 2}}}
    content |= {"text": "no", "none": None, "list": [1]}
    assert flat(content, "test/") == {
        "test/a": 1.0, "test/ok": 1.0, "test/b": 0.5, "test/b_low": 0.25, "test/b_high": 1.0,
        "test/c/d/Forêt _x_": 2.0,
    }  # fmt: skip


def test_a_class_name_with_odd_characters_can_be_logged(root: Path) -> None:
    write_outputs(root)
    (root / "metrics/evaluate.json").write_text(json.dumps({"recall": {"Forêt (x) 100 %": 0.5}}))
    tracking.track("evaluate")
    assert runs(root)[0].data.metrics["test/recall/Forêt _x_ 100 _"] == 0.5


@pytest.mark.long
def test_four_processes_meet_in_a_fresh_database(bare: Path) -> None:
    """Two of them train the same model; all are let go at the same moment."""
    code = """
        import time
        print("ready", flush=True)
        while not Path("go").exists():
            time.sleep(0.01)
        with tracking.run(sys.argv[1] if len(sys.argv) > 1 else os.environ["WHO"], PARAMS, TAGS) as tracked:
            for epoch in range(1, 6):
                tracked.epoch(row(epoch))
    """
    processes = [python(code, bare, WHO=who) for who in ("aaaa", "bbbb", "cccc", "cccc")]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    (bare / "go").touch()
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out, err) == (0, "", "")
    found = {run.data.tags["landuse.identity"]: run for run in runs(bare)}
    assert sorted(found) == ["aaaa", "bbbb", "cccc"]
    assert len(runs(bare)) == 3
    for run in found.values():
        assert [m.step for m in client(bare).get_metric_history(run.info.run_id, "val_loss")] == [1, 2, 3, 4, 5]


@pytest.mark.long
def test_quiet_and_without_network(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_outputs(bare)
    code = """
        import threading
        opened = []
        def watch(event, args):
            if event == "socket.getaddrinfo" or event == "socket.connect" and isinstance(args[1], tuple):
                opened.append((event, args))
        sys.addaudithook(watch)
        assert tracking.track("export")
        for thread in threading.enumerate():  # telemetry sends from one of its own
            if thread is not threading.current_thread():
                thread.join(5)
        assert not opened, opened
    """
    for name in set(os.environ) - {"PATH", "HOME"}:  # MLflow keeps its telemetry back in tests and on CI servers
        monkeypatch.delenv(name)
    process = python(code, bare)
    assert (*process.communicate(timeout=120), process.returncode) == ("", "", 0)


@pytest.mark.long
def test_track_takes_only_what_dvc_calls_up_to_date(root: Path) -> None:
    def dvc(*words: str) -> None:
        command = [sys.executable, "-m", "dvc", *words, "--quiet"]
        subprocess.run(command, check=True, env=os.environ | {"DVC_NO_ANALYTICS": "1"})

    write_outputs(root)
    dvc("init", "--no-scm")
    dvc("commit", "--force")
    (root / "models/export/model.onnx").write_bytes(b"edited by hand")
    tracking.track()
    (run,) = runs(root)
    assert {"test/accuracy", "train/best_epoch"} <= run.data.metrics.keys()
    assert not any(name.startswith("export/") for name in run.data.metrics)

    (root / "models/model/model.json").write_text("{}")
    with pytest.raises(UserError, match="train is not up to date"):
        tracking.track()
