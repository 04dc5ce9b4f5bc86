"""How the results depend on one numeric param: on ``data.fraction``, how many labels are enough."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from landuse.comparison import table
from landuse.comparison.experiments import BASELINE
from landuse.comparison.groups import Group, names
from landuse.comparison.layout import grid, notes
from landuse.comparison.measured import Measured, alike
from landuse.core.errors import UserError, did_you_mean
from landuse.evaluation.pairs import CONFIDENCE, Difference

METRICS = ("macro_f1", "accuracy")


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


def trace(by: str, measured: Sequence[Measured]) -> tuple[list[Series], int]:
    """Return a series for each set of other settings, and how many groups are in none.

    Those have no number for the param, a single value of it, or other test tiles than most.

    Raises:
        UserError: no experiment has a number for the param, or none differ in it alone.
    """
    usable = [each for each in measured if _number(each.group.settings.get(by)) is not None]
    if not usable:
        known = {key for each in measured for key, value in each.group.settings.items() if _number(value) is not None}
        raise UserError(f"--by: no finished experiment has a number for {by!r}{did_you_mean(by, known)}")
    sets: dict[frozenset[tuple[str, str]], list[Measured]] = defaultdict(list)
    for each in alike(usable):
        sets[frozenset(each.group.settings.items() - {(by, each.group.settings[by])})].append(each)
    several = {frozenset(rest): members for rest, members in sets.items() if len(members) > 1}
    if not several:
        values = ", ".join(sorted({each.group.settings[by] for each in usable}))
        raise UserError(
            f"--by: no finished experiments on the same test tiles differ in {by} alone (found {values}): "
            f"make some with dvc exp run --queue -S '{by}=...,...,...'; dvc queue start"
        )
    rests = [dict(rest) for rest in several]
    named = names(rests, ["model"] * len(rests))
    series = [Series(name, _points(by, members)) for name, members in zip(named, several.values(), strict=True)]
    return sorted(series, key=lambda each: each.name), len(measured) - sum(map(len, several.values()))


def _number(written: str | None) -> float | None:
    try:
        value = float(written or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _points(by: str, members: Sequence[Measured]) -> tuple[Point, ...]:
    ordered = sorted(members, key=lambda each: float(each.group.settings[by]))
    written = [each.group.settings[by] for each in ordered]
    against = [*(each.minus(ordered[-1]) for each in ordered[:-1]), None]
    return tuple(
        Point(float(text), text, each.group, gaps) for text, each, gaps in zip(written, ordered, against, strict=True)
    )


def frame(by: str, series: Sequence[Series]) -> pd.DataFrame:
    """Every number as a fraction, one row a point; empty where there is none."""
    records = []
    for each in series:
        for point in each.points:
            record: dict[str, Any] = {"settings": each.name, by: point.value, "seeds": point.group.seeds}
            for metric in (*METRICS, *(f"{BASELINE}.{metric}" for metric in METRICS)):
                low, high = point.group.interval(metric)
                record |= {metric: point.group.mean(metric), f"{metric}_deviation": point.group.deviation(metric)}
                record |= {f"{metric}_low": low, f"{metric}_high": high, f"{metric}_over": point.group.over(metric)}
            records.append(record)
    return pd.DataFrame(records)


def text(by: str, series: Sequence[Series], left_out: int, written: str, *, markdown: bool) -> str:
    """Return a table for each series, and what is needed to read them. written: the files that were."""
    parts = []
    for each in series:
        heads = [by, "seeds", *(table.TITLES[metric] for metric in METRICS), "band statistics", "difference", "verdict"]
        cells = [
            [
                point.written,
                table.runs_cell(point.group),
                *(table.measured_cell(point.group, metric) for metric in (*METRICS, f"{BASELINE}.macro_f1")),
                *table.difference_cells(point.differences),
            ]
            for point in each.points
        ]
        if len(series) > 1:
            parts.append(f"### {each.name}" if markdown else each.name)
        parts.append(grid(heads, cells, "rrrrrrl", markdown, [None] * len(heads)))
    parts.append(notes([*_remarks(by, series), written], markdown))
    if left_out:
        parts.append(f"Left out: {left_out} other settings (no series in {by}, or other test tiles).")
    return "\n\n".join(parts)


def _remarks(by: str, series: Sequence[Series]) -> list[str]:
    remarks = [_enough(by, each, len(series) > 1) for each in series]
    remarks += [
        f"difference: macro-F1 to the largest {by} of the series, in points ({100 * CONFIDENCE:g} % interval), on the "
        "same test tiles",
        "band statistics: macro-F1 of logistic regression on the band means and deviations of the same training tiles",
    ]
    return remarks + table.about_intervals([point.group for each in series for point in each.points])


def _enough(by: str, series: Series, several: bool) -> str:
    """The smallest value from which on no point can be told from the largest."""
    *others, largest = series.points
    smallest = largest
    for point in reversed(others):
        if point.differences is None or point.differences["macro_f1"].verdict != "tie":
            break
        smallest = point
    where = f"{series.name}: " if several else ""
    if smallest is largest:
        return f"{where}{by}={largest.written} is told apart from every smaller one: more may help still"
    return f"{where}from {by}={smallest.written} on, no result can be told apart from that of {largest.written}"
