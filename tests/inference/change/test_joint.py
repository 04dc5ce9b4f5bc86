"""Shares of transitions from simulated pairs of dates, whose truth is known."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from landuse.inference.change.answers import Answers
from landuse.inference.change.copula import together
from landuse.inference.change.joint import estimate, posterior

_FILE = Path(__file__).resolve().parents[3] / "benchmarks" / "change.py"


@pytest.fixture(scope="module")
def simulation() -> Any:
    spec = importlib.util.spec_from_file_location("change_benchmark", _FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def answers(pair: Any) -> Answers:
    return Answers.of(pair.first, pair.second, np.array([0.5, 0.5]))


@pytest.mark.parametrize(
    ("share", "correlation", "too_sure"), [(0.002, 0.0, 1.0), (0.01, 0.6, 1.0), (0.01, 0.0, 1.4), (0.05, 0.3, 0.7)]
)
def test_a_change_is_found_though_most_labels_that_differ_are_errors(
    simulation: Any, share: float, correlation: float, too_sure: float
) -> None:
    pair = simulation.simulated(np.random.default_rng(4), 0.98, share, correlation, too_sure)
    joint = estimate(answers(pair))
    true = pair.changed.mean()
    assert joint.shares.sum() == pytest.approx(1)
    assert joint.shares[0, 1] == pytest.approx(true, rel=0.15, abs=4e-4)
    assert joint.shares[1, 0] < 5e-4
    assert joint.correlation == pytest.approx(correlation, abs=0.06)
    assert np.exp(joint.nuisance[:2]) == pytest.approx([too_sure] * 2, rel=0.1)
    differ = (pair.first.argmax(axis=0) != pair.second.argmax(axis=0)).mean()
    assert differ > true + 0.01


def test_nothing_is_found_where_nothing_changed(simulation: Any) -> None:
    pair = simulation.simulated(np.random.default_rng(4), 0.945, 0.0, 0.4)
    assert 1 - np.trace(estimate(answers(pair)).shares) < 1e-3


def test_what_a_cell_became_is_told_better_than_by_its_labels(simulation: Any) -> None:
    pair = simulation.simulated(np.random.default_rng(5), 0.98, 0.02, 0.3)
    joint, known = estimate(answers(pair)), answers(pair)
    likely = posterior(joint)[known.pair]
    assert likely.sum(axis=(1, 2)) == pytest.approx(1)
    assert likely.mean(axis=0) == pytest.approx(joint.shares, abs=1e-4)
    said = likely[:, 0, 1] > 0.5
    labels = (pair.first.argmax(axis=0) == 0) & (pair.second.argmax(axis=0) == 1)
    assert (said & pair.changed).sum() / said.sum() > 0.85
    assert (labels & pair.changed).sum() / labels.sum() < 0.7
    assert (said & pair.changed).sum() / pair.changed.sum() > 0.7


def test_transitions_between_three_classes() -> None:
    rng = np.random.default_rng(2)
    true = np.array([[0.5, 0.02, 0.0], [0.0, 0.3, 0.005], [0.0, 0.0, 0.175]])
    was, became = np.divmod(rng.choice(9, 20_000, p=true.ravel()), 3)
    stored = []
    for label in (was, became):  # normal evidence for each class: the softmax of it is calibrated for even shares
        odds = 9 * np.eye(3)[label] + 3 * rng.standard_normal((len(label), 3))
        shares = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        stored.append(np.rint(250 * shares).astype(np.uint8).T)
    joint = estimate(Answers.of(stored[0], stored[1], np.full(3, 1 / 3)))
    assert joint.shares == pytest.approx(true, abs=0.003)
    assert joint.correlation < 0.1


def test_the_prior_of_the_calibration_does_not_become_the_map(simulation: Any) -> None:
    pair = simulation.simulated(np.random.default_rng(6), 0.98, 0.01, 0.0)

    def shifted(stored: np.ndarray) -> np.ndarray:  # as a model says that learnt from four tiles of class 1 to one of 0
        odds = 4 * (stored[1] / 250).clip(1e-4, 1) / (stored[0] / 250).clip(1e-4, 1)
        city = np.rint(250 * odds / (1 + odds)).astype(np.uint8)
        return np.stack([250 - city, city])

    found = estimate(Answers.of(shifted(pair.first), shifted(pair.second), np.array([0.2, 0.8])))
    assert found.shares == pytest.approx(estimate(answers(pair)).shares, abs=3e-3)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_a_copula_has_its_margins_and_its_correlation(correlation: float) -> None:
    first, second = np.array([0.001, 0.2, 0.3, 0.499]), np.array([0.6, 0.39, 0.01])
    joint = together(first, second, correlation) * np.outer(first, second)
    assert joint.sum(axis=1) == pytest.approx(first, rel=1e-3)
    assert joint.sum(axis=0) == pytest.approx(second, rel=1e-3)
    law = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    assert joint[:2, 0].sum() == pytest.approx(law.cdf(norm.ppf([0.201, 0.6])), abs=2e-4)
    assert joint[0, 0] == pytest.approx(law.cdf(norm.ppf([0.001, 0.6])), rel=0.01)


@pytest.mark.long
def test_intervals_hold_the_truth_in_nine_of_ten_pairs(simulation: Any) -> None:
    rng = np.random.default_rng(0)
    runs = []
    for share in np.geomspace(0.002, 0.05, 50):
        accuracy, correlation = rng.choice([0.945, 0.98]), rng.uniform(0, 0.8)
        runs.append(simulation.found(simulation.simulated(rng, accuracy, share, correlation)))
    assert np.mean([run.held for run in runs]) >= 0.9
    assert np.median([abs(run.estimate / run.truth - 1) for run in runs]) < 0.1
    assert np.median([run.compared / run.truth for run in runs]) > 3
    precision, recall = np.mean([run.cells for run in runs], axis=0)
    assert precision > 0.75 and recall > 0.6
