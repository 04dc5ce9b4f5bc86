"""Repositories without outputs, with and without a database."""

import os
import shutil
from pathlib import Path

import pytest
from tracked import DVC_YAML


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository without any output or database, as current folder; its path holds a blank and an umlaut."""
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "DVC_"))]:
        monkeypatch.delenv(name)
    root = tmp_path / "my prøject"
    root.mkdir()
    (root / "dvc.yaml").write_text(DVC_YAML)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def root(bare: Path, fresh_database: Path) -> Path:
    shutil.copy(fresh_database, bare / "mlflow.db")
    return bare
