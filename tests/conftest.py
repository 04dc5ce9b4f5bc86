"""Fixtures that several rooms of the tests share."""

import atexit
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from trained import Workspace

ROOT = Path(__file__).resolve().parents[1]
MINUTES = {"test_pipeline.py", "test_experiments.py", "test_eurosat.py", "test_resume.py"}  # each alone
PATIENCE = 600  # seconds that a test waits for what has to come: it ends what hangs, and bears a loaded machine


def _staged_params() -> bytes:
    """params.yaml as git would commit it: what a user has edited for an experiment is no concern of the tests."""
    return subprocess.run(["git", "show", ":params.yaml"], cwd=ROOT, capture_output=True, check=True).stdout


def _defaults() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="landuse-defaults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "params.yaml").write_bytes(_staged_params())
    return folder


DEFAULTS = _defaults()  # dvc.yaml and the params.yaml that tests start from


def pytest_report_header() -> str | None:
    """Say which params the tests use where there is a choice."""
    if (ROOT / "params.yaml").read_bytes() == _staged_params():
        return None
    return "params.yaml was edited: the tests use git's; 'git add params.yaml' to test yours"


def _real_data() -> Path:
    return Path(os.environ.get("LANDUSE_REAL_DATA", ROOT.parent / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest files: one that came last would leave the other cores idle."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: (item.path.name not in MINUTES, item.path not in long))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real EuroSAT archives; tests that need it are skipped where it is absent."""
    folder = _real_data()
    if not (folder / "EuroSAT_RGB.zip").is_file():
        pytest.skip("the real EuroSAT is not here: set LANDUSE_REAL_DATA to the folder with EuroSAT_RGB.zip")
    return folder


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of MLflow's: making one takes it seconds, copying it nothing."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("database") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").get_experiment_by_name("landuse")
    return file


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> "Workspace":
    """A workspace as training and evaluation leave it, with a small RGB model, for tests to copy."""
    from trained import build, spec

    return build(tmp_path_factory.mktemp("built"), spec())
