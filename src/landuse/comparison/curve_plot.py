"""The picture of results over a numeric param, beside the band-statistics baseline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from landuse.comparison.curve import METRICS, Series
from landuse.comparison.experiments import BASELINE
from landuse.core.files import atomic
from landuse.evaluation.pairs import CONFIDENCE

_COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"]  # Paul Tol's bright scheme
_GREY = "#777777"
_TITLES = {"macro_f1": "Macro-F1", "accuracy": "Accuracy"}
_BASELINE = "baseline: band statistics"
_WIDE = 20  # largest / smallest value from which on the axis is logarithmic


def write(path: Path, by: str, series: Sequence[Series]) -> None:
    """Draw macro-F1 and accuracy in per cent, each series as a line with its intervals.

    More series than colours repeat them with other markers.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.8), layout="constrained")
    for axis, metric in zip(axes, METRICS, strict=True):
        for i, each in enumerate(series):
            colour, marker = _COLOURS[i % len(_COLOURS)], "oD^v"[i // len(_COLOURS) % 4]
            _draw(axis, each, metric, each.name, len(series) == 1, color=colour, marker=marker, ms=5)
        baselines = {tuple(_line(each, f"{BASELINE}.{metric}")[0]): each for each in series}
        for values, each in baselines.items():
            if not np.isnan(values).all():
                _draw(
                    axis,
                    each,
                    f"{BASELINE}.{metric}",
                    _BASELINE,
                    len(series) == 1,
                    color=_GREY,
                    ls="--",
                    marker="s",
                    ms=3.5,
                )
        _finish(axis, by, series, _TITLES[metric])
    handles, labels = axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    title = f"bands: {100 * CONFIDENCE:g} % intervals {_over(series)}"
    columns = 1 if len(max(unique, key=len)) > 50 else 3
    looks: dict[str, Any] = {"frameon": False, "fontsize": 9, "title": title, "title_fontsize": 9}
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=columns, **looks)
    with atomic(path) as part:
        figure.savefig(part, dpi=120, format="png", metadata={"Software": None})
    plt.close(figure)


def _draw(axis: Axes, series: Series, metric: str, label: str, written: bool, **style: Any) -> None:
    """Draw a line with its band. written: the values too, above their points."""
    values, low, high = _line(series, metric)
    x = [point.value for point in series.points]
    axis.fill_between(x, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.plot(x, values, label=label, lw=1.8, **style)
    looks: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "size": 8, "color": style["color"]}
    for at in zip(x, values, strict=True) if written else ():
        axis.annotate(f"{at[1]:.1f}", at, (0, 6), **looks)


def _line(series: Series, metric: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """(3, points): value, low and high in per cent."""
    rows = [(point.group.mean(metric), *point.group.interval(metric)) for point in series.points]
    return 100 * np.array(rows).T


def _finish(axis: Axes, by: str, series: Sequence[Series], title: str) -> None:
    ticks = {point.value: point.written for each in series for point in each.points}
    if min(ticks) > 0 and max(ticks) / min(ticks) >= _WIDE:
        axis.set_xscale("log")
        by += " (logarithmic)"
    axis.set_xticks(list(ticks), list(ticks.values()))
    axis.xaxis.set_minor_locator(NullLocator())
    drawn = np.concatenate([line.get_ydata() for line in axis.get_lines()])
    room = 0.12 * max(np.nanmax(drawn) - np.nanmin(drawn), 1.0)
    axis.set_ylim(np.nanmin(drawn) - room, np.nanmax(drawn) + room)  # bands of two seeds would take everything
    axis.set_xlabel(by)
    axis.set_title(f"{title} on the test tiles, %", loc="left", fontsize=11)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _over(series: Sequence[Series]) -> str:
    groups = [point.group for each in series for point in each.points]
    metrics = [*METRICS, *(f"{BASELINE}.{metric}" for metric in METRICS)]
    kinds = sorted({group.over(metric) for group in groups for metric in metrics if group.values(metric)})
    return f"over {' or '.join(kinds)}"
