"""Formulas are arithmetic over names and nothing else."""

import sys

import pytest

from landuse.core import formulas


@pytest.mark.parametrize(
    "text", ["__import__('os')", "B04.real", "B04 if B08 else 1", "B04 // 2", "B04 @ B08", "True", "'B04'", "(B04", ""]
)
def test_a_formula_is_nothing_else(text: str) -> None:
    with pytest.raises(ValueError):
        formulas.read(text)


def test_a_formula_is_read_without_the_package_that_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spyndex", None)
    assert formulas.read("-(B08 - 0.5 * B04) ** 2.0 / B04")({"B04": 0.2, "B08": 0.4}) == pytest.approx(-0.45)
    assert formulas.names("(B08 - B04) / (B08 + B04)") == ["B08", "B04"]
