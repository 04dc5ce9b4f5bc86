"""Folders to search in."""

import shutil
from pathlib import Path

import pytest
import searched
import small
from conftest import DEFAULTS

from landuse.tuning import search


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to search in: params.yaml, dvc.yaml, and a data set that needs no disk."""
    for name in ("DVC_ROOT", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(search, "prepare", searched.prepared)
    shutil.copy(DEFAULTS / "dvc.yaml", tmp_path)
    small.load(tmp_path, searched.PHASES, accumulate=1)
    searched.settle()
    return tmp_path


@pytest.fixture
def folder(here: Path, fresh_database: Path) -> Path:
    """The same, with a database."""
    shutil.copy(fresh_database, here / "mlflow.db")
    return here
