"""The hyperparameter search: what it refuses, what it tries, how it goes on after a kill, and what it tells."""

import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import optuna
import pytest
import warm
import yaml
from mlflow import MlflowClient
from optuna.trial import TrialState
from searched import SPACE, settle

from landuse import cli, params
from landuse.core.errors import Interrupted, UserError
from landuse.training.loop import Best
from landuse.tuning import search
from landuse.tuning import study as store
from landuse.tuning.study import done

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")  # SQLAlchemy to MLflow, on first use


def study() -> optuna.Study:
    storage = "sqlite:///.landuse/tune.db"
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def outcomes() -> list[tuple[Any, ...]]:
    """What the trials tried and came to, without those that were killed."""
    return [(t.user_attrs["settings"], t.state, t.value, t.intermediate_values) for t in done(study())]


def mlflow_runs(folder: Path) -> list[Any]:
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("landuse")
    assert experiment
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"]))


@pytest.mark.long
def test_trials_are_trained_judged_tracked_and_summed_up(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["tune", "--trials", "6"])
    told = capsys.readouterr().out
    trials = done(study())
    assert len(trials) == 6
    finished = [t for t in trials if t.state == TrialState.COMPLETE]
    for trial in trials:
        settings, history = trial.user_attrs["settings"], trial.user_attrs["history"]
        assert 1e-4 <= settings["train.lr"] <= 1e-1
        assert settings["train.lr"] == float(f"{settings['train.lr']:.3g}")
        assert isinstance(settings["train.batch_size"], int)
        assert settings["train.freeze"] in ("none", "layer2")
        assert trial.intermediate_values == {row["epoch"]: row["val_macro_f1"] for row in history}
    for trial in finished:  # judged by the epoch that the phase's own monitor would keep
        kept = min(trial.user_attrs["history"], key=lambda row: row["val_loss"])
        assert trial.value == kept["val_macro_f1"]

    best = max(finished, key=lambda trial: trial.value or 0)
    assert f"best val_macro_f1 {best.value:.4f}; trials: " in told
    line = re.search(r"^try it: dvc exp run (.*)$", told, re.M)
    assert line
    words = dict(word.split("=") for word in line[1].replace("-S ", "").split())
    assert {key: yaml.safe_load(word) for key, word in words.items()} | {"train.lr": float(words["train.lr"])} == (
        best.user_attrs["settings"]
    )

    runs = mlflow_runs(folder)
    (parent,) = (run for run in runs if "landuse.study" in run.data.tags)
    children = [run for run in runs if run is not parent]
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["objective"] == best.value
    assert len(children) == 6
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    for child in children:
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        trial = trials[int(child.data.tags["landuse.trial"]) - 1]
        assert child.data.params == {key: str(value) for key, value in trial.user_attrs["settings"].items()}
        steps = {m.step: m.value for m in client.get_metric_history(child.info.run_id, "val_macro_f1")}
        assert steps == trial.intermediate_values
        expected = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}
        assert child.info.status == expected[trial.state]
        assert child.data.metrics.get("objective") == (trial.value if trial in finished else None)


