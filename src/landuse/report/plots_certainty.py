"""Reliability before and after scaling, and what declining to answer buys: as data for `dvc plots`, and as pictures."""

from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landuse.report.plots import FOLDER, save

_STAGES = {"before": ("#ee6677", "before scaling"), "after": ("#4477aa", "after scaling")}
_STEADY = 0.02  # of the tiles: a curve over fewer jumps with each of them


def write(reliability: pd.DataFrame, abstention: pd.DataFrame, coverage: float, folder: Path = FOLDER) -> None:
    """Write reliability.csv, abstention.csv and their pictures.

    reliability: stage (before, after), confidence, accuracy, count, low, high; a row a bin. abstention: coverage,
    accuracy, low, high, threshold. coverage: the measured share of tiles that the chosen threshold answers.
    """
    save(_draw_reliability(reliability), folder / "reliability.png")
    save(_draw_abstention(abstention, coverage), folder / "abstention.png")


def _draw_reliability(table: pd.DataFrame) -> Figure:
    """The diagram; and the distances from its diagonal, since the bins of a good classifier crowd in the corner."""
    figure, (diagram, distances) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
    lowest = max(0.0, min(table[["confidence", "low"]].min().min(), 0.95) - 0.02)
    diagram.plot([lowest, 1], [lowest, 1], color="0.6", lw=1, ls=":", label="perfect")
    distances.axhline(0, color="0.6", lw=1, ls=":")
    for i, (stage, (colour, label)) in enumerate(_STAGES.items()):
        bins = table[table["stage"] == stage].sort_values("confidence", kind="stable")
        ends = [bins["accuracy"] - bins["low"], bins["high"] - bins["accuracy"]]
        style = {"fmt": "o", "ms": 4.5, "lw": 1.2, "color": colour, "label": label}
        diagram.errorbar(bins["confidence"], bins["accuracy"], ends, **style)
        at = [number + 1 + 0.3 * (i - 0.5) for number in range(len(bins))]
        distances.errorbar(at, 100 * (bins["accuracy"] - bins["confidence"]), [100 * end for end in ends], **style)
    diagram.set(xlim=(lowest, 1.01), ylim=(lowest, 1.01), xlabel="stated confidence", ylabel="share that was right")
    distances.set(xlabel="bin, from least to most certain", ylabel="right minus stated (points)")
    _finish(diagram, "Reliability on the test tiles")
    _finish(distances, "Distance from the diagonal")
    diagram.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def _draw_abstention(table: pd.DataFrame, coverage: float) -> Figure:
    figure, axis = plt.subplots(figsize=(6.5, 4.6), layout="constrained")
    table = table[table["coverage"] >= min(_STEADY, table["coverage"].max())].sort_values("coverage", kind="stable")
    axis.fill_between(
        table["coverage"], table["low"], table["high"], color="#4477aa", alpha=0.18, lw=0, label="interval"
    )
    axis.plot(table["coverage"], table["accuracy"], color="#4477aa", lw=1.7)
    axis.axvline(coverage, color="0.35", lw=1, ls=":", label=f"chosen threshold: answers {coverage:.1%}")
    axis.set(xlim=(0, 1.01), xlabel="share of tiles that are answered", ylabel="share of those that are right")
    _finish(axis, "Accuracy when the least certain tiles are declined")
    axis.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def _finish(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=11)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
