"""ROC and precision-recall curves as tables."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from landuse.core.arrays import Flags, Floats, Ints

Curve = tuple[Floats, Floats]
_POINTS = 500  # of a curve in a file; further points would not show
_CURVES = 12  # more in a picture cannot be told apart


def tables(truth: Ints, probabilities: Floats, labels: Mapping[str, Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """The tables roc (fpr, tpr), pr (recall, precision) and curves (curve, label, x, y).

    The first two hold one curve, so that `dvc plots diff` lays experiments over each other: that of the second label of
    two, else all labels against the rest together (micro-average). The third holds that of each label, of more than
    twelve the twelve with the lowest score.

    probabilities: (n, classes). labels: name -> roc_auc and average_precision, each with its interval; in the order of
    the targets.
    """
    names = list(labels)
    if len(names) == 2:
        shown, together = [1], (truth == 1, probabilities[:, 1])
    else:
        shown = list(range(len(names)))
        together = (np.eye(len(names), dtype=bool)[truth].ravel(), probabilities.ravel())

    def of_labels(kind: str, metric: str, curve: Callable[..., Curve]) -> list[pd.DataFrame]:
        scores = {i: labels[names[i]][metric]["value"] for i in shown if labels[names[i]][metric]["value"] is not None}
        weakest = sorted(scores, key=lambda i: float(scores[i]))[:_CURVES]
        points = {names[i]: curve(truth == i, probabilities[:, i]) for i in sorted(weakest)}
        return [pd.DataFrame({"curve": kind, "label": name, "x": x, "y": y}) for name, (x, y) in points.items()]

    roc, pr = _thin(*_roc(*together)), _thin(*_pr(*together))
    each = of_labels("roc", "roc_auc", _roc) + of_labels("pr", "average_precision", _pr)
    return {
        "roc": pd.DataFrame({"fpr": roc[0], "tpr": roc[1]}),
        "pr": pd.DataFrame({"recall": pr[0], "precision": pr[1]}),
        "curves": pd.concat([pd.DataFrame(columns=["curve", "label", "x", "y"]), *each], ignore_index=True),
    }


def _roc(positive: Flags, score: Floats) -> Curve:
    if positive.all() or not positive.any():
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    fpr, tpr, _ = roc_curve(positive, score)
    return fpr, tpr


def _pr(positive: Flags, score: Floats) -> Curve:
    if not positive.any():
        return np.array([0.0, 1.0]), np.array([0.0, 0.0])
    precision, recall, _ = precision_recall_curve(positive, score, drop_intermediate=True)
    return recall[::-1], precision[::-1]


def _thin(x: Floats, y: Floats) -> Curve:
    """Keep at most 500 points, both ends among them, evenly along the curve.

    No point left out lies further than 1/499 of the curve's length (|dx| + |dy|; 2 for any ROC curve) from one
    that is kept, so corners and jumps stay where they are.
    """
    length = np.cumsum(np.r_[0.0, np.abs(np.diff(x)) + np.abs(np.diff(y))])
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _POINTS)))
    return x[kept], y[kept]
