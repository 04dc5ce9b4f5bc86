"""How the results depend on one numeric param: on ``data.fraction``, how many labels are enough."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from tqdm import tqdm

from landuse.comparison import experiments, table
from landuse.comparison.experiments import BAR, BASELINE
from landuse.comparison.groups import Group, alike, group, names, read
from landuse.core.errors import UserError, did_you_mean
from landuse.core.files import write_csv
from landuse.evaluation.pairs import CONFIDENCE, Difference
from landuse.report.figures.files import save_figure

METRICS = ("macro_f1", "accuracy")
_ALL = (*METRICS, *(f"{BASELINE}.{metric}" for metric in METRICS))
_COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"]  # Paul Tol's bright scheme
_GREY = "#777777"
_WIDE = 20  # largest / smallest value from which on the axis is logarithmic


@dataclass(frozen=True)
class Point:
    """Results with one value of the param. differences: to the largest value; None: it is that."""

    value: float
    written: str
    group: Group
    differences: Mapping[str, Difference] | None


@dataclass(frozen=True)
class Series:
    """Points that differ in nothing else, by growing value. name: what sets it apart from the other series."""

    name: str
    points: tuple[Point, ...]

    def line(self, metric: str) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """(3, points): value, low and high in per cent."""
        return 100 * np.array([(p.group.mean(metric), *p.group.interval(metric)) for p in self.points]).T


def run(by: str, csv: Path | None = None) -> table.Shown:
    """Draw the results of the experiments over a numeric param: a picture and a table, ``plots/by_<param>``.

    csv: where the table goes instead.

    Raises UserError: no DVC repository, no finished experiment, or none that differ in that param alone.
    """
    with experiments.repository() as repo:
        groups, _ = group(experiments.finished(repo)[0])
        readable, apart = read(groups)
    series, left_out = trace(by, readable)
    picture = Path(f"plots/by_{by}.png")
    numbers = picture.with_suffix(".csv") if csv is None else csv
    save_figure(draw(by, series), picture)
    write_csv(numbers, frame(by, series))
    return partial(text, by, series, left_out + len(apart), f"written: {picture}, {numbers}")


def trace(by: str, groups: Sequence[Group]) -> tuple[list[Series], int]:
    """Return a series for each set of other settings, and how many groups are in none.

    Those have no number for the param, a single value of it, or other test tiles than most.

    Raises UserError: no experiment has a number for the param, or none differ in it alone.
    """
    usable = [each for each in groups if _number(each.settings.get(by)) is not None]
    if not usable:
        known = {key for each in groups for key, value in each.settings.items() if _number(value) is not None}
        raise UserError(f"--by: no finished experiment has a number for {by!r}{did_you_mean(by, known)}")
    sets: dict[frozenset[tuple[str, str]], list[Group]] = defaultdict(list)
    for each in alike(usable):
        sets[frozenset(each.settings.items() - {(by, each.settings[by])})].append(each)
    several = {rest: members for rest, members in sets.items() if len(members) > 1}
    if not several:
        values = ", ".join(sorted({each.settings[by] for each in usable}))
        raise UserError(
            f"--by: no finished experiments on the same test tiles differ in {by} alone (found {values}): "
            f"make some with dvc exp run --queue -S '{by}=...,...,...'; dvc queue start"
        )
    named = names([dict(rest) for rest in several], ["model"] * len(several))
    bar = tqdm(several.values(), "differences", **BAR)
    series = [Series(name, _points(by, members)) for name, members in zip(named, bar, strict=True)]
    return sorted(series, key=lambda each: each.name), len(groups) - sum(map(len, several.values()))


def _number(written: str | None) -> float | None:
    try:
        value = float(written or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _points(by: str, members: Sequence[Group]) -> tuple[Point, ...]:
    ordered = sorted(members, key=lambda each: float(each.settings[by]))
    against = [*(each.minus(ordered[-1]) for each in ordered[:-1]), None]
    points = zip(ordered, against, strict=True)
    return tuple(Point(float(each.settings[by]), each.settings[by], each, gaps) for each, gaps in points)


def frame(by: str, series: Sequence[Series]) -> pd.DataFrame:
    """Every number as a fraction, one row a point; empty where there is none."""
    records = []
    for each in series:
        for point in each.points:
            record: dict[str, Any] = {"settings": each.name, by: point.value, "seeds": point.group.seeds}
            for metric in _ALL:
                record |= table.metric_columns(point.group, metric)
            records.append(record)
    return pd.DataFrame(records)


def text(by: str, series: Sequence[Series], left_out: int, written: str, *, markdown: bool) -> str:
    """Return a table for each series, and what is needed to read them. written: the files that were."""
    heads = [by, "seeds", *(table.TITLES[metric] for metric in METRICS), "band statistics", "difference", "verdict"]
    parts = []
    for each in series:
        cells = [
            [
                point.written,
                table.runs_cell(point.group),
                *(table.metric_cell(point.group, metric) for metric in _ALL[:3]),
                *table.difference_cells(point.differences),
            ]
            for point in each.points
        ]
        if len(series) > 1:
            parts.append(f"### {each.name}" if markdown else each.name)
        parts.append(table.grid(heads, cells, "rrrrrrl", markdown, [None] * len(heads)))
    remarks = [
        *(_enough(by, each, f"{each.name}: " if len(series) > 1 else "") for each in series),
        f"difference: macro-F1 to the largest {by} of the series, in points ({table.LEVEL}), on the same test tiles",
        "band statistics: macro-F1 of logistic regression on the band means and deviations of the same training tiles",
        *table.about_intervals([point.group for each in series for point in each.points]),
        written,
    ]
    parts.append(table.notes(remarks, markdown))
    if left_out:
        parts.append(f"Left out: {left_out} other settings (no series in {by}, or other test tiles).")
    return "\n\n".join(parts)


def _enough(by: str, series: Series, where: str) -> str:
    """The smallest value from which on no point can be told from the largest."""
    *others, largest = series.points
    smallest = largest
    for point in reversed(others):
        if point.differences is None or point.differences[table.HEADLINE].verdict != "tie":
            break
        smallest = point
    if smallest is largest:
        return f"{where}{by}={largest.written} is told apart from every smaller one: more may help still"
    return f"{where}from {by}={smallest.written} on, no result can be told apart from that of {largest.written}"


def draw(by: str, series: Sequence[Series]) -> Figure:
    """Draw macro-F1 and accuracy, each series as a line with its intervals, beside the band-statistics baseline.

    More series than colours repeat them with other markers.
    """
    figure = Figure(figsize=(10.5, 4.8), layout="constrained")
    for axis, metric in zip(figure.subplots(1, 2), METRICS, strict=True):
        for i, each in enumerate(series):
            colour, marker = _COLOURS[i % len(_COLOURS)], "oD^v"[i // len(_COLOURS) % 4]
            _draw_line(axis, each, metric, len(series) == 1, label=each.name, color=colour, marker=marker, ms=5)
        baselines = {tuple(each.line(f"{BASELINE}.{metric}")[0]): each for each in series}
        looks: dict[str, Any] = {"color": _GREY, "ls": "--", "marker": "s", "ms": 3.5}
        for values, each in baselines.items():
            if not np.isnan(values).all():
                label = "baseline: band statistics"
                _draw_line(axis, each, f"{BASELINE}.{metric}", len(series) == 1, label=label, **looks)
        _finish(axis, by, series)
        title = table.TITLES[metric].removesuffix(" %")
        axis.set_title(f"{title[0].upper()}{title[1:]} on the test tiles, %", loc="left", fontsize=11)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    groups = [point.group for each in series for point in each.points]
    over = sorted({found.over(metric) for found in groups for metric in _ALL if found.values(metric)})
    title = f"bands: {100 * CONFIDENCE:g} % intervals over {' or '.join(over)}"
    looks = {"frameon": False, "fontsize": 9, "title": title, "title_fontsize": 9}
    columns = 1 if len(max(unique, key=len)) > 50 else 3
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=columns, **looks)
    return figure


def _draw_line(axis: Axes, series: Series, metric: str, written: bool, **style: Any) -> None:
    """Draw a line with its band. written: the values too, above their points."""
    values, low, high = series.line(metric)
    x = [point.value for point in series.points]
    axis.fill_between(x, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.plot(x, values, lw=1.8, **style)
    looks: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "size": 8, "color": style["color"]}
    for at in zip(x, values, strict=True) if written else ():
        axis.annotate(f"{at[1]:.1f}", at, (0, 6), **looks)


def _finish(axis: Axes, by: str, series: Sequence[Series]) -> None:
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
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
