"""Conformal sets: the quantile by hand and by numpy, the promise by simulation, and when none is made."""

import numpy as np
import pytest

from landuse.evaluation import conformal
from landuse.evaluation.metrics import wilson


def drawn(count: int, classes: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A model that is sure of itself and wrong more often than it says."""
    targets = rng.integers(0, classes, count)
    logits = 2 * (rng.normal(size=(count, classes)) + np.eye(classes)[targets])
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), targets


@pytest.mark.parametrize(("count", "coverage"), [(19, 0.95), (100, 0.9), (2325, 0.95), (999, 0.99)])
def test_the_quantile_is_numpys_with_the_correction(count: int, coverage: float) -> None:
    p, targets = drawn(count, 3, np.random.default_rng(0))
    scores = 1 - p[np.arange(count), targets]
    level = min(1.0, np.ceil((count + 1) * coverage - 1e-9) / count)
    found = conformal.quantile(p, targets, coverage)
    assert found == pytest.approx(np.quantile(scores, level, method="inverted_cdf"), abs=1e-6)
    assert (scores <= found).mean() >= coverage


@pytest.mark.parametrize(("count", "coverage"), [(18, 0.95), (98, 0.99), (1, 0.9)])
def test_too_few_tiles_promise_nothing_but_all_labels(count: int, coverage: float) -> None:
    p, targets = drawn(count, 4, np.random.default_rng(0))
    limit = conformal.quantile(p, targets, coverage)
    assert limit is None
    found = conformal.section(p, targets, list("abcd"), limit, coverage, 0.95)
    assert found["sizes"] == {"4": count} and "too few validation tiles" in found["method"]
    assert found["coverage"]["value"] == 1


@pytest.mark.parametrize("classes", [2, 10])
def test_the_coverage_is_as_promised_though_the_model_is_overconfident(classes: int) -> None:
    """On average over validation sets between the coverage and the coverage + 1 / (n + 1)."""
    rng = np.random.default_rng(1)
    measured = []
    for _ in range(300):
        limit = conformal.quantile(*drawn(99, classes, rng), 0.9)
        p, targets = drawn(400, classes, rng)
        measured.append(conformal.sets(p, limit)[np.arange(400), targets].mean())
    error = np.std(measured) / np.sqrt(300)
    assert 0.9 - 3 * error <= np.mean(measured) <= 0.91 + 3 * error


def test_a_hand_made_case() -> None:
    p = np.array([[0.7, 0.3, 0.0], [0.45, 0.45, 0.1], [0.34, 0.33, 0.33], [0.1, 0.9, 0.0]])
    found = conformal.section(p, np.array([0, 1, 2, 0]), ["a", "b", "c"], 0.6, 0.9, 0.95)
    assert conformal.sets(p, 0.6).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert found == {
        "method": "lac",
        "coverage_asked": 0.9,
        "coverage": wilson(2, 4, 0.95),
        "mean_size": 1.0,
        "sizes": {"0": 1, "1": 2, "2": 1},
        "by_label": {"a": wilson(1, 2, 0.95), "b": wilson(1, 1, 0.95), "c": wilson(0, 1, 0.95)},
    }


def test_equal_probabilities_give_all_labels_and_a_missing_one_is_undefined() -> None:
    p = np.full((40, 4), 0.25)
    limit = conformal.quantile(p, np.arange(40) % 4, 0.9)
    found = conformal.section(p, np.arange(40) % 3, list("abcd"), limit, 0.9, 0.95)
    assert found["sizes"] == {"4": 40}
    assert found["by_label"]["d"] == {"value": None, "low": None, "high": None}
