"""Training logs one MLflow run for one identity, whatever failed, died or ran at the same time."""

import subprocess
import sys
from pathlib import Path

import pytest
import warm
from tracked import IDENTITY, PARAMS, TAGS, artefacts, client, row, runs, write_outputs

from landuse import tracking

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")  # SQLAlchemy to MLflow, on first use


@pytest.mark.long
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
    assert after.data.metrics["train/val_accuracy"] == 0.75


def test_training_leaves_out_what_belongs_to_the_model_before(root: Path) -> None:
    write_outputs(root)
    with tracking.run(IDENTITY, PARAMS, TAGS):
        pass
    (run,) = runs(root)
    assert {name.split("/")[0] for name in run.data.metrics if "/" in name} == {"train"}
    assert {name.split(".")[1] for name in run.data.metrics if name.startswith("verbose.")} == {"split"}
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


@pytest.mark.long
def test_a_killed_run_is_continued(root: Path) -> None:
    killed = warm.code(
        """
        import os
        from landuse import tracking
        from tracked import *
        with tracking.run(IDENTITY, PARAMS, TAGS) as tracked:
            tracked.epoch(row(1)), tracked.epoch(row(2))
            os.kill(os.getpid(), 9)
        """,
        root,
        root.parent / "said",
    )
    assert killed.end() == -9
    (dead,) = runs(root)
    assert dead.info.status == "RUNNING"
    with tracking.run(IDENTITY, PARAMS, TAGS) as tracked:
        for epoch in (2, 3):  # the state on disk may be an epoch behind
            tracked.epoch(row(epoch))
    (run,) = runs(root)
    assert run.info.run_id == dead.info.run_id
    assert run.info.status == "FINISHED"
    assert [m.step for m in client(root).get_metric_history(run.info.run_id, "val_loss")] == [1, 2, 3]


def test_importing_it_does_not_import_mlflow(bare: Path) -> None:
    code = "import landuse.tracking, sys; assert not {'mlflow', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=bare)


@pytest.mark.long
def test_four_processes_meet_in_a_fresh_database(bare: Path) -> None:
    """Two of them train the same model; all are let go at the same moment."""
    code = """
        import os, time
        from landuse import tracking
        from tracked import *
        print("ready", flush=True)
        while not Path("go").exists():
            time.sleep(0.01)
        with tracking.run(os.environ["WHO"], PARAMS, TAGS) as tracked:
            for epoch in range(1, 6):
                tracked.epoch(row(epoch))
    """
    processes = [
        warm.code(code, bare, bare.parent / f"said-{number}", WHO=who)
        for number, who in enumerate(("aaaa", "bbbb", "cccc", "cccc"))
    ]
    for process in processes:
        process.wait_until(lambda process=process: process.out == "ready\n")
    (bare / "go").touch()
    for process in processes:
        assert (process.end(), process.out, process.err) == (0, "ready\n", "")
    found = {run.data.tags["landuse.identity"]: run for run in runs(bare)}
    assert sorted(found) == ["aaaa", "bbbb", "cccc"]
    assert len(runs(bare)) == 3
    for run in found.values():
        assert [m.step for m in client(bare).get_metric_history(run.info.run_id, "val_loss")] == [1, 2, 3, 4, 5]
