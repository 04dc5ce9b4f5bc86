"""How often the model is right: beside baselines, label by label, over all thresholds."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from landuse.core.arrays import Ints
from landuse.report.figures import style
from landuse.report.vocabulary import percent, score, with_span

_RIGHT, _WRONG = np.array(to_rgb("#6fa8d6")), np.array(to_rgb("#ee7f8d"))  # as strong as dark text on them allows
_READ = 20  # labels: of more, the numbers in a confusion matrix cannot be read
_HOVERED = 16  # points of a curve to hover over
_ROW = 0.27  # inches

Interval = Mapping[str, Any]


def intervals(
    entries: Sequence[tuple[str, Interval, str]],
    label: str,
    low: float | None = None,
    mark: tuple[float, str] | None = None,
) -> Figure:
    """A row for each (name, share with its interval, colour): a dot, a line, the value beside it.

    low: where the axis starts; else a little below the lowest end. mark: a value to compare with, and its name.
    """
    figure, axis = style.plain(style.NARROW, 0.85 + _ROW * len(entries) + (0.2 if mark else 0))
    if mark:
        axis.axvline(mark[0], color=style.QUIET, lw=1.2, ls="--", label=mark[1])
        figure.legend(loc="outside upper right")
    for place, (_, of, colour) in enumerate(entries):
        if of["value"] is None:
            continue
        if of["low"] is not None:
            axis.plot([of["low"], of["high"]], [place, place], color=colour, lw=1.6, marker="|", ms=9)
        style.hover(axis.scatter(of["value"], place, s=26, color=colour, zorder=3), [with_span(of)])
    names = [name if len(name) <= 26 else f"{name[:25]}…" for name, _, _ in entries]
    axis.set_yticks(range(len(entries)), names, color=style.TEXT)
    axis.set_ylim(len(entries) - 0.5, -0.5)
    ends = [of[end] for _, of, _ in entries for end in ("low", "value") if of[end] is not None]
    lowest = min([*ends, *([mark[0]] if mark else [])], default=0.0)
    start = lowest - 0.06 * (1 - lowest) - 0.002 if low is None else low
    axis.set_xlim(start, 1 + 0.02 * (1 - (low or lowest)) + 0.001)
    values = axis.secondary_yaxis("right")
    written = ["–" if of["value"] is None else percent(of["value"]) for _, of, _ in entries]
    values.set_yticks(range(len(entries)), written)
    for each in (axis, values):
        each.tick_params(axis="y", length=0)
        each.spines[:].set_visible(False)
    values.tick_params(axis="y", labelcolor=style.TEXT)
    axis.grid(visible=False, axis="y")
    axis.xaxis.set_major_formatter(style.percent)
    axis.set_xlabel(label)
    return figure


def confusion(matrix: Ints, names: Sequence[str]) -> Figure:
    """Counts, and shares of the row: blue where it is right, red where it is wrong.

    matrix: (labels, labels), rows are the truth.
    """
    count = len(names)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    sizes = ((4, 1.3, 12), (12, 0.78, 8.5), (_READ, 0.55, 7), (np.inf, 0.2, 6))  # up to so many: inches, points
    inches, size = next(each for most, *each in sizes if count <= most)
    side = 1.5 + inches * max(count, 3)
    figure = style.new(side + 1.2, side)
    axis = figure.add_subplot(aspect="equal", xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5))
    cells = [(i, j) for i, j in np.ndindex(count, count) if matrix[i, j]]
    corners = np.array([[-0.48, -0.48], [0.48, -0.48], [0.48, 0.48], [-0.48, 0.48]])
    strengths = [(share[c], _RIGHT) if c[0] == c[1] else (share[c] ** 0.5, _WRONG) for c in cells]  # shows rare errors
    colours = [1 - (0.12 + 0.88 * strength) * (1 - colour) for strength, colour in strengths]
    drawn = axis.add_collection(PolyCollection([corners + np.array([j, i]) for i, j in cells], facecolors=colours))
    told = [f"{names[i]} → {names[j]}: {matrix[i, j]:,} ({percent(share[i, j])})" for i, j in cells]
    style.hover(drawn, told)
    if count <= _READ:
        for i, j in np.ndindex(count, count):
            text = f"{matrix[i, j]:,}\n{percent(share[i, j])}" if matrix[i, j] else "0"
            colour = style.TEXT if matrix[i, j] else style.QUIET
            axis.text(j, i, text, ha="center", va="center", fontsize=size, color=colour)
    turned = 90 if count > _READ else 40
    slanted: dict[str, Any] = {"rotation": turned, "ha": "right", "rotation_mode": "anchor"} if count > 4 else {}
    axis.set_xticks(range(count), names, fontsize=min(10, size + 1), color=style.TEXT, **slanted)
    axis.set_yticks(range(count), names, fontsize=min(10, size + 1), color=style.TEXT)
    axis.set(xlabel="predicted", ylabel="truth", title=f"Confusion on {matrix.sum():,} test tiles (shares of the row)")
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    return figure


def roc(curves: pd.DataFrame, labels: Mapping[str, Any], tiles: int) -> Figure:
    """ROC. The false positive rate is logarithmic, the other axis enlarged: good classifiers differ in that corner.

    curves: label, x, y; labels: name -> roc_auc with its interval, all that there are; tiles: of the test.
    """
    figure, axis = style.plain(style.NARROW, 3.9 + 0.17 * curves["label"].nunique())
    lowest = 10 ** np.floor(np.log10(0.5 / max(tiles, 1)))
    starts = []
    for colour, (name, x, y) in _each(curves):
        told = f"{name}: AUC {_number(labels[name]['roc_auc'])}"
        axis.plot(x.clip(lowest), y, label=told, drawstyle="steps-post", **colour)
        _points(axis, x.clip(lowest), y, f"{name}: false positives", "true positives", x)
        starts.append(float(y[x == 0].max(initial=0)))
    axis.set(xscale="log", xlim=(lowest, 1), xlabel="false positive rate (logarithmic)", ylabel="true positive rate")
    _zoom(axis, 1 - min(starts, default=0.0))
    if axis.get_ylim()[0] < 0.5:  # else it is out of sight
        x = np.logspace(np.log10(lowest), 0, 200)
        axis.plot(x, x, color=style.RULE, lw=1, ls=":", label="chance")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _finish(figure, axis, "ROC", len(starts), len(labels))
    return figure


def precision_recall(curves: pd.DataFrame, labels: Mapping[str, Any]) -> Figure:
    """Precision over recall. Both axes are enlarged towards the perfect corner, as far as the worst curve allows."""
    figure, axis = style.plain(style.NARROW, 3.9 + 0.17 * curves["label"].nunique())
    even = []  # break-even points
    for colour, (name, x, y) in _each(curves):
        told = f"{name}: AP {_number(labels[name]['average_precision'])}"
        axis.plot(x, y, label=told, drawstyle="steps-pre", **colour)  # as average precision adds it up
        _points(axis, x, y, f"{name}: recall", "precision", x)
        even.append(float(np.minimum(x, y).max()))
    _zoom(axis, 4 * (1 - min(even, default=0.0)))
    axis.set(xlim=axis.get_ylim(), xlabel="recall", ylabel="precision")
    axis.xaxis.set_major_formatter(style.percent)
    _finish(figure, axis, "Precision and recall", len(even), len(labels))
    return figure


def _each(curves: pd.DataFrame) -> Any:
    looks = ({"color": colour, "ls": line, "lw": 1.8} for line in cycle(("-", "--")) for colour in style.BRIGHT[:6])
    groups = curves.groupby("label", sort=False)
    return zip(looks, ((str(name), of["x"].to_numpy(), of["y"].to_numpy()) for name, of in groups), strict=False)


def _points(axis: Axes, x: Any, y: Any, across: str, up: str, told: Any) -> None:
    """Marks that are not seen, to hover over."""
    chosen = np.unique(np.linspace(0, len(x) - 1, min(_HOVERED, len(x))).round().astype(int))
    marks = axis.scatter(x[chosen], y[chosen], s=50, color="none", clip_on=True)
    style.hover(marks, [f"{across} {percent(told[i], 2)}, {up} {percent(y[i], 2)}" for i in chosen])


def _zoom(axis: Axes, span: float) -> None:
    """Show the uppermost part of [0, 1] on the y axis: ``span`` and a little more, at least a fiftieth."""
    span = min(max(1.1 * span, 0.02), 1.0)
    axis.set_ylim(1 - span, 1 + 0.03 * span)


def _finish(figure: Figure, axis: Axes, title: str, curves: int, labels: int) -> None:
    if labels > 2:
        title += ", each label against the rest" if curves == labels else f", the {curves} weakest of {labels} labels"
    axis.set_title(title)
    axis.yaxis.set_major_formatter(style.percent)
    if axis.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower left", fontsize=8)


def _number(of: Interval) -> str:
    ends = "" if of["low"] is None else f" ({score(of['low'])} to {score(of['high'])})"
    return score(of["value"]) + ends
