"""The whole pipeline in throwaway clones, by the commands a user types."""

import json
import shlex
import shutil
import sqlite3
import sys
import time
from pathlib import Path

import pytest
from conftest import PATIENCE
from workspace import BIN, Workspace, clone

from landuse import summary

pytestmark = pytest.mark.long

SMALL = ("-S", "train.epochs=1", "-S", "evaluate.bootstrap=200", "evaluate")
# Python runs it first wherever it lies on the path, and stages have src/ on theirs
GUARD = """
import pathlib, socket

def refuse(*args, **kwargs):
    with pathlib.Path(__file__).with_name("network.txt").open("a") as file:  # whoever tries may swallow the error
        print(args, file=file)
    raise OSError("no network in this test")

connect = socket.socket.connect

def only_local(self, address):
    return connect(self, address) if self.family == socket.AF_UNIX else refuse(self, address)

socket.socket.connect = socket.socket.connect_ex = only_local
socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone after `dvc repro` and a commit of its results."""
    workspace = clone(tmp_path_factory.mktemp("finished"))
    workspace.run("dvc", "repro")
    workspace.run("git", "add", "-A")
    workspace.run("git", "commit", "-q", "-m", "results")
    return workspace


def rows(workspace: Workspace, query: str) -> list[tuple[object, ...]]:
    """Ask the MLflow database."""
    with sqlite3.connect(workspace.path / "mlflow.db") as database:
        return database.execute(query).fetchall()


def logged(workspace: Workspace) -> tuple[int, int, int]:
    """Counts of runs, of metric values and of params in MLflow."""
    return tuple(rows(workspace, f"select count(*) from {table}")[0][0] for table in ("runs", "metrics", "params"))  # type: ignore[return-value]


def test_a_second_clean_run_offline_gives_the_same_bytes_and_no_warning(finished: Workspace, tmp_path: Path) -> None:
    second = clone(tmp_path)
    (second.path / "src/sitecustomize.py").write_text(GUARD)
    tried = second.path / "src/network.txt"
    done = second.run("dvc", "repro")
    assert not tried.exists(), tried.read_text()
    assert done.stderr == ""
    assert done.stdout.count("\n") < 80, done.stdout
    assert len(finished.outputs()) > 12
    assert second.outputs() == finished.outputs()

    calls_home = "import requests; requests.get('http://127.0.0.1:9/')"
    second.run(sys.executable, "-c", calls_home, ok=False, PYTHONPATH="src")
    assert "127.0.0.1" in tried.read_text()  # the guard would have noticed


def test_telemetry_of_dvc_is_off(finished: Workspace) -> None:
    assert finished.run("dvc", "config", "core.analytics").stdout.strip() == "false"
    assert finished.run("dvc", "config", "core.check_update").stdout.strip() == "false"


def test_a_second_repro_does_nothing(finished: Workspace) -> None:
    before = logged(finished)
    assert "up to date" in finished.run("dvc", "repro").stdout
    assert finished.run("git", "status", "--porcelain").stdout == ""
    assert logged(finished) == before


def test_what_changes_no_result_reruns_nothing(finished: Workspace) -> None:
    finished.set(runtime={"cache": False, "cache_gb": 1.5, "checkpoint_minutes": 3, "log_model": True})
    assert "up to date" in finished.run("dvc", "status").stdout
    finished.run("git", "checkout", "-q", "params.yaml")


@pytest.mark.parametrize("how", ["repro", "exp run"])
def test_a_misspelt_recipe_is_told_with_the_nearest_one(finished: Workspace, how: str) -> None:
    """DVC itself would say that recipes.fst is missing, and nothing else."""
    if how == "repro":
        finished.set(train__recipe="fst")
        done = finished.run("dvc", "repro", ok=False)
    else:
        done = finished.run("dvc", "exp", "run", "-S", "train.recipe=fst", ok=False)
    assert done.returncode != 0
    assert "train.recipe is 'fst', no such recipe; did you mean 'fast'?" in done.stdout + done.stderr
    finished.run("git", "checkout", "-q", ".")


def test_the_environment_of_make_install_needs_not_be_activated(finished: Workspace, tmp_path: Path) -> None:
    for tool in ("sh", "git"):  # and no python
        (tmp_path / tool).symlink_to(shutil.which(tool) or "")
    dvc = (str(BIN / "dvc"), "repro", "--force", "--single-item", "map_to_binary")
    alone = {"PATH": str(tmp_path), "SHELL": "/bin/sh"}
    assert finished.run(*dvc, ok=False, **alone).returncode != 0
    (finished.path / ".venv").symlink_to(BIN.parent)
    finished.run(*dvc, **alone)
    (finished.path / ".venv").unlink()


