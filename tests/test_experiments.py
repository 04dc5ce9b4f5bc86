"""Experiments in a clone with a small sample: repeated, compared, misspelt, queued."""

import json
import os
import shlex
import sys
import time
from pathlib import Path

import pytest
from conftest import PATIENCE, ROOT
from workspace import Workspace, clone

from landuse import summary

pytestmark = pytest.mark.long

SMALL = ("-S", "train.epochs=1", "-S", "evaluate.bootstrap=200", "evaluate")
EVERY_STAGE = """
from landuse import params
from stages import RUN
for name, run in RUN.items():
    run(params.load(name))
"""


def small(folder: Path) -> Workspace:
    """A clone whose pipeline takes a minute."""
    workspace = clone(folder)
    workspace.set(data__sample__tiles_per_class=30, train__batch_size=16, train__epochs=2, collapse__action="warn")
    return workspace


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One such clone for all tests, who leave it as they found it, after `dvc repro` and a commit of its results."""
    workspace = small(tmp_path_factory.mktemp("finished"))
    workspace.run("dvc", "repro")
    workspace.commit("results")
    return workspace


def test_a_second_clean_run_gives_the_same_bytes(finished: Workspace, tmp_path: Path) -> None:
    """Even where one process runs what DVC ran in seven."""
    second = small(tmp_path / "second")
    second.run(sys.executable, "-c", EVERY_STAGE, PYTHONPATH=os.pathsep.join(["src", str(ROOT / "tests")]))
    second.run("dvc", "commit", "-q", "-f")
    assert second.outputs() == finished.outputs()


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
    assert ("slow",) in finished.rows("select name from runs")
    finished.run("git", "checkout", "-q", ".")
    finished.run("dvc", "checkout", "-q")


def test_two_workers_run_a_queue_and_log_into_one_database(finished: Workspace) -> None:
    before = finished.logged()[0]
    finished.run(
        *("dvc", "exp", "run", "--queue", "-S", "model.backbone=test_resnet", "-S", "model.weights=none"),
        *("-S", "train.freeze=layer2,backbone", "-S", "train.epochs=1", "train"),
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
    assert asked.stdout.count("Success") == 2, asked.stdout + asked.stderr
    finished.run("dvc", "queue", "stop", ok=False)
    assert finished.logged()[0] == before + 2
    artefacts = {str(uri) for (uri,) in finished.rows("select artifact_uri from runs")}
    assert all(str(finished.path) in uri and "/.dvc/tmp/" not in uri for uri in artefacts)
    table = finished.run("dvc", "exp", "show", "--csv").stdout
    assert sum(freeze in table for freeze in ("layer2", "backbone")) == 2
