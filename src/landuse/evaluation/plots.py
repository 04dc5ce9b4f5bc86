"""Confusion matrix, ROC and precision-recall: as data for `dvc plots`, and as pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from landuse.files import atomic, write_csv

FOLDER = Path("plots")
_POINTS = 500  # of a curve in a file; further points would not show
_COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]  # Paul Tol's bright scheme
_STYLES = ["-", "--", ":"]

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def write(
    truth: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], names: list[str], folder: Path = FOLDER
) -> None:
    """Write confusion.csv, roc.csv, pr.csv and their pictures.

    The two curve files hold one curve, so that `dvc plots diff` lays experiments over each other: that of the
    second label of two, else all labels against the rest together (micro-average). The pictures show each label.
    """
    predicted = probabilities.argmax(1)
    table = pd.DataFrame({"actual": np.take(names, truth), "predicted": np.take(names, predicted)})
    write_csv(folder / "confusion.csv", table)
    _save(_draw_confusion(truth, predicted, names), folder / "confusion.png")
    if len(names) == 2:
        labels, together = [1], (truth == 1, probabilities[:, 1])
    else:
        labels = list(range(len(names)))
        together = (np.eye(len(names), dtype=bool)[truth].ravel(), probabilities.ravel())
    present = [label for label in labels if 0 < (truth == label).sum() < len(truth)]
    roc, pr = _roc(*together), _pr(*together)
    write_csv(folder / "roc.csv", pd.DataFrame({"fpr": roc[0], "tpr": roc[1]}))
    write_csv(folder / "pr.csv", pd.DataFrame({"recall": pr[0], "precision": pr[1]}))
    binary = {label: (truth == label, probabilities[:, label]) for label in present}
    _save(_draw_roc({names[label]: _roc(*binary[label]) for label in present}, len(truth)), folder / "roc.png")
    curves = {f"{names[k]} (AP {average_precision_score(*binary[k]):.4f})": _pr(*binary[k]) for k in present}
    _save(_draw_pr(curves), folder / "pr.png")


def _roc(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> Curve:
    if positive.all() or not positive.any():
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    fpr, tpr, _ = roc_curve(positive, score)
    return _thin(fpr, tpr)


def _pr(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> Curve:
    if not positive.any():
        return np.array([0.0, 1.0]), np.array([0.0, 0.0])
    precision, recall, _ = precision_recall_curve(positive, score, drop_intermediate=True)
    return _thin(recall[::-1], precision[::-1])


def _thin(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Curve:
    """Keep at most 500 points, evenly by their number, both ends among them."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _POINTS)).round().astype(int))
    return x[kept], y[kept]


def _draw_confusion(truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], names: list[str]) -> Figure:
    count = len(names)
    matrix = np.bincount(truth * count + predicted, minlength=count**2).reshape(count, count)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 2.6 + 0.75 * max(count, 3)
    figure, axis = plt.subplots(figsize=(side + 0.6, side), layout="constrained")
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    size = 11 if count <= 4 else 8 if count <= 12 else 5
    for i, j in np.ndindex(count, count):
        if matrix[i, j] or count <= 12:
            text = f"{matrix[i, j]:,}" + (f"\n{share[i, j]:.1%}" if matrix[i, j] else "")
            colour = "white" if share[i, j] > 0.55 else "0.15"
            axis.text(j, i, text, ha="center", va="center", fontsize=size, color=colour)
    slanted: dict[str, Any] = {"rotation": 35, "ha": "right"} if count > 4 else {}
    axis.set_xticks(range(count), names, **slanted)
    axis.set_yticks(range(count), names)
    axis.set(xlabel="predicted", ylabel="actual")
    axis.set_title(f"Confusion on {len(truth):,} test tiles (row shares)", loc="left", fontsize=11)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return figure


def _draw_roc(curves: dict[str, Curve], tiles: int) -> Figure:
    """The false positive rate is logarithmic: good classifiers differ in its first hundredth."""
    figure, axis = plt.subplots(figsize=(7, 5.2), layout="constrained")
    lowest = 10 ** np.floor(np.log10(0.5 / tiles))
    for (name, (fpr, tpr)), style in zip(curves.items(), _line_styles(len(curves)), strict=True):
        area = auc(fpr, tpr)
        axis.plot(np.maximum(fpr, lowest), tpr, label=f"{name} (AUC {area:.4f})", drawstyle="steps-post", **style)
    x = np.logspace(np.log10(lowest), 0, 200)
    axis.plot(x, x, color="0.6", lw=1, ls=":", label="chance")
    axis.set(xscale="log", xlim=(lowest, 1), xlabel="false positive rate", ylabel="true positive rate")
    _finish(axis, "ROC, each label against the rest" if len(curves) > 1 else "ROC")
    return figure


def _draw_pr(curves: dict[str, Curve]) -> Figure:
    figure, axis = plt.subplots(figsize=(7, 5.2), layout="constrained")
    lowest = 1.0
    for (name, (recall, precision)), style in zip(curves.items(), _line_styles(len(curves)), strict=True):
        axis.plot(recall, precision, label=name, **style)
        lowest = min(lowest, float(np.min(precision[recall > 0.05], initial=1.0)))
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1.005), ylim=(max(0.0, lowest - 0.02), 1.005))
    _finish(axis, "Precision and recall")
    return figure


def _line_styles(count: int) -> Sequence[dict[str, Any]]:
    return [
        {"color": _COLOURS[i % len(_COLOURS)], "ls": _STYLES[i // len(_COLOURS) % len(_STYLES)], "lw": 1.7}
        for i in range(count)
    ]


def _finish(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=11)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(frameon=False, fontsize=8, loc="lower right" if "ROC" in title else "lower left")


def _save(figure: Figure, path: Path) -> None:
    with atomic(path) as part:
        figure.savefig(part, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)
