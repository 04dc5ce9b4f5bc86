"""Tables of results: for a terminal, at most 120 characters wide, and for Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from textwrap import fill
from typing import Any, Protocol

import numpy as np
from tabulate import tabulate

from landuse.comparison.groups import Group
from landuse.evaluation.pairs import CONFIDENCE, Difference

HEADLINE = "macro_f1"  # sorts the table, chooses the reference (on validation) and decides the verdict
TITLES = {"accuracy": "accuracy %", "macro_f1": "macro-F1 %", "nll": "NLL"}
LEVEL = f"{100 * CONFIDENCE:g} % interval"
_WIDTH = 120
_INTERVALS = {
    "seeds": "several seeds: mean ± standard deviation over seeds; below, the mean's interval by Student's t",
    "folds": (
        "folds: mean ± standard deviation over folds; below, the mean's interval, and in the difference that over the "
        "folds' differences, both by Nadeau and Bengio's corrected t: folds share training tiles, so that they differ "
        "less than independent trainings would"
    ),
    "tiles": "one result: below it, the interval over test tiles; it says nothing of other seeds",
}


class Shown(Protocol):
    """A result as text, for a terminal or as Markdown."""

    def __call__(self, *, markdown: bool) -> str: ...


def wrapped(text: str, indent: str = "") -> str:
    """Break a paragraph into lines. indent: of all lines but the first."""
    return fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def notes(lines: Sequence[str], markdown: bool) -> str:
    """Return a list of remarks."""
    return "\n".join(f"- {line}" if markdown else wrapped(line, "  ") for line in lines)


def grid(
    heads: Sequence[str], cells: Sequence[Sequence[str]], align: str, markdown: bool, widths: int | list[int | None]
) -> str:
    """Return a table. align: ``l`` or ``r`` a column. widths: of columns in a terminal, where text is wrapped."""
    sides = ["left" if side == "l" else "right" for side in align]
    if markdown:
        heads, *cells = ([cell.replace("|", "\\|").replace("\n", "<br>") for cell in row] for row in (heads, *cells))
        return str(tabulate(cells, heads, "github", colalign=sides, disable_numparse=True))
    return str(tabulate(cells, heads, "simple", colalign=sides, maxcolwidths=widths, disable_numparse=True))


def runs_cell(group: Group) -> str:
    """``3`` seeds, ``5 folds`` or ``5 folds x 3``."""
    if not group.folds:
        return str(group.seeds)
    of = group.settings["split.folds"]
    folds = f"{len(group.folds)} folds" if int(of) == len(group.folds) else f"{len(group.folds)} of {of} folds"
    return folds if group.seeds == 1 else f"{folds} x {group.seeds}"


def metric_cell(group: Group, metric: str) -> str:
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


def metric_columns(group: Group, metric: str) -> dict[str, Any]:
    """The same as fractions, for a CSV file."""
    low, high = group.interval(metric)
    columns = {"": group.mean(metric), "_deviation": group.deviation(metric), "_low": low, "_high": high}
    return {f"{metric}{end}": value for end, value in columns.items()} | {f"{metric}_over": group.over(metric)}


def about_intervals(groups: Sequence[Group]) -> list[str]:
    """What the intervals of the metrics are over."""
    over = {group.over(metric) for group in groups for metric in TITLES if not np.isnan(group.interval(metric)[0])}
    return [f"{meaning} ({LEVEL})" for kind, meaning in _INTERVALS.items() if kind in over]
