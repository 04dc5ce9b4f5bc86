"""A training that is stopped in any way goes on, and ends in the same bytes as one that was not."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import warm
import yaml
from workspace import BIN, Workspace, clean_environment, clone

pytestmark = pytest.mark.long

PHASES = [
    {"name": "head", "freeze": "backbone", "epochs": 2, "lr": 1e-2, "scheduler": "cosine", "monitor": "val_macro_f1"},
    {"name": "upper", "freeze": "layer2", "epochs": 3, "scheduler": "plateau", "monitor": "val_loss", "patience": 1},
    {"name": "all", "freeze": "none", "epochs": 2, "lr_decay": 0.5, "scheduler": "onecycle", "monitor": "val_loss"},
]
OUTPUTS = ("models/model", "metrics/train.json", "reports/collapse.json", "plots/history.csv")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, fresh_database: Path) -> Workspace:
    """A clone that is ready to train: three phases, with all that has a state of its own."""
    workspace = clone(tmp_path_factory.mktemp("ready"))
    content = yaml.safe_load((workspace.path / "params.yaml").read_text())
    content["data"]["sample"]["tiles_per_class"] = 60
    content["model"] |= {"backbone": "test_resnet", "weights": "none", "input_size": 32}
    content["runtime"]["checkpoint_minutes"] = 1e-4
    content["collapse"]["action"] = "warn"
    recipe = content["recipes"]["fast"]
    recipe |= {"batch_size": 32, "accumulate": 2, "clip_norm": 1.0, "ema": 0.9, "augment": "cutmix"}
    recipe["phases"] = [recipe["phases"][0] | {"lr": 3e-3} | phase for phase in PHASES]
    (workspace.path / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    workspace.run("dvc", "repro", "split")
    shutil.copy(fresh_database, workspace.path / "mlflow.db")
    return workspace


def train(workspace: Workspace, said: Path, **limits: Any) -> warm.Started:
    """Start the train stage."""
    return warm.script("stages/train.py", workspace.path, clean_environment(), said, **limits)


def forget(workspace: Workspace) -> None:
    """Remove outputs and states: the next training starts anew."""
    for name in (".landuse/state", *OUTPUTS):
        path = workspace.path / name
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def digests(workspace: Workspace) -> dict[str, str]:
    """SHA-256 of every file of the outputs."""
    outputs = [workspace.path / name for name in OUTPUTS]
    files = [f for out in outputs for f in (sorted(out.iterdir()) if out.is_dir() else [out])]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def has_states(workspace: Workspace, number: int) -> bool:
    """Whether a training has saved so many states."""
    return max((int(f.stem) for f in workspace.path.glob(".landuse/state/*/*.state")), default=0) >= number


def test_killed_at_random_moments_it_ends_in_the_same_bytes(ready: Workspace, tmp_path: Path) -> None:
    """Each training is killed at a random moment, until six have gone on from the state of another."""
    moments, kills, resumed = random.Random(1), 0, 0
    first = train(ready, tmp_path)
    assert first.end() == 0, first.err
    unbroken = digests(ready)
    assert len(unbroken) == 5
    forget(ready)
    while resumed < 6:
        killed = train(ready, tmp_path, seconds=moments.uniform(0, first.seconds))
        code = killed.end()
        resumed += "resuming: " in killed.out
        kills += code == -signal.SIGPROF
        assert code in (0, -signal.SIGPROF), killed.err
        if not code:
            assert digests(ready) == unbroken
            forget(ready)
    assert train(ready, tmp_path).end() == 0
    assert digests(ready) == unbroken
    assert kills >= 6
    forget(ready)


def test_dvc_goes_on_after_everything_was_killed(ready: Workspace) -> None:
    """SIGKILL for dvc and the stage alike: `dvc repro` again resumes, and another one finds nothing to do."""
    first = subprocess.Popen(
        [str(BIN / "dvc"), "repro", "train"],
        cwd=ready.path,
        env=clean_environment() | {"PYTHONPATH": "src"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not has_states(ready, 5):
        assert first.poll() is None, "".join(first.communicate())
        time.sleep(0.05)
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
def test_a_signal_ends_it_in_good_order(ready: Workspace, tmp_path: Path, number: int) -> None:
    forget(ready)
    stopped = train(ready, tmp_path)
    stopped.wait_until(lambda: has_states(ready, 3))
    stopped.send(number)
    assert stopped.end() == 128 + number, stopped.err
    assert "state saved: the same command goes on from there" in stopped.err
    assert "Traceback" not in stopped.err
    again = train(ready, tmp_path)
    assert again.end() == 0
    assert "resuming: " in again.out


def test_a_changed_learning_rate_starts_anew_and_says_so(ready: Workspace, tmp_path: Path) -> None:
    forget(ready)
    killed = train(ready, tmp_path)
    killed.wait_until(lambda: has_states(ready, 3))
    killed.send(signal.SIGKILL)
    killed.end()
    before = (ready.path / "params.yaml").read_text()
    ready.set(train__lr=0.002)
    changed = train(ready, tmp_path)
    assert changed.end() == 0, changed.err
    (ready.path / "params.yaml").write_text(before)
    assert "starting anew" in changed.out
    assert "train.lr: None -> 0.002" in changed.out
    assert "resuming" not in changed.out


def test_a_full_disk_stops_it_in_one_line_and_it_goes_on_later(ready: Workspace, tmp_path: Path) -> None:
    forget(ready)
    database = (ready.path / "mlflow.db").stat().st_size  # which does not grow by so much
    limited = train(ready, tmp_path, largest_file=database + 50_000)
    assert limited.end() == 2, limited.err
    assert "run the same command again" in limited.err
    assert "Traceback" not in limited.err
    assert not list((ready.path / "models").glob("model/*"))
    assert train(ready, tmp_path).end() == 0
