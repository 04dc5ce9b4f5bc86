"""Whether stated probabilities hold, and what declining to answer buys."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from landuse.report.figures import style
from landuse.report.vocabulary import count, of_row, percent, with_span

_STAGES = {"before": (style.RED, "before scaling"), "after": (style.BLUE, "after scaling")}
_STEADY = 0.02  # of the tiles: a curve over fewer jumps with each of them
_SHOWN = 30  # points of a curve to hover over


def reliability(table: pd.DataFrame) -> Figure:
    """The diagram; and the distances from its diagonal, since the bins of a good classifier crowd in the corner.

    table: stage (before, after), confidence, accuracy, count, low, high; a row for each bin.
    """
    figure = style.new(style.WIDE, 4.4)
    diagram, distances = figure.subplots(1, 2)
    lowest = max(0.0, min(table[["confidence", "low"]].min().min(), 0.95) - 0.02)
    diagram.plot([lowest, 1], [lowest, 1], color=style.RULE, lw=1.2, ls="--", label="perfect")
    distances.axhline(0, color=style.RULE, lw=1.2, ls="--")
    for i, (stage, (colour, label)) in enumerate(_STAGES.items()):
        bins = table[table["stage"] == stage].sort_values("confidence", kind="stable")
        gaps = 100 * bins[["accuracy", "low", "high"]].sub(bins["confidence"], axis=0)
        at = [number + 1 + 0.3 * (i - 0.5) for number in range(len(bins))]
        told = [
            f"said {percent(row['confidence'])}, right {with_span(of_row(row))} of {row['count']:,}"
            for row in bins.to_dict("records")
        ]
        for axis, x, y in ((diagram, bins["confidence"], bins), (distances, at, gaps)):
            axis.vlines(x, y["low"], y["high"], color=colour, lw=1.4, alpha=0.7)
            style.hover(axis.scatter(x, y["accuracy"], s=24, color=colour, label=label, zorder=3), told)
    diagram.set(xlim=(lowest, 1.01), ylim=(lowest, 1.01), xlabel="probability that it stated", title="Reliability")
    diagram.set_ylabel("share that was right")
    for axis in (diagram.xaxis, diagram.yaxis):
        axis.set_major_formatter(style.percent)
    distances.set(xlabel="bin, from least to most certain", ylabel="right minus stated (points)")
    distances.set_title("Distance from the diagonal")
    distances.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis in (diagram, distances):
        axis.grid(True)
    diagram.legend(loc="upper left")
    return figure


def abstention(table: pd.DataFrame, coverage: float | None, accuracy: float | None) -> Figure:
    """Accuracy over the share that is answered.

    table: coverage, accuracy, low, high; coverage, accuracy: measured at the chosen limit.
    """

    def told(coverage: float, accuracy: float) -> str:
        return f"answers {percent(coverage)}, right {percent(accuracy, 2)}"

    figure, axis = style.plain(style.NARROW, 4.0)
    table = table[table["coverage"] >= min(_STEADY, table["coverage"].max())].sort_values("coverage", kind="stable")
    x = table["coverage"]
    axis.fill_between(x, table["low"], table["high"], color=style.BLUE, alpha=0.18, lw=0, label="interval")
    axis.plot(x, table["accuracy"], color=style.BLUE, lw=1.8)
    some = table.iloc[:: max(1, len(table) // _SHOWN)]
    marks = axis.scatter(some["coverage"], some["accuracy"], s=50, color="none")
    style.hover(marks, [told(row["coverage"], row["accuracy"]) for row in some.to_dict("records")])
    if coverage is not None and accuracy is not None:
        label = f"chosen limit: {percent(coverage)}"
        limit = axis.scatter(coverage, accuracy, s=40, color=style.RED, zorder=3, label=label)
        style.hover(limit, [f"chosen limit: {told(coverage, accuracy)}"])
    axis.set(xlim=(0, 1.01), xlabel="share of tiles that it answers", ylabel="share of those that are right")
    axis.set_title("Accuracy when the least certain tiles are declined")
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_formatter(style.percent)
    axis.legend(loc="lower left")
    return figure


def set_sizes(sizes: Mapping[int, int]) -> Figure:
    """How many labels the prediction sets hold. sizes: number of labels -> tiles."""
    figure, axis = style.plain(style.NARROW, 3.4)
    total = max(sum(sizes.values()), 1)
    axis.bar(list(sizes), [tiles / total for tiles in sizes.values()], color=style.BLUE, width=0.7)
    above: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 9}
    for size, tiles in sizes.items():
        bar, share = axis.scatter(size, tiles / total, s=60, color="none"), percent(tiles / total)
        style.hover(bar, [f"{count(size, 'label')}: {count(tiles, 'tile')} ({share})"])
        axis.annotate(share, (size, tiles / total), (0, 3), **above)
    axis.set(xlabel="labels in the set", ylabel="share of the test tiles", xlim=(-0.6, max(*sizes, 3) + 0.6))
    axis.set_title("Size of the sets")
    axis.margins(y=0.12)
    axis.grid(visible=False, axis="x")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.yaxis.set_major_formatter(style.percent)
    return figure