@pytest.mark.long
@pytest.mark.usefixtures("folder")
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(trials=5)
    search.run()
    unbroken = outcomes()
    shutil.rmtree(".landuse")

    Loop, calls = search.Loop, []

    def interrupted(*given: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return Loop(*given, **more)

    monkeypatch.setattr(search, "Loop", interrupted)
    with pytest.raises(Interrupted, match="2 of 5 trials are done and kept: the same command goes on") as caught:
        search.run()
    assert caught.value.signal == signal.SIGINT
    capsys.readouterr()
    search.run()
    assert "goes on: 2 of 5 trials are done" in capsys.readouterr().out
    assert outcomes() == unbroken
    assert len(study().trials) == 6  # and the one that was stopped, marked failed
    assert {t.state for t in study().trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}

    search.run()  # all are done: told again, nothing trained
    assert len(calls) == 6
    assert "try it: dvc exp run" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.usefixtures("folder")
def test_pruning_ends_a_trial_that_is_behind(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    values = iter([0.9, 0.9, 0.1, 0.95])

    class Scripted(search.Loop):
        def run(self) -> Any:
            value = next(values)
            rows = [{"epoch": epoch, "val_macro_f1": value} for epoch in (1, 2, 3)]
            for row in rows:
                self.on_epoch(row, 1.0)
            return rows, Best(0.0, 3, {})

    monkeypatch.setattr(search, "Loop", Scripted)
    search.run(4)
    assert [t.state.name for t in study().trials] == ["COMPLETE", "COMPLETE", "PRUNED", "COMPLETE"]
    told = capsys.readouterr().out
    assert "pruned after epoch 1: val_macro_f1 0.1000 is behind the median" in told
    assert "trials: 3 finished, 1 pruned" in told


@pytest.mark.long
def test_settings_that_cannot_train_fail_with_their_reason_and_the_search_goes_on(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settle({"train.freeze": {"choices": ["none", "layer2"]}, "recipes.fast.accumulate": {"choices": [1, 100]}})
    search.run(8)
    trials = done(study())
    assert len(trials) == 8
    for trial in trials:
        failed = trial.user_attrs["settings"]["recipes.fast.accumulate"] == 100
        assert (trial.state == TrialState.FAIL) == failed
        assert ("accumulate of recipe fast is 100" in trial.user_attrs.get("reason", "")) == failed
    told = capsys.readouterr().out
    assert "failed: accumulate of recipe fast is 100, but an epoch has 4 batches" in told
    table = told[told.index(" trial ") : told.index("try it")]
    assert len(table.splitlines()) == 1 + 2  # each of the two settings that can train once
    assert "as before" in told  # four combinations, eight trials: no training is done twice
    reasons = [run.data.tags.get("landuse.reason") for run in mlflow_runs(folder)]
    assert sum(reason is not None for reason in reasons) == sum(t.state == TrialState.FAIL for t in trials)


@pytest.mark.usefixtures("folder")
def test_nothing_that_can_be_trained_is_one_line() -> None:
    settle({"recipes.fast.accumulate": {"choices": [100, 200]}})
    with pytest.raises(
        UserError, match=r"none of 2 trials could be trained: mend tune\.space; the last one: accumulate"
    ):
        search.run(2)


@pytest.mark.long
@pytest.mark.usefixtures("folder")
def test_a_changed_space_is_a_new_study_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    settle(trials=1)
    search.run()
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["train"]["lr"] = 0.005  # a searched key: what it is in the file is nothing to the study
    Path("params.yaml").write_text(yaml.safe_dump(content))
    capsys.readouterr()
    search.run()
    assert "goes on: 1 of 1" in capsys.readouterr().out

    settle(SPACE | {"train.freeze": {"choices": ["none", "backbone"]}}, trials=1)
    search.run()
    told = capsys.readouterr().out
    assert "a new study: the last one had other settings (tune.space.train.freeze: " in told
    assert len(optuna.get_all_study_names("sqlite:///.landuse/tune.db")) == 2

    settle(trials=1, monitor="val_loss")
    search.run()
    assert "(tune.monitor: val_macro_f1 -> val_loss" in capsys.readouterr().out


@pytest.mark.long
def test_what_mlflow_lacks_is_filled_in(folder: Path) -> None:
    settle(trials=2)
    search.run()
    before = len(mlflow_runs(folder))
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    child = next(run for run in mlflow_runs(folder) if run.data.tags.get("landuse.trial") == "2")
    first = next(run for run in mlflow_runs(folder) if run.data.tags.get("landuse.trial") == "1")
    client.update_run(child.info.run_id, "RUNNING")  # as a kill in the middle of writing leaves it
    client.delete_tag(child.info.run_id, "landuse.state")
    with closing(sqlite3.connect(folder / "mlflow.db")) as database, database:
        for table in ("metrics", "latest_metrics", "params"):
            database.execute(f"DELETE FROM {table} WHERE run_uuid = ?", (child.info.run_id,))
    client.delete_run(first.info.run_id)
    search.run()
    assert len(mlflow_runs(folder)) == before
    found = {run.data.tags.get("landuse.trial"): run for run in mlflow_runs(folder)}
    for number, old in {"1": first, "2": child}.items():
        assert found[number].info.status == old.info.status == "FINISHED"
        assert found[number].data.metrics == old.data.metrics
        assert found[number].data.params == old.data.params
        assert found[number].data.tags["landuse.state"] == "finished"
    assert found["1"].info.run_id != first.info.run_id
    assert found["2"].info.run_id == child.info.run_id


def test_two_searches_at_once_and_a_broken_file_are_refused(folder: Path) -> None:
    (folder / ".landuse").mkdir()
    with (
        filelock.FileLock(folder / ".landuse/tune.lock"),
        pytest.raises(UserError, match="another 'landuse tune' searches here"),
    ):
        search.run()
    (folder / ".landuse/tune.db").write_bytes(b"no database" * 99)
    with pytest.raises(UserError, match=r"tune\.db \(.*not a database.*\): mend it, or move it away"):
        search.run()


def altered(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        assert database.execute(statement).rowcount > 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: os.truncate(file, file.stat().st_size // 2),
        lambda file: (file.unlink(), file.mkdir()),
        partial(altered, statement="UPDATE alembic_version SET version_num = 'v99.0.0.a'"),
        partial(altered, statement="UPDATE trial_user_attributes SET value_json = '{'"),
        partial(altered, statement="DELETE FROM trial_user_attributes WHERE key = 'settings'"),
    ],
)
def test_a_damaged_study_is_to_be_moved_away(here: Path, damage: Callable[[Path], object]) -> None:
    p = params.read()
    with store.open_study(here, {}, p.tune) as study:
        trial = study.ask()
        for name in (store.SETTINGS, store.HISTORY):
            trial.set_user_attr(name, {})
        study.tell(trial, 1.0)
    file = here / ".landuse/tune.db"
    damage(file)
    with pytest.raises(UserError) as caught, store.open_study(here, {}, p.tune):
        pass
    assert f"move it away (mv {file} {file}.broken) and run the same command again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.long
@pytest.mark.usefixtures("folder")
def test_a_killed_search_repeats_the_trial_it_was_killed_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SIGKILL after the second epoch of the second trial, in a process of its own."""
    settle(trials=3)
    search.run()
    unbroken = outcomes()
    shutil.rmtree(".landuse")
    code = """
        import os, signal, sys
        from landuse.tuning import search
        import searched
        search.prepare = searched.prepared
        Loop, calls = search.Loop, []
        def killed(model, train, val, p, on_epoch, **more):
            calls.append(1)
            def die(row, speed):
                on_epoch(row, speed)
                if len(calls) == 2 and row["epoch"] == 2:
                    os.kill(os.getpid(), signal.SIGKILL)
            return Loop(model, train, val, p, die, **more)
        search.Loop = killed
        search.run()
    """
    killed = warm.code(code, Path.cwd(), tmp_path_factory.mktemp("search") / "said")
    assert killed.end() == -signal.SIGKILL, killed.err
    assert [t.state.name for t in study().trials][-1] == "RUNNING"
    search.run()
    assert outcomes() == unbroken
