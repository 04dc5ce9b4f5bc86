"""Paired differences: against hand-made cases, scikit-learn, scipy, and the truth of simulations."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from landuse.evaluation import metrics
from landuse.evaluation.pairs import Difference, differences


def alike(truth: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Predicted labels 0 or 1, where ``right`` tells."""
    return np.where(right, truth, 1 - truth)


def discordant(first: int, second: int, n: int = 2000) -> Difference:
    """Accuracy of two models of which ``first`` and ``second`` tiles are got right by one alone."""
    truth = np.arange(n) % 2
    a, b = np.ones(n, bool), np.ones(n, bool)
    b[:first], a[first : first + second] = False, False
    return differences(truth, alike(truth, a)[None], alike(truth, b)[None], 2)["accuracy"]


def test_differences_are_those_counted_by_hand() -> None:
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    first = np.array([[0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 0]])  # 7 and 7 of 8
    second = np.array([[0, 0, 1, 1, 1, 1, 1, 1]])  # 6 of 8
    found = differences(truth, first, second, 2)
    assert found["accuracy"].value == pytest.approx(1 / 8)
    # F1 of both labels: 6/7 and 8/9, 8/9 and 6/7; against 4/6 and 8/10
    assert found["macro_f1"].value == pytest.approx((6 / 7 + 8 / 9) / 2 - (4 / 6 + 8 / 10) / 2)


def test_macro_f1_is_that_of_scikit_learn_and_of_the_evaluate_stage() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(4, 500, p=[0.6, 0.3, 0.1, 0.0])  # the last label is never true, but predicted
    a, b = (np.where(rng.random(500) < skill, truth, rng.integers(0, 4, 500)) for skill in (0.9, 0.7))
    value = differences(truth, a[None], b[None], 4)["macro_f1"].value
    there = [0, 1, 2]
    gap = (f1_score(truth, p, labels=there, average="macro") for p in (a, b))
    assert value == pytest.approx(next(gap) - next(gap))
    ours = [float(metrics.from_confusion(metrics.confusion(truth, p, 4))["macro_f1"]) for p in (a, b)]
    assert value == pytest.approx(ours[0] - ours[1])


def test_the_interval_is_that_of_scipys_paired_bootstrap() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 3000)
    a, b = alike(truth, rng.random(3000) < 0.9), alike(truth, rng.random(3000) < 0.85)
    found = differences(truth, a[None], b[None], 2)["accuracy"]

    def gap(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return x.mean(axis) - y.mean(axis)

    right = ((a == truth).astype(float), (b == truth).astype(float))
    theirs = stats.bootstrap(right, gap, paired=True, n_resamples=5000, method="percentile", rng=2).confidence_interval
    assert found.low == pytest.approx(theirs.low, abs=0.0015)
    assert found.high == pytest.approx(theirs.high, abs=0.0015)


def test_a_few_tiles_decide_no_more_than_mcnemars_test_allows() -> None:
    """The plain bootstrap would call four tiles against none a difference; McNemar's exact p is 0.125."""
    for first, second in [(0, 0), (2, 0), (4, 0), (5, 2), (9, 4), (8, 0), (20, 5), (40, 18)]:
        found, p = discordant(first, second), (stats.binomtest(first, first + second).pvalue if first else 1.0)
        assert (found.verdict == "tie") == (p > 0.05), (first, second, found)
        assert found.low < found.value < found.high  # equal predictions are no certainty either


def test_the_other_way_round_has_the_other_sign_and_verdict() -> None:
    better, worse = discordant(30, 5), discordant(5, 30)
    assert (better.verdict, worse.verdict) == ("better", "worse")
    assert better.value == -worse.value == pytest.approx(25 / 2000)
    assert better.low == pytest.approx(-worse.high, abs=5e-4)


def test_the_same_input_gives_the_same_interval() -> None:
    assert discordant(12, 7) == discordant(12, 7)


def test_seeds_that_differ_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 1000)
    even, apart = ([alike(truth, rng.random(1000) < s) for s in skills] for skills in ((0.9,) * 3, (0.8, 0.9, 1.0)))
    other = np.array([alike(truth, rng.random(1000) < 0.85) for _ in range(3)])
    narrow, wide = (differences(truth, np.array(group), other, 2)["accuracy"] for group in (even, apart))
    assert narrow.verdict == "better"
    assert wide.verdict == "tie"
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


@pytest.mark.parametrize(
    ("seeds", "spread"), [(1, 0.0), *(pytest.param(3, s, marks=pytest.mark.long) for s in (0.0, 0.02))]
)
def test_the_interval_holds_the_truth_as_often_as_it_says(seeds: int, spread: float) -> None:
    """True accuracies 0.90 and 0.85; training again moves each model's by ``spread``."""
    rng, n, trials, held = np.random.default_rng(4), 600, 100, 0
    for _ in range(trials):
        truth, difficulty = rng.integers(0, 2, n), rng.random(n)

        def models(skill: float, truth: np.ndarray = truth, hard: np.ndarray = difficulty) -> np.ndarray:
            mixed = [np.where(rng.random(n) < 0.5, hard, rng.random(n)) for _ in range(seeds)]  # errors in common
            return np.array([alike(truth, m < skill + rng.normal(0, spread)) for m in mixed])

        found = differences(truth, models(0.90), models(0.85), 2, resamples=1000)["accuracy"]
        held += found.low <= 0.05 <= found.high
    assert 0.90 <= held / trials <= 1.0
