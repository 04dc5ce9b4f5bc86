"""Confusion matrix, ROC and precision-recall: as data for `dvc plots`, and as pictures."""

from collections.abc import Callable, Iterator, Mapping
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
from sklearn.metrics import precision_recall_curve, roc_curve

from landuse.core.files import atomic, write_csv
from landuse.evaluation.metrics import confusion

FOLDER = Path("plots")
_POINTS = 500  # of a curve in a file; further points would not show
_CURVES = 12  # in a picture; more cannot be told apart
_COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]  # Paul Tol's bright scheme

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def write(
    truth: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    labels: Mapping[str, Mapping[str, Any]],
    folder: Path = FOLDER,
) -> None:
    """Write confusion.csv, roc.csv, pr.csv and their pictures.

    The two curve files hold one curve, so that `dvc plots diff` lays experiments over each other: that of the
    second label of two, else all labels against the rest together (micro-average). The pictures show each label,
    of more than twelve the twelve with the lowest score.

    labels: name -> roc_auc and average_precision, each with its interval; in the order of the targets.
    """
    names, predicted = list(labels), probabilities.argmax(1)
    table = pd.DataFrame({"actual": np.take(names, truth), "predicted": np.take(names, predicted)})
    write_csv(folder / "confusion.csv", table)
    save(_draw_confusion(confusion(truth, predicted, len(names)), names), folder / "confusion.png")
    if len(names) == 2:
        shown, together = [1], (truth == 1, probabilities[:, 1])
    else:
        shown = list(range(len(names)))
        together = (np.eye(len(names), dtype=bool)[truth].ravel(), probabilities.ravel())
    roc, pr = _thin(*_roc(*together)), _thin(*_pr(*together))
    write_csv(folder / "roc.csv", pd.DataFrame({"fpr": roc[0], "tpr": roc[1]}))
    write_csv(folder / "pr.csv", pd.DataFrame({"recall": pr[0], "precision": pr[1]}))

    def curves(metric: str, title: str, curve: Callable[..., Curve]) -> dict[str, Curve]:
        scores = {i: labels[names[i]][metric] for i in shown if labels[names[i]][metric]["value"] is not None}
        weakest = sorted(scores, key=lambda i: float(scores[i]["value"]))[:_CURVES]
        return {
            f"{names[i]}: {title} {_cell(scores[i])}": curve(truth == i, probabilities[:, i]) for i in sorted(weakest)
        }

    save(_draw_roc(curves("roc_auc", "AUC", _roc), len(names), len(truth)), folder / "roc.png")
    save(_draw_pr(curves("average_precision", "AP", _pr), len(names)), folder / "pr.png")


def _roc(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> Curve:
    if positive.all() or not positive.any():
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    fpr, tpr, _ = roc_curve(positive, score)
    return fpr, tpr


def _pr(positive: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> Curve:
    if not positive.any():
        return np.array([0.0, 1.0]), np.array([0.0, 0.0])
    precision, recall, _ = precision_recall_curve(positive, score, drop_intermediate=True)
    return recall[::-1], precision[::-1]


def _thin(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Curve:
    """Keep at most 500 points, both ends among them, evenly along the curve.

    No point left out lies further than 1/499 of the curve's length (|dx| + |dy|; 2 for any ROC curve) from one
    that is kept, so corners and jumps stay where they are.
    """
    length = np.cumsum(np.r_[0.0, np.abs(np.diff(x)) + np.abs(np.diff(y))])
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], _POINTS)))
    return x[kept], y[kept]


