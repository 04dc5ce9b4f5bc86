"""Fixtures that several rooms of the tests share."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _real_data() -> Path:
    return Path(os.environ.get("LANDUSE_REAL_DATA", ROOT.parent / "shared" / "data"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the files that hold long tests: one that came last would leave the other cores idle."""
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real EuroSAT archives; tests that need it are skipped where it is absent."""
    folder = _real_data()
    if not (folder / "EuroSAT_RGB.zip").is_file():
        pytest.skip("the real EuroSAT is not here: set LANDUSE_REAL_DATA to the folder with EuroSAT_RGB.zip")
    return folder
