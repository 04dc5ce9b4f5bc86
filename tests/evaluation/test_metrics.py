"""Every formula against an independent implementation, and the cases where formulas break."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from landuse.evaluation import metrics


def predictions(classes: int, count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, prediction and probabilities of a classifier that is right in most cases."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    logits = rng.normal(size=(count, classes)).round(1) + 1.3 * np.eye(classes)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return truth, probabilities.argmax(1), probabilities


@pytest.mark.parametrize(("successes", "count"), [(0, 9), (9, 9), (1, 1), (0, 1), (2299, 2325), (37, 100)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_agrees_with_scipy(successes: int, count: int, confidence: float) -> None:
    ours = metrics.wilson(successes, count, confidence)
    theirs = binomtest(successes, count).proportion_ci(confidence, method="wilson")
    assert (ours["low"], ours["high"]) == pytest.approx((theirs.low, theirs.high), abs=1e-6)
    assert ours["value"] == pytest.approx(successes / count, abs=1e-6)


def test_a_proportion_of_nothing_is_undefined() -> None:
    assert metrics.wilson(0, 0, 0.95) == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_metrics_of_the_confusion_matrix_agree_with_scikit_learn(classes: int) -> None:
    truth, predicted, _ = predictions(classes)
    matrix = metrics.confusion(truth, predicted, classes)
    assert np.array_equal(matrix, sk.confusion_matrix(truth, predicted))
    ours = metrics.from_confusion(matrix)
    macro = {"average": "macro", "zero_division": 0}
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(truth, predicted))
    assert ours["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, predicted))
    assert ours["macro_precision"] == pytest.approx(sk.precision_score(truth, predicted, **macro))
    assert ours["macro_recall"] == pytest.approx(sk.recall_score(truth, predicted, **macro))
    assert ours["macro_f1"] == pytest.approx(sk.f1_score(truth, predicted, **macro))
    assert ours["mcc"] == pytest.approx(sk.matthews_corrcoef(truth, predicted))
    assert metrics.per_class_f1(matrix) == pytest.approx(sk.f1_score(truth, predicted, average=None))


def test_a_hand_made_case() -> None:
    ours = metrics.from_confusion(np.array([[8, 2], [1, 9]]))
    assert ours["accuracy"] == pytest.approx(0.85)
    assert ours["balanced_accuracy"] == pytest.approx((0.8 + 0.9) / 2)
    assert ours["macro_precision"] == pytest.approx((8 / 9 + 9 / 11) / 2)
    assert ours["mcc"] == pytest.approx((8 * 9 - 2 * 1) / np.sqrt(10 * 10 * 9 * 11))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_rank_metrics_agree_with_scikit_learn_ties_included(classes: int) -> None:
    truth, _, probabilities = predictions(classes)
    scores = probabilities.round(2) if classes == 2 else probabilities
    names = [f"class{i}" for i in range(classes)]
    overall, labels = metrics.rank_metrics(truth, scores, names, 0.95, 100, np.random.default_rng(0))
    expected = (
        sk.roc_auc_score(truth, scores[:, 1]) if classes == 2 else sk.roc_auc_score(truth, scores, multi_class="ovr")
    )
    assert overall["value"] == pytest.approx(expected, abs=1e-6)
    for i, name in enumerate(names):
        area, precision = (
            sk.roc_auc_score(truth == i, scores[:, i]),
            sk.average_precision_score(truth == i, scores[:, i]),
        )
        assert labels[name]["roc_auc"]["value"] == pytest.approx(area, abs=1e-6)
        assert labels[name]["average_precision"]["value"] == pytest.approx(precision, abs=1e-6)


def test_weights_stand_for_repeated_tiles() -> None:
    truth, _, probabilities = predictions(2, count=60)
    score = probabilities[:, 1].round(1)
    weights = np.random.default_rng(1).integers(0, 4, (60, 3)).astype(float)
    areas, precisions = metrics.rank_scores(truth == 1, score, weights)
    for k in range(3):
        chosen = np.repeat(np.arange(60), weights[:, k].astype(int))
        assert areas[k] == pytest.approx(sk.roc_auc_score(truth[chosen], score[chosen]))
        assert precisions[k] == pytest.approx(sk.average_precision_score(truth[chosen], score[chosen]))


@pytest.mark.long
def test_the_fast_bootstrap_gives_the_interval_of_the_plain_one() -> None:
    truth, predicted, probabilities = predictions(3, count=300)
    fast = metrics.summarise(truth, predicted, 3, 0.95, 4000, np.random.default_rng(1))["macro_f1"]
    area, labels = metrics.rank_metrics(truth, probabilities, list("abc"), 0.95, 4000, np.random.default_rng(1))
    rng, plain_f1, plain_auc, plain_ap = np.random.default_rng(2), [], [], []
    for _ in range(600):
        chosen = rng.integers(0, 300, 300)
        plain_f1.append(sk.f1_score(truth[chosen], predicted[chosen], average="macro"))
        plain_auc.append(sk.roc_auc_score(truth[chosen], probabilities[chosen], multi_class="ovr"))
        plain_ap.append(sk.average_precision_score(truth[chosen] == 0, probabilities[chosen, 0]))
    for ours, plain in ((fast, plain_f1), (area, plain_auc), (labels["a"]["average_precision"], plain_ap)):
        assert (ours["low"], ours["high"]) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.012)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """A classifier of known accuracy 0.9 on two balanced classes: its macro-F1 is 0.9 too."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, 400)
        predicted = np.where(rng.random(400) < 0.9, truth, 1 - truth)
        found = metrics.summarise(truth, predicted, 2, 0.95, 400, rng)["macro_f1"]
        hits += found["low"] <= 0.9 <= found["high"]
    assert 180 <= hits <= 199


