"""Calibration measures against scikit-learn and torchmetrics, by hand, and the promise of the interval."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn import metrics as sk
from sklearn.calibration import calibration_curve

from landuse.evaluation import reliability
from landuse.evaluation.metrics import wilson
from landuse.evaluation.scaling import Scaling, nll

RNG = np.random.default_rng


def binary(confidence: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities and targets of two labels where the first one is predicted with these confidences."""
    return np.log(np.stack([confidence, 1 - confidence], axis=1)), np.where(right, 0, 1)


def example(classes: int = 5, count: int = 900) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = RNG(3)
    targets = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)) + 2 * np.eye(classes)[targets]
    return logits, targets, Scaling().log_probabilities(logits)


@pytest.mark.parametrize("classes", [2, 5, 85])
def test_nll_and_brier_agree_with_scikit_learn(classes: int) -> None:
    _, targets, log_p = example(classes)
    labels, p = range(classes), np.exp(log_p)
    assert nll(log_p, targets).mean() == pytest.approx(sk.log_loss(targets, p, labels=labels))
    theirs = sk.brier_score_loss(targets, p, labels=labels, scale_by_half=False)
    assert reliability.brier(log_p, targets).mean() == pytest.approx(theirs)


def test_bins_of_equal_mass_agree_with_scikit_learn() -> None:
    _, targets, log_p = example()
    said, right = np.exp(log_p.max(axis=1)), log_p.argmax(axis=1) == targets
    accuracy, confidence = calibration_curve(right, said, n_bins=reliability.BINS, strategy="quantile")
    table = reliability.reliability(log_p, targets, 0.95)
    assert table["accuracy"].to_numpy() == pytest.approx(accuracy)
    assert table["confidence"].to_numpy() == pytest.approx(confidence)
    assert set(table["count"]) == {60}
    ece = reliability.measures(log_p, targets, 0.95, 100, RNG(0))["ece"]
    assert ece["value"] == pytest.approx(np.abs(accuracy - confidence).mean(), abs=1e-6)


def test_where_both_ways_to_bin_are_the_same_torchmetrics_agrees() -> None:
    """One confidence in the middle of each of 15 equal widths, 40 tiles each: their bins are ours."""
    from torchmetrics.classification import MulticlassCalibrationError  # each worker of pytest would load it

    confidence = np.repeat((np.arange(15) + 0.5) / 15, 40)
    log_p = np.log(np.stack([confidence] + [(1 - confidence) / 30] * 30, axis=1))  # the first is always the largest
    targets = np.where(RNG(0).random(600) < confidence**2, 0, 5)
    theirs = MulticlassCalibrationError(31, n_bins=15, norm="l1")(
        torch.from_numpy(np.exp(log_p)), torch.from_numpy(targets)
    )
    assert reliability.measures(log_p, targets, 0.95, 100, RNG(0))["ece"]["value"] == pytest.approx(
        float(theirs), abs=1e-6
    )


def test_a_hand_made_case() -> None:
    log_p, targets = binary(np.repeat([0.6, 0.9], 10), np.r_[np.ones(8), 0, 0, np.ones(7), 0, 0, 0] == 1)
    table = reliability.before_and_after(log_p, targets, Scaling(2.0), 0.95)
    before = table[table["stage"] == "before"]
    assert before["confidence"].tolist() == pytest.approx([0.6, 0.9])
    assert before["accuracy"].tolist() == pytest.approx([0.8, 0.7])
    assert before["count"].tolist() == [10, 10]
    assert before[["low", "high"]].iloc[0].tolist() == [wilson(8, 10, 0.95)[end] for end in ("low", "high")]
    assert table["confidence"].iloc[3] == pytest.approx(0.75)  # odds of 9 to 1 become 3 to 1
    assert list(table) == ["stage", "confidence", "accuracy", "count", "low", "high"]
    ece = reliability.measures(log_p, targets, 0.95, 100, RNG(0))["ece"]
    assert ece["value"] == pytest.approx((0.2 + 0.2) / 2)


def test_tiles_of_equal_confidence_share_a_bin_whatever_their_order() -> None:
    log_p, targets = binary(np.full(60, 0.8), np.arange(60) < 48)
    table = reliability.reliability(log_p, targets, 0.95)
    assert table["count"].tolist() == [60]
    found = reliability.measures(log_p, targets, 0.95, 200, RNG(0))
    assert found["ece"]["value"] == 0 == found["ece"]["low"]
    assert 0.05 < found["ece"]["high"] < 0.2


@pytest.mark.parametrize("count", [400, pytest.param(4000, marks=pytest.mark.long)])
@pytest.mark.parametrize("slope", [1.0, 0.6, 2.0])
def test_the_interval_of_ece_holds_the_error_of_the_bins(count: int, slope: float) -> None:
    """Known accuracies, expit(slope * logit of the confidence); of a calibrated model (slope 1) the error is 0."""
    held, values = 0, []
    for seed in range(40):
        rng = RNG(seed)
        logit = rng.normal(4, 1.5, count).clip(0.05, 30)
        rate = expit(slope * logit)
        log_p, targets = binary(expit(logit), rng.random(count) < rate)
        found = reliability.measures(log_p, targets, 0.95, 200, rng)["ece"]
        edges = np.quantile(logit, np.linspace(0, 1, 16)[1:-1])
        number = np.searchsorted(edges, logit)
        truth = np.abs(np.bincount(number, rate - expit(logit))).sum() / count
        held += found["low"] - 1e-6 <= truth <= found["high"] + 1e-6
        values.append(found["value"])
    assert held >= 37
    if slope == 1:
        assert min(values) > 0  # what the interval has to make up for


def test_intervals_of_the_means_are_those_of_the_normal_distribution() -> None:
    _, targets, log_p = example(count=2000)
    found = reliability.measures(log_p, targets, 0.95, 2000, RNG(0))
    for name, tiles in (("nll", nll(log_p, targets)), ("brier", reliability.brier(log_p, targets))):
        half = 1.96 * tiles.std() / np.sqrt(len(tiles))
        ends = (found[name]["low"], found[name]["high"])
        assert ends == pytest.approx((tiles.mean() - half, tiles.mean() + half), abs=0.1 * half)
