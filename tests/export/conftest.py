"""The workspace that the export stage finds."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from trained import Workspace


@pytest.fixture
def workspace(built: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The current folder, with a small RGB model in it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(built.path, tmp_path, dirs_exist_ok=True)
    return replace(built, path=tmp_path)