@pytest.mark.parametrize("counts", [(54, 54), (100, 8), (1000, 5)])
def test_a_perfect_score_does_not_claim_certainty(counts: tuple[int, int]) -> None:
    """Of all classifiers that pass such a test with a chance of 2.5 %, none is worse than the lower end says."""
    truth = np.repeat([0, 1], counts)
    found = metrics.summarise(truth, truth, 2, 0.95, 500, np.random.default_rng(0))
    assert found["accuracy"] == metrics.wilson(len(truth), len(truth), 0.95)
    recall = np.linspace(0.3, 1, 701)
    other = np.minimum((0.025 / recall ** counts[1]) ** (1 / counts[0]), 1)
    share = np.array(counts) / sum(counts)
    matrices = np.array(
        [
            [share[0] * b, share[0] * (1 - b), share[1] * (1 - a), share[1] * a]
            for a, b in zip(recall, other, strict=True)
        ]
    )
    worst = {
        name: values[other < 1].min() for name, values in metrics.from_confusion(matrices.reshape(-1, 2, 2)).items()
    }
    for name in ("balanced_accuracy", "macro_f1", "mcc"):
        assert found[name]["value"] == found[name]["high"] == 1
        assert found[name]["low"] <= worst[name] + 0.005
    if counts[0] == counts[1]:
        assert found["balanced_accuracy"]["low"] == pytest.approx(worst["balanced_accuracy"], abs=0.005)
        assert found["mcc"]["low"] == pytest.approx(worst["mcc"], abs=0.005)


def test_degenerate_predictions_give_clear_values() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([0, 0, 1, 1, 1])
    same = metrics.summarise(truth, np.ones(5, int), 2, 0.95, 200, rng)
    assert same["mcc"] == {"value": 0.0, "low": None, "high": None}
    assert same["balanced_accuracy"]["value"] == 0.5
    missing = metrics.summarise(np.zeros(4, int), np.array([0, 0, 0, 1]), 2, 0.95, 200, rng)
    assert missing["balanced_accuracy"]["value"] == 0.75
    one_each = metrics.summarise(np.arange(3), np.arange(3), 3, 0.95, 200, rng)
    assert one_each["accuracy"]["low"] < 0.5
    undefined = {"value": None, "low": None, "high": None}
    overall, labels = metrics.rank_metrics(np.zeros(4, int), np.full((4, 2), 0.5), ["a", "b"], 0.95, 100, rng)
    assert overall == labels["a"]["roc_auc"] == labels["b"]["average_precision"] == undefined
    assert metrics.percentile(float("nan"), np.array([np.nan]), 0.95, 4) == undefined
