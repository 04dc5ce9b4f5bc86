"""A training that is stopped in any way goes on, and ends in the same bytes as one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from conftest import PATIENCE, ROOT
from workspace import BIN, Workspace, clean_environment, clone

pytestmark = pytest.mark.long

PHASES = [
    {"name": "head", "freeze": "backbone", "epochs": 2, "lr": 1e-2, "scheduler": "cosine", "monitor": "val_macro_f1"},
    {"name": "upper", "freeze": "layer2", "epochs": 3, "scheduler": "plateau", "monitor": "val_loss", "patience": 1},
    {"name": "all", "freeze": "none", "epochs": 2, "lr_decay": 0.5, "scheduler": "onecycle", "monitor": "val_loss"},
]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone that is ready to train: three phases, with all that has a state of its own."""
    workspace = clone(tmp_path_factory.mktemp("ready"))
    content = yaml.safe_load((workspace.path / "params.yaml").read_text())
    content["model"] |= {"backbone": "test_resnet", "weights": "none", "input_size": 32}
    content["runtime"]["checkpoint_minutes"] = 1e-4
    content["collapse"]["action"] = "warn"
    recipe = content["recipes"]["fast"]
    recipe |= {"batch_size": 32, "accumulate": 2, "clip_norm": 1.0, "ema": 0.9, "augment": "cutmix"}
    recipe["phases"] = [recipe["phases"][0] | {"lr": 3e-3} | phase for phase in PHASES]
    (workspace.path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    workspace.run("dvc", "repro", "split")
    return workspace


def start(workspace: Workspace, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        cwd=workspace.path,
        env=clean_environment() | {"PYTHONPATH": "src"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_states(workspace: Workspace, training: subprocess.Popen[str], number: int) -> None:
    """Wait until the training has saved so many states."""
    while training.poll() is None:
        states = [int(file.stem) for file in workspace.path.glob(".landuse/state/*/*.state")]
        if max(states, default=0) >= number:
            return
        time.sleep(0.1)
    raise AssertionError("it ended too early: " + "".join(training.communicate()))


def test_killed_at_random_moments_it_ends_in_the_same_bytes(ready: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/training/killer.py"), "6", "1"],
        cwd=ready.path,
        env=clean_environment() | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["same"]
    assert found["files"] == 5
    assert found["resumed"] >= 6
    assert found["kills"] >= 6
    ready.run("rm", "-rf", ".landuse/state", "models", "metrics/train.json")


def test_dvc_goes_on_after_everything_was_killed(ready: Workspace) -> None:
    """SIGKILL for dvc and the stage alike: `dvc repro` again resumes, and another one finds nothing to do."""
    first = start(ready, str(BIN / "dvc"), "repro", "train")
    wait_for_states(ready, first, 5)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    again = ready.run("dvc", "repro", "train")
    assert "resuming: " in again.stdout
    resumed = ready.outputs()
    assert "up to date" in ready.run("dvc", "repro", "train").stdout
    forced = ready.run("dvc", "repro", "-f", "-s", "train")
    assert "resuming" not in forced.stdout
    assert ready.outputs() == resumed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_good_order(ready: Workspace, number: int) -> None:
    ready.run("rm", "-rf", ".landuse/state")
    stage = start(ready, sys.executable, "stages/train.py")
    wait_for_states(ready, stage, 3)
    stage.send_signal(number)
    _, errors = stage.communicate(timeout=PATIENCE)
    assert stage.returncode == 128 + number, errors
    assert "state saved: the same command goes on from there" in errors
    assert "Traceback" not in errors
    assert "resuming: " in ready.stage("train").stdout


def test_a_changed_learning_rate_starts_anew_and_says_so(ready: Workspace) -> None:
    ready.run("rm", "-rf", ".landuse/state")
    stage = start(ready, sys.executable, "stages/train.py")
    wait_for_states(ready, stage, 3)
    stage.kill()
    stage.communicate()
    before = (ready.path / "params.yaml").read_text()
    ready.set(train__lr=0.002)
    changed = ready.stage("train")
    (ready.path / "params.yaml").write_text(before)
    assert changed.returncode == 0, changed.stderr
    assert "starting anew" in changed.stdout
    assert "train.lr: None -> 0.002" in changed.stdout
    assert "resuming" not in changed.stdout


def test_a_full_disk_stops_it_in_one_line_and_it_goes_on_later(ready: Workspace) -> None:
    assert ready.stage("train").returncode == 0  # MLflow's database outgrows the limit only while it is made
    ready.run("rm", "-rf", ".landuse/state", "models")
    limited = ready.run(
        "bash", "-c", f"ulimit -f 800; exec {sys.executable} stages/train.py", ok=False, PYTHONPATH="src"
    )
    assert limited.returncode == 2, limited.stderr
    assert "run the same command again" in limited.stderr
    assert "Traceback" not in limited.stderr
    assert not list(Path(ready.path).glob("models/model/*"))
    assert ready.stage("train").returncode == 0
