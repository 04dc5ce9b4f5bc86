"""Where MLflow stores, and what is said when it cannot."""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import warm
from conftest import PATIENCE
from mlflow import MlflowClient
from tracked import IDENTITY, PARAMS, TAGS, artefacts, client, python, runs, write_outputs

from landuse import tracking
from landuse.core.errors import UserError
from landuse.tracking import store as tracking_store

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")  # SQLAlchemy to MLflow, on first use


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
    assert {file.name for file in temporary.iterdir()} == {"data", "metrics", "models", "plots", "reports", "dvc.yaml"}


@pytest.mark.long
def test_a_database_is_made_whole_or_not_at_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of MLflow's tables would be in its way for ever: 'table trace_info already exists'."""
    write_outputs(root)
    (root / "mlflow.db").unlink()
    (root / "mlflow.db.part").write_bytes(b"what a killed process left")

    def fill_the_disk(_: MlflowClient, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(MlflowClient, "search_experiments", fill_the_disk)
        tracking.track("train")
    assert not (root / "mlflow.db").exists()
    tracking.track("train")
    assert len(runs(root)) == 1
    assert not (root / "mlflow.db.part").exists()


@pytest.mark.long
def test_a_moved_repository_keeps_its_artefacts_together(root: Path) -> None:
    write_outputs(root)
    tracking.track("train")
    moved = root.rename(root.with_name("moved"))
    code = "from landuse import tracking; tracking.track('evaluate')"
    assert warm.code(code, moved, moved.parent / "said").end() == 0  # a process of its own: MLflow remembers paths
    assert not root.exists()
    assert artefacts(moved) == {"plots/training_curves.png", "plots/confusion.png", "reports/index.html"}
    (run,) = runs(moved)
    listed = {f.path for name in ("plots", "reports") for f in client(moved).list_artifacts(run.info.run_id, name)}
    assert listed == artefacts(moved)


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


def version(file: Path, name: str) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (name,))


def folder_in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: os.truncate(file, 100),
        lambda file: os.truncate(file, file.stat().st_size // 2),
        lambda file: file.write_bytes(b"garbage" * 999),
        partial(version, name="v3.2.0.a"),  # Optuna's
        partial(version, name="cfd24bdc0731"),  # an old one of MLflow's
        folder_in_its_place,
    ],
)
def test_a_damaged_database_is_to_be_moved_away_and_then_all_is_logged_anew(
    root: Path, damage: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    write_outputs(root)
    file = root / "mlflow.db"
    damage(file)
    with pytest.raises(UserError) as caught:
        tracking.track("export")
    assert f"move it away (mv {file} {file}.broken) and run the same command again" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert file.exists()


@pytest.mark.long
def test_an_empty_database_is_filled(root: Path) -> None:
    write_outputs(root)
    os.truncate(root / "mlflow.db", 0)
    tracking.track("train")
    assert len(runs(root)) == 1


def test_damaged_results_end_a_training_before_it_starts(root: Path) -> None:
    write_outputs(root)
    (root / "reports/split.json").write_text("{")
    with pytest.raises(UserError, match=r"split\.json is damaged"), tracking.run(IDENTITY, PARAMS, TAGS):
        raise AssertionError("it has started")
    assert runs(root) == []


def test_an_experiment_is_tagged_as_no_language_model_unless_it_says_otherwise(root: Path) -> None:
    kind = "mlflow.experimentKind"
    identifier = client(root).create_experiment("landuse")
    for before, after in ((None, "custom_model_development"), ("classification", "classification")):
        if before:
            client(root).set_experiment_tag(identifier, kind, before)
        tracking_store.open_store(root)
        assert client(root).get_experiment(identifier).tags[kind] == after


def test_a_deleted_experiment_is_a_clear_error(root: Path) -> None:
    identifier = client(root).create_experiment("landuse")
    client(root).delete_experiment(identifier)
    with pytest.raises(UserError, match=f"mlflow experiments restore -x {identifier}"), tracking.run("1", PARAMS, TAGS):
        pass


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
    assert (*process.communicate(timeout=PATIENCE), process.returncode) == ("", "", 0)