def _draw_confusion(matrix: npt.NDArray[np.int64], names: list[str]) -> Figure:
    count = len(names)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    inches, size = (0.75, 11) if count <= 4 else (0.75, 8) if count <= 12 else (0.5, 7)
    side = 2.6 + inches * max(count, 3)
    figure, axis = plt.subplots(figsize=(side + 0.6, side), layout="constrained")
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(count, count):
        if matrix[i, j] or count <= 12:
            text = f"{matrix[i, j]:,}" + (f"\n{share[i, j]:.1%}" if matrix[i, j] else "")
            colour = "white" if share[i, j] > 0.55 else "0.15" if matrix[i, j] else "0.75"
            axis.text(j, i, text, ha="center", va="center", fontsize=size, color=colour)
    slanted: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if count > 4 else {}
    axis.set_xticks(range(count), names, **slanted)
    axis.set_yticks(range(count), names)
    axis.set(xlabel="predicted", ylabel="actual")
    axis.set_title(f"Confusion on {matrix.sum():,} test tiles (row shares)", loc="left", fontsize=11)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return figure


def _draw_roc(curves: dict[str, Curve], labels: int, tiles: int) -> Figure:
    """The false positive rate is logarithmic, the other axis enlarged: good classifiers differ in that corner."""
    figure, axis = plt.subplots(figsize=(8, 5.2), layout="constrained")
    lowest = 10 ** np.floor(np.log10(0.5 / tiles))
    for (name, (fpr, tpr)), style in zip(curves.items(), _styles(), strict=False):
        axis.plot(np.maximum(fpr, lowest), tpr, label=name, drawstyle="steps-post", **style)
    starts = [float(tpr[fpr == 0].max()) for fpr, tpr in curves.values()]
    axis.set(xscale="log", xlim=(lowest, 1), xlabel="false positive rate", ylabel="true positive rate")
    _zoom(axis, 1 - min(starts, default=0.0))
    if axis.get_ylim()[0] < 0.5:  # else it is out of sight
        x = np.logspace(np.log10(lowest), 0, 200)
        axis.plot(x, x, color="0.6", lw=1, ls=":", label="chance")
    _finish(figure, axis, "ROC", len(curves), labels)
    return figure


def _draw_pr(curves: dict[str, Curve], labels: int) -> Figure:
    """Both axes are enlarged towards the corner of the perfect classifier, as far as the worst curve allows."""
    figure, axis = plt.subplots(figsize=(8, 5.2), layout="constrained")
    for (name, (recall, precision)), style in zip(curves.items(), _styles(), strict=False):
        axis.plot(recall, precision, label=name, drawstyle="steps-pre", **style)  # as average precision adds it up
    even = [float(np.minimum(recall, precision).max()) for recall, precision in curves.values()]  # break-even points
    axis.set(xlabel="recall", ylabel="precision")
    _zoom(axis, 4 * (1 - min(even, default=0.0)))
    axis.set_xlim(axis.get_ylim())
    _finish(figure, axis, "Precision and recall", len(curves), labels)
    return figure


def _zoom(axis: Axes, span: float) -> None:
    """Show the uppermost part of [0, 1] on the y axis: ``span`` and a little more, at least a fiftieth."""
    span = min(max(1.1 * span, 0.02), 1.0)
    axis.set_ylim(1 - span, 1 + 0.03 * span)


def _styles() -> Iterator[dict[str, Any]]:
    return ({"color": colour, "ls": style, "lw": 1.7} for style in ("-", "--") for colour in _COLOURS)


def _finish(figure: Figure, axis: Axes, title: str, curves: int, labels: int) -> None:
    if labels > 2:
        title += ", each label against the rest" if curves == labels else f", the {curves} weakest of {labels} labels"
    axis.set_title(title, loc="left", fontsize=11)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    if axis.get_legend_handles_labels()[0]:
        figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=1 if curves < 3 else 2)


def _cell(score: Mapping[str, float | None]) -> str:
    interval = "" if score["low"] is None else f" ({score['low']:.4f} to {score['high']:.4f})"
    return f"{score['value']:.4f}{interval}"


def save(figure: Figure, path: Path) -> None:
    """Write a picture in the same bytes each time, and close it."""
    with atomic(path) as part:
        figure.savefig(part, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)
