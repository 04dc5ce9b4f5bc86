"""The pipeline with its default params in a clone without a network, by the commands a user types."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from workspace import BIN, Workspace, clone

pytestmark = pytest.mark.long

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
    """A clone after `dvc repro`, which may not use the network, and a commit of its results."""
    workspace = clone(tmp_path_factory.mktemp("finished"))
    guard, tried = (workspace.path / "src" / name for name in ("sitecustomize.py", "network.txt"))
    guard.write_text(GUARD)
    done = workspace.run("dvc", "repro")
    assert not tried.exists(), tried.read_text()
    assert done.stderr == ""  # no warning
    assert done.stdout.count("\n") < 80, done.stdout
    calls_home = "import requests; requests.get('http://127.0.0.1:9/')"
    workspace.run(sys.executable, "-c", calls_home, ok=False, PYTHONPATH="src")
    assert "127.0.0.1" in tried.read_text()  # the guard would have noticed
    guard.unlink()
    tried.unlink()
    workspace.commit("results")
    return workspace


def test_every_output_is_there_and_committed(finished: Workspace) -> None:
    assert len(finished.outputs()) > 12
    assert all((finished.path / output).exists() for output in finished.outputs())
    assert finished.run("git", "status", "--porcelain").stdout == ""


def test_telemetry_of_dvc_is_off(finished: Workspace) -> None:
    assert finished.run("dvc", "config", "core.analytics").stdout.strip() == "false"
    assert finished.run("dvc", "config", "core.check_update").stdout.strip() == "false"


def test_a_second_repro_does_nothing(finished: Workspace) -> None:
    before = finished.logged()
    assert "up to date" in finished.run("dvc", "repro").stdout
    assert finished.run("git", "status", "--porcelain").stdout == ""
    assert finished.logged() == before


def test_what_changes_no_result_reruns_nothing(finished: Workspace) -> None:
    finished.set(runtime={"cache": False, "cache_gb": 1.5, "checkpoint_minutes": 3, "log_model": True})
    assert "up to date" in finished.run("dvc", "status").stdout
    finished.run("git", "checkout", "-q", "params.yaml")


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
    before = finished.logged()
    assert before[0] == 1
    names = {name for (name,) in finished.rows("select distinct key from metrics")}
    assert {"train_loss", "val_macro_f1", "test/accuracy", "verbose.test.accuracy_low"} <= names
    finished.run("landuse", "track")
    assert finished.logged() == before
    assert finished.rows("select status from runs") == [("FINISHED",)]


def test_what_dvc_restores_from_its_cache_is_filled_in(finished: Workspace, tmp_path: Path) -> None:
    before = finished.logged()
    (finished.path / "mlflow.db").rename(tmp_path / "mlflow.db")
    finished.run("rm", "-rf", "models", "metrics", "reports", "mlartifacts")
    finished.run("dvc", "repro")
    finished.run("landuse", "track")
    runs, metrics, parameters = finished.logged()
    speeds = finished.rows("select count(*) from metrics where key like 'system/%'")[0][0]
    assert speeds == 0
    assert (runs, parameters) == (1, before[2])
    assert finished.run("git", "status", "--porcelain").stdout == ""
    (tmp_path / "mlflow.db").replace(finished.path / "mlflow.db")
    assert metrics == before[1] - finished.rows("select count(*) from metrics where key like 'system/%'")[0][0]


def test_a_map_is_as_right_as_the_answers_to_test_tiles(finished: Workspace, tmp_path: Path) -> None:
    """Of cells that a window sees alone, and that show one land use to 80 % at least, give or take what chance does.

    Cells that a highway crosses are left out: by the rule that cuts the tiles they are City, whatever they show most.
    """
    mapping = yaml.safe_load((finished.path / "params.yaml").read_text())["mapping"]
    mapped = {land_use: label for label, uses in mapping["tables"][mapping["preset"]].items() for land_use in uses}
    right = np.concatenate([_right(finished, tmp_path / str(seed), seed, mapped) for seed in (1, 2, 3)])
    accuracy = json.loads((finished.path / "metrics/evaluate.json").read_text())["accuracy"]
    chance = 2 * np.sqrt(accuracy * (1 - accuracy) / len(right))
    assert len(right) > 400 and right.mean() > accuracy - 0.03 - chance


def test_dense_scores_agree_with_the_answers_to_tiles_as_far_as_measured(finished: Workspace, tmp_path: Path) -> None:
    """In about three of four windows: the last map of a tile has 2 x 2 places, each of them beside padding."""
    finished.run("landuse", "scene", str(tmp_path / "scene"), "--seed", "1", "--size", "768")
    finished.run("landuse", "map", str(tmp_path / "scene/scene.tif"), "--out", str(tmp_path / "map"), "--dense")
    told = json.loads((tmp_path / "map/summary.json").read_text())["dense"]
    with rasterio.open(tmp_path / "map/dense.tif") as file:
        assert file.shape == (23, 23) and file.res == (320, 320)
    assert told["compared"] == 23 * 23
    assert 0.5 < told["agreement"] < 1


def _right(finished: Workspace, folder: Path, seed: int, mapped: dict[str, str]) -> np.ndarray[Any, Any]:
    """Whether the map of a simulated scene is right, of each cell with a land use that is mapped to a label."""
    finished.run("landuse", "scene", str(folder), "--seed", str(seed), "--size", "1536")
    scene, out = str(folder / "scene.tif"), folder / "map"
    finished.run("landuse", "map", scene, "--out", str(out), "--stride", "64")
    classes = json.loads((out / "summary.json").read_text())["classes"]
    with rasterio.open(folder / "land_use.tif") as file:
        uses = file.tags(1)
        truth = file.read(1).reshape(24, 64, 24, 64)
    shares = {uses[str(n)]: (truth == n).mean(axis=(1, 3)) for n in range(10)}
    with rasterio.open(out / "classes.tif") as file:
        answers = file.read(1)
    plain = shares["Highway"] < 0.055  # the least share of a highway's tile
    return np.concatenate(
        [answers[plain & (shares[use] >= 0.8)] == classes.index(label) for use, label in mapped.items()]
    )
