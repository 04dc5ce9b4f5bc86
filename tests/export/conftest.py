"""The workspace that the export stage finds."""

from pathlib import Path

import pytest
from trained import Workspace, build, spec


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The current folder, with a small RGB model in it."""
    monkeypatch.chdir(tmp_path)
    return build(tmp_path, spec())
