"""The comparison as a table: for a terminal, for Markdown, for a CSV file."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pandas as pd

from landuse.comparison.experiments import counted
from landuse.comparison.groups import Group
from landuse.comparison.layout import grid, notes
from landuse.evaluation.pairs import CONFIDENCE, Difference

HEADLINE = "macro_f1"  # sorts the table, chooses the reference (on validation) and decides the verdict
TITLES = {"accuracy": "accuracy %", "macro_f1": "macro-F1 %", "nll": "NLL"}
_INTERVALS = {
    "seeds": "several seeds: mean ± standard deviation over seeds; below, the mean's interval by Student's t",
    "folds": (
        "folds: mean ± standard deviation over folds; below, the mean's interval, and in the difference that over the "
        "folds' differences, both by Nadeau and Bengio's corrected t: folds share training tiles, so that they differ "
        "less than independent trainings would"
    ),
    "tiles": "one result: below it, the interval over test tiles; it says nothing of other seeds",
}
_NAME, _NLL, _REASON = 43, 15, 30  # characters: settings (with NLL, less that), last column


@dataclass(frozen=True)
class Row:
    """A group, the number of its test tiles, and its differences to the reference (None: it is the reference)."""

    group: Group
    tiles: int
    differences: Mapping[str, Difference] | None


@dataclass(frozen=True)
class Apart:
    """A group that cannot be compared with the others."""

    group: Group
    reason: str


def text(rows: Sequence[Row], apart: Sequence[Apart], left_out: Mapping[str, int], why: str, *, markdown: bool) -> str:
    """Return the table with what is needed to read it, at most 120 characters wide unless it is Markdown.

    left_out: how many experiments, by reason. why: what makes the reference one.
    """
    groups = [row.group for row in rows] + [each.group for each in apart]
    shown = [metric for metric in TITLES if any(group.values(metric) for group in groups)]
    parts = []
    if rows:
        cells = [[*_cells(row.group, shown), *difference_cells(row.differences)] for row in rows]
        parts.append(_table(shown, cells, ["difference", "verdict"], "rl", markdown))
        parts.append(notes(_remarks(rows, why), markdown))
    if apart:
        cells = [[*_cells(each.group, shown), each.reason] for each in apart]
        parts.append("Not comparable with these:" if rows else "Nothing that can be compared:")
        parts.append(_table(shown, cells, ["because"], "l", markdown))
    if left_out:
        parts.append(f"Left out: {counted(left_out)}.")
    return "\n\n".join(parts)


def frame(rows: Sequence[Row], apart: Sequence[Apart]) -> pd.DataFrame:
    """Every number as a fraction, one row a group; empty where there is none."""
    records = []
    for group, differences, verdict in [
        *((row.group, row.differences or {}, difference_cells(row.differences)[1]) for row in rows),
        *((each.group, {}, f"not comparable: {each.reason}") for each in apart),
    ]:
        record: dict[str, Any] = {
            "settings": group.name,
            "experiments": " ".join(member.name for member in group.members),
            "seeds": group.seeds,
            "folds": max(len(group.folds), 1),
        }
        for metric in (*TITLES, "val_macro_f1"):
            low, high = group.interval(metric)
            record |= {metric: group.mean(metric), f"{metric}_deviation": group.deviation(metric)}
            record |= {f"{metric}_low": low, f"{metric}_high": high, f"{metric}_over": group.over(metric)}
        for metric in ("accuracy", "macro_f1"):
            found = differences.get(metric, Difference(np.nan, np.nan, np.nan))
            ends = {"difference": found.value, "difference_low": found.low, "difference_high": found.high}
            record |= {f"{metric}_{name}": value for name, value in ends.items()}
        records.append(record | {"verdict": verdict})
    return pd.DataFrame(records)


def _cells(group: Group, shown: Sequence[str]) -> list[str]:
    return [group.name, runs_cell(group), *(measured_cell(group, metric) for metric in shown)]


def runs_cell(group: Group) -> str:
    """``3`` seeds, ``5 folds`` or ``5 folds x 3``."""
    if not group.folds:
        return str(group.seeds)
    of = group.settings["split.folds"]
    folds = f"{len(group.folds)} folds" if int(of) == len(group.folds) else f"{len(group.folds)} of {of} folds"
    return folds if group.seeds == 1 else f"{folds} x {group.seeds}"


def measured_cell(group: Group, metric: str) -> str:
    """Mean and deviation, and the interval below them."""
    mean, deviation, (low, high) = group.mean(metric), group.deviation(metric), group.interval(metric)
    scale, form = (1, ".3f") if metric == "nll" else (100, ".2f")
    if np.isnan(mean):
        return ""
    spread = "" if np.isnan(deviation) else f" ± {scale * deviation:{form}}"
    interval = "" if np.isnan(low) else f"\n{scale * low:{form}} to {scale * high:{form}}"
    return f"{scale * mean:{form}}{spread}{interval}"


def difference_cells(differences: Mapping[str, Difference] | None) -> list[str]:
    """The headline metric's difference to the reference in points, its interval below, and the verdict."""
    if differences is None:
        return ["", "reference"]
    found = differences[HEADLINE]
    value, low, high = (100 * end for end in astuple(found))
    return [f"{value:+.2f}\n{low:+.2f} to {high:+.2f}", found.verdict]


def _remarks(rows: Sequence[Row], why: str) -> list[str]:
    """What a reader has to know, one line each."""
    reference = next(row.group.name for row in rows if row.differences is None)
    level = f"{100 * CONFIDENCE:g} % interval"
    remarks = [f"reference: {reference}, {why}"]
    if len(rows) > 1:
        remarks += [
            f"difference: macro-F1 to the reference, in points ({level}), on the same {rows[0].tiles:,} test tiles",
            "tie: the interval holds zero; of 20 settings as good as the reference, one is judged better or worse",
        ]
    groups = [row.group for row in rows]
    remarks += about_intervals(groups)
    if any(group.seeds == 1 for group in groups):
        remarks.append("one seed says little about the next: dvc exp run --queue -S train.seed=1,2,3; dvc queue start")
    return remarks


def about_intervals(groups: Sequence[Group]) -> list[str]:
    """What the intervals of the metrics are over."""
    over = {group.over(metric) for group in groups for metric in TITLES if not np.isnan(group.interval(metric)[0])}
    return [f"{meaning} ({100 * CONFIDENCE:g} % interval)" for kind, meaning in _INTERVALS.items() if kind in over]


def _table(shown: Sequence[str], cells: list[list[str]], last: Sequence[str], align: str, markdown: bool) -> str:
    """Settings, runs and metrics, then the columns of ``last``."""
    runs = "runs" if any("folds" in row[1] for row in cells) else "seeds"
    heads = ["settings", runs, *(TITLES[metric] for metric in shown), *last]
    widths = [_NAME - _NLL * ("nll" in shown), *[None] * (len(heads) - 2), _REASON]
    return grid(heads, cells, "l" + "r" * (1 + len(shown)) + align, markdown, widths)
