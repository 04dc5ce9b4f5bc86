"""What a report is made from, once for all its tests."""

import pytest
import reported

from landuse.report.inputs import Explained, Inputs

Found = tuple[Inputs, Explained]


@pytest.fixture(scope="session")
def ten() -> Found:
    """Ten labels, 4,050 test tiles."""
    return reported.found()


@pytest.fixture(scope="session")
def two() -> Found:
    """Two labels, few tiles."""
    return reported.found(["City", "Farmland"], 300, 40)
