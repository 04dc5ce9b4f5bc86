"""Fixtures that several rooms of the tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _real_data() -> Path:
    return Path(os.environ.get("LANDUSE_REAL_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real EuroSAT archives; tests that need it are skipped where it is absent."""
    folder = _real_data()
    if not (folder / "EuroSAT_RGB.zip").is_file():
        pytest.skip("the real EuroSAT is not here: set LANDUSE_REAL_DATA to the folder with EuroSAT_RGB.zip")
    return folder
