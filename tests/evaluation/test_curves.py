"""ROC and precision-recall curves as tables."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from landuse.evaluation import curves, metrics


def label_scores(truth: np.ndarray, shares: np.ndarray, names: list[str]) -> dict[str, dict[str, metrics.Interval]]:
    return metrics.rank_metrics(truth, shares, names, 0.95, 100, np.random.default_rng(0))[1]


def made(classes: int, count: int) -> tuple[np.ndarray, np.ndarray, dict[str, pd.DataFrame]]:
    """Random answers, mostly right, and their curves."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, count)
    shares = rng.dirichlet(np.ones(classes), count) + np.eye(classes)[truth]
    shares /= shares.sum(1, keepdims=True)
    names = [f"class{i}" for i in range(classes)]
    return truth, shares, curves.tables(truth, shares, label_scores(truth, shares, names))


@pytest.mark.parametrize("classes", [2, 10, 30])
def test_one_curve_for_comparing_and_one_for_each_label(classes: int) -> None:
    truth, shares, found = made(classes, 1000)
    roc = found["roc"]
    assert roc.iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert roc["fpr"].is_monotonic_increasing and roc["tpr"].is_monotonic_increasing
    each = found["curves"]
    shown = 1 if classes == 2 else min(classes, 12)
    assert each.groupby("curve")["label"].nunique().to_dict() == {"pr": shown, "roc": shown}
    label = each["label"].iloc[-1]
    own = each[(each["curve"] == "roc") & (each["label"] == label)]
    i = int(label.removeprefix("class"))
    if classes <= 12:
        fpr, tpr, _ = roc_curve(truth == i, shares[:, i])
        assert np.array_equal(own[["x", "y"]].to_numpy(dtype=float), np.stack([fpr, tpr], axis=1))


def test_of_many_labels_the_weakest_are_shown() -> None:
    truth, shares, found = made(30, 1000)
    names = [f"class{i}" for i in range(30)]
    areas = {name: of["roc_auc"]["value"] for name, of in label_scores(truth, shares, names).items()}
    shown = found["curves"].query("curve == 'roc'")["label"].unique()
    assert set(shown) == set(sorted(areas, key=lambda name: areas[name])[:12])


def test_thinned_curves_keep_their_corners() -> None:
    """A good classifier: most points lie where nothing happens, and a choice by their number would cut the corner."""
    rng = np.random.default_rng(0)
    truth = (rng.random(20_000) < 0.9).astype(int)
    score = 1 / (1 + np.exp(-rng.normal(size=20_000) - 5 * truth))
    scores = dict.fromkeys(["a", "b"], dict.fromkeys(["roc_auc", "average_precision"], metrics.wilson(1, 2, 0.95)))
    found = curves.tables(truth, np.stack([1 - score, score], axis=1), scores)
    precision, recall, _ = precision_recall_curve(truth, score, drop_intermediate=True)
    for name, curve in (("roc", roc_curve(truth, score)[:2]), ("pr", (recall, precision))):
        kept, every = found[name].to_numpy(), np.stack(curve, axis=1)
        assert len(kept) <= 500
        length = np.abs(np.diff(every, axis=0)).sum()
        gaps = np.abs(every[:, None] - kept[None]).sum(axis=2).min(axis=1)
        assert gaps.max() <= length / 499 + 1e-6, name


@pytest.mark.parametrize("truth", [[0], [0, 0, 0], [1, 1], [0, 1]])
def test_tiny_or_one_sided_test_splits(truth: list[int]) -> None:
    shares = np.full((len(truth), 2), 0.5)
    found = curves.tables(np.array(truth), shares, label_scores(np.array(truth), shares, ["a", "b"]))
    assert list(found["curves"]) == ["curve", "label", "x", "y"]
    assert len(found["roc"]) >= 2 and len(found["pr"]) >= 1
