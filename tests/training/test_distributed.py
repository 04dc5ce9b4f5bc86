"""Several processes train as one: the same curves; killed and started again, the same bytes; one of them writes."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ranks
import torch
import trained
from conftest import PATIENCE, ROOT
from small import load, network, tiles
from torch.nn.modules.batchnorm import _BatchNorm
from workspace import BIN, Workspace, clean_environment, clone

from landuse import params
from landuse.core.errors import UserError, user_errors
from landuse.training import distributed
from landuse.training.prepare import prepare
from landuse.training.step import Stepper

TWO = f"{BIN}/torchrun --nproc-per-node 2 --standalone"


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which several processes left their results, and what they printed."""
    folder = tmp_path_factory.mktemp("launched")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/ranks.py"), str(folder)],
        env=clean_environment() | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def found(folder: Path, case: str) -> dict[str, Any]:
    return json.loads((folder / f"{case}.json").read_text())  # type: ignore[no-any-return]


@pytest.mark.long
@pytest.mark.parametrize("case", ranks.AS_ONE)
def test_several_processes_learn_what_one_learns(case: str, launched: tuple[Path, str], tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(True)
    alone, together = ranks.train(case, tmp_path), found(launched[0] / "unbroken", case)
    assert together["best"] == alone["best"]
    for one, two in zip(alone["history"], together["history"], strict=True):
        assert two.pop("phase") == one.pop("phase")
        assert two == pytest.approx(one, rel=1e-5, abs=1e-5)
    losses = [row["train_loss"] for row in alone["history"]]
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.long
def test_killed_and_started_again_they_end_in_the_same_bytes(launched: tuple[Path, str]) -> None:
    folder, printed = launched
    *_, case = ranks.CASES
    assert not list((folder / "killed").glob("*.json"))
    assert printed == "resuming: epoch 1 and 3 batches done\n"
    assert found(folder / "resumed", case) == found(folder / "unbroken", case)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone with tiles and a split, and a recipe of two epochs."""
    workspace = clone(tmp_path_factory.mktemp("ready"))
    trained.build(workspace.path, trained.spec())
    changes: dict[str, Any] = {"recipes__fast__batch_size": 16, "collapse__action": "warn", "train__epochs": 2}
    workspace.set(model__backbone="test_resnet", model__weights="none", model__input_size=32, **changes)
    return workspace


@pytest.mark.long
def test_dvc_starts_them_and_only_one_writes(ready: Workspace) -> None:
    done = ready.run("dvc", "repro", "-s", "train", LANDUSE_LAUNCHER=TWO)
    for line in ("recipe fast", "epoch   1", "epoch   2"):
        assert done.stdout.count(line) == 1, done.stdout
    with sqlite3.connect(ready.path / "mlflow.db") as store:
        assert store.execute("select status from runs").fetchall() == [("FINISHED",)]
        steps = store.execute("select step from metrics where key = 'val_loss' order by step").fetchall()
    assert steps == [(1,), (2,)]
    assert "didn't change" in ready.run("dvc", "repro", "-s", "train").stdout  # however it would be started


def test_more_processes_than_tiles_in_a_batch_are_refused(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    p = params.read(ready.path / "params.yaml", {"train.batch_size": 1})
    monkeypatch.chdir(ready.path)
    monkeypatch.setattr(distributed, "size", lambda: 2)
    with pytest.raises(UserError, match=r"2 processes cannot share 1 tiles .* raise train\.batch_size"):
        prepare(p)


def test_compiling_is_for_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p = load(tmp_path, changes={"train.compile": True})
    monkeypatch.setattr(distributed, "size", lambda: 2)
    with pytest.raises(UserError, match="start without torchrun"):
        Stepper(network(), p.recipe.phases[0], p, tiles()[0])


def test_the_first_process_of_a_machine_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank in ("0", "1"):
        monkeypatch.setenv("LOCAL_RANK", rank)
        with pytest.raises(SystemExit, match="2"), user_errors():
            raise UserError("no")
    assert capsys.readouterr().err == "landuse: error: no\n"


def test_one_process_is_left_as_it_is() -> None:
    model = network()
    kinds = [type(module) for module in model.modules()]
    distributed.share_statistics(model)
    assert [type(module) for module in model.modules()] == kinds
    assert any(isinstance(module, _BatchNorm) for module in model.modules())
    assert distributed.parallel(model) is model
