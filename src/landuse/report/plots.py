"""Confusion matrix, ROC and precision-recall: as data for `dvc plots`, and as pictures."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landuse.core.files import atomic
from landuse.core.outputs import read_csv

FOLDER = Path("plots")
CURVES = Path("reports/curves.csv")
_COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]  # Paul Tol's bright scheme

Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def write(
    truth: npt.NDArray[np.int64],
    probabilities: npt.NDArray[np.float64],
    labels: Mapping[str, Mapping[str, Any]],
    folder: Path = FOLDER,
) -> npt.NDArray[np.int64]:
    """Draw the confusion matrix, which is returned, and the curves of each label.

    labels: name -> roc_auc and average_precision, each with its interval; in the order of the targets.
    """
    names, predicted, count = list(labels), probabilities.argmax(1), len(labels)
    matrix: npt.NDArray[np.int64] = np.bincount(truth * count + predicted, minlength=count**2).reshape(count, count)
    save(_draw_confusion(matrix, names), folder / "confusion.png")
    points = read_csv(CURVES, "evaluate", {"curve": "str", "label": "str", "x": "float64", "y": "float64"})

    def curves(kind: str, metric: str, title: str) -> dict[str, Curve]:
        own = points[points["curve"] == kind]
        return {
            f"{name}: {title} {_cell(labels[str(name)][metric])}": (of["x"].to_numpy(), of["y"].to_numpy())
            for name, of in own.groupby("label", sort=False)
        }

    save(_draw_roc(curves("roc", "roc_auc", "AUC"), len(names), len(truth)), folder / "roc.png")
    save(_draw_pr(curves("pr", "average_precision", "AP"), len(names)), folder / "pr.png")
    return matrix


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
