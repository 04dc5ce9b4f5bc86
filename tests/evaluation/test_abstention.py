"""Abstention: the threshold keeps what was asked for, whatever the ties; the curve by hand."""

import numpy as np
import pytest

from landuse.evaluation import abstention
from landuse.evaluation.metrics import wilson


@pytest.mark.parametrize("coverage", [0.05, 0.5, 0.9, 0.95, 0.999, 1.0])
@pytest.mark.parametrize("count", [1, 7, 100, 2325])
def test_the_threshold_keeps_at_least_what_was_asked_and_no_tile_more(count: int, coverage: float) -> None:
    score = np.random.default_rng(count).random(count)
    limit = abstention.threshold(score, coverage)
    kept = (score >= limit).sum()
    assert kept >= coverage * count - 1e-9
    assert coverage == 1 or kept == np.ceil(coverage * count - 1e-9)
    assert round(limit, 6) == limit


def test_full_coverage_keeps_a_tile_less_certain_than_any_in_validation() -> None:
    assert abstention.threshold(np.array([0.9, 0.99]), 1.0) == 0


def test_equal_probabilities_are_kept_or_dropped_together() -> None:
    score = np.full(50, 1 / 3)
    limit = abstention.threshold(score, 0.5)
    found = abstention.section(score, np.arange(50) < 20, limit, 0.5, 0.95)
    assert found["abstained"] == 0
    assert found["accuracy"] == wilson(20, 50, 0.95)
    table = abstention.curve(score, np.arange(50) < 20, 0.95)
    assert table[["coverage", "accuracy"]].to_numpy().tolist() == [[1.0, 0.4]]


def test_a_hand_made_case() -> None:
    score = np.array([0.5, 0.9, 0.9, 0.7, 0.6])
    right = np.array([False, True, True, False, True])
    found = abstention.section(score, right, 0.65, 0.8, 0.9)
    assert found == {
        "score": "max_probability",
        "coverage_asked": 0.8,
        "threshold": 0.65,
        "coverage": wilson(3, 5, 0.9),
        "accuracy": wilson(2, 3, 0.9),
        "abstained": 2,
    }
    table = abstention.curve(score, right, 0.9)
    assert table["threshold"].tolist() == [0.9, 0.7, 0.6, 0.5]
    assert table["coverage"].tolist() == pytest.approx([0.4, 0.6, 0.8, 1.0])
    assert table["accuracy"].tolist() == pytest.approx([1, 2 / 3, 3 / 4, 3 / 5])
    assert table["low"].iloc[0] == wilson(2, 2, 0.9)["low"]


def test_where_nothing_is_kept_the_accuracy_is_undefined() -> None:
    found = abstention.section(np.array([0.5, 0.6]), np.array([True, True]), 0.9, 0.95, 0.95)
    assert found["accuracy"] == {"value": None, "low": None, "high": None}
    assert found["abstained"] == 2


def test_a_long_curve_is_thinned_to_its_ends_and_what_lies_between() -> None:
    score = np.random.default_rng(0).random(5000)
    table = abstention.curve(score, score > 0.1, 0.95)
    assert len(table) == 200
    assert table["coverage"].iloc[[0, -1]].tolist() == [1 / 5000, 1]
    assert table["coverage"].diff().max() < 0.006