def test_the_result_is_far_above_chance_and_summed_up_for_a_person(finished: Workspace) -> None:
    measured = json.loads((finished.path / "reports/evaluate.json").read_text())
    assert measured["accuracy"]["value"] > 0.85
    assert measured["accuracy"]["low"] < measured["accuracy"]["value"] <= measured["accuracy"]["high"]
    summary = finished.run("landuse", "summary").stdout
    for part in (
        "accuracy",
        "95 %",
        "macro-F1",
        "plots",
        "models/export",
        "mlflow ui",
        "dvc exp run -S",
        "eurosat_rgb",
    ):
        assert part in summary


def test_one_mlflow_run_holds_the_whole_pipeline_and_logging_again_adds_nothing(finished: Workspace) -> None:
    before = logged(finished)
    assert before[0] == 1
    names = {name for (name,) in rows(finished, "select distinct key from metrics")}
    assert {"train_loss", "val_macro_f1", "test/accuracy", "verbose.test.accuracy_low"} <= names
    finished.run("landuse", "track")
    assert logged(finished) == before
    assert rows(finished, "select status from runs") == [("FINISHED",)]


def test_what_dvc_restores_from_its_cache_is_filled_in(finished: Workspace, tmp_path: Path) -> None:
    before = logged(finished)
    (finished.path / "mlflow.db").rename(tmp_path / "mlflow.db")
    finished.run("rm", "-rf", "models", "metrics", "reports", "mlartifacts")
    finished.run("dvc", "repro")
    finished.run("landuse", "track")
    runs, metrics, parameters = logged(finished)
    speeds = rows(finished, "select count(*) from metrics where key like 'system/%'")[0][0]
    assert speeds == 0
    assert (runs, parameters) == (1, before[2])
    assert finished.run("git", "status", "--porcelain").stdout == ""
    (tmp_path / "mlflow.db").replace(finished.path / "mlflow.db")
    assert metrics == before[1] - rows(finished, "select count(*) from metrics where key like 'system/%'")[0][0]


def test_one_variant_is_compared_with_the_commit(finished: Workspace) -> None:
    """1e-5 is written 1e-05 by DVC, which YAML 1.1 takes for a string."""
    finished.run("dvc", "exp", "run", "-n", "slow", "-S", "train.lr=1e-5", *SMALL)
    difference = json.loads(finished.run("dvc", "metrics", "diff", "--json").stdout)
    assert difference["metrics/evaluate.json"]["accuracy"]["diff"] < 0
    assert len(difference["metrics/evaluate.json"]) <= 9  # lines of `dvc metrics diff`
    header = finished.run(*shlex.split(summary.EXPERIMENTS), "--csv").stdout.splitlines()[0].split(",")
    changed = {"train.lr", "train.epochs", "evaluate.bootstrap"}
    assert set(header) == {"Experiment", "accuracy", "macro_f1", "nll"} | changed  # more would not fit a terminal
    shown = json.loads(finished.run("dvc", "exp", "show", "--json").stdout)
    assert "slow" in json.dumps(shown)
    plots = json.loads(finished.run("dvc", "plots", "diff", "--json").stdout)
    assert {"loss", "confusion", "roc"} <= {name.split("/")[-1].split("::")[-1] for name in plots["data"]}
    assert ("slow",) in rows(finished, "select name from runs")
    finished.run("git", "checkout", "-q", ".")
    finished.run("dvc", "checkout", "-q")


def test_two_workers_run_a_queue_and_log_into_one_database(finished: Workspace) -> None:
    before = logged(finished)[0]
    finished.run(
        *("dvc", "exp", "run", "--queue", "-S", "model.backbone=test_resnet", "-S", "model.weights=none"),
        *("-S", "train.freeze=layer3,backbone", "-S", "train.scheduler=step,cosine", *SMALL),
    )
    # the workers live on: a pipe that they hold would never close
    finished.run("bash", "-c", "dvc queue start -j 2 > /dev/null 2>&1")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        asked = finished.run("dvc", "queue", "status", ok=False)
        # DVC can meet a file that a worker is just writing, and then knows nothing yet
        if asked.returncode == 0 and "Queued" not in asked.stdout and "Running" not in asked.stdout:
            break
        time.sleep(2)
    assert asked.stdout.count("Success") == 4, asked.stdout + asked.stderr
    finished.run("dvc", "queue", "stop", ok=False)
    assert logged(finished)[0] == before + 4
    artefacts = {str(uri) for (uri,) in rows(finished, "select artifact_uri from runs")}
    assert all(str(finished.path) in uri and "/.dvc/tmp/" not in uri for uri in artefacts)
    table = finished.run("dvc", "exp", "show", "--csv").stdout
    assert sum(freeze in table for freeze in ("layer3", "backbone")) == 2
