"""Settings side by side: means over seeds or folds, and paired differences to a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from landuse.comparison import experiments, table
from landuse.comparison.experiments import BAR, BASELINE, GAIN
from landuse.comparison.groups import Apart, Group, alike, difference_in_task, group, read, renamed
from landuse.core.errors import UserError, did_you_mean
from landuse.core.files import write_csv
from landuse.evaluation.pairs import Difference

_VALIDATION = f"val_{table.HEADLINE}"
_NAME, _NLL, _REASON = 43, 15, 30  # characters: settings (with NLL, less that), last column


@dataclass(frozen=True)
class Row:
    """A group, the number of its test tiles, and its differences to the reference (None: it is the reference)."""

    group: Group
    tiles: int
    differences: Mapping[str, Difference] | None


def run(to: str | None = None, csv: Path | None = None) -> table.Shown:
    """Return the table of the experiments that start from the current commit; write it to a file too, if one is given.

    to: name of the reference, a group's or one experiment's. The default is the best on the validation tiles: to
    choose on the test tiles would flatter it.

    Raises UserError: no DVC repository, no finished experiment, or none of the name.
    """
    with experiments.repository() as repo:
        found, left_out = experiments.finished(repo)
        groups, repeated = group(found)
        readable, apart = read(groups)
    short = renamed(readable)
    every = [*groups, *short]
    known = {member.name: each for each in groups for member in each.members} | {each.name: each for each in every}
    if to is not None and to not in known:
        raise UserError(f"--to: no finished experiment {to!r}{did_you_mean(to, known)}")
    chosen = None if to is None else known[to]
    left_out["of the same settings and seed as another"] += repeated
    reference, why = _reference(short, chosen, apart)
    rows = []
    for each, long in zip(tqdm(short, "differences", **BAR), readable, strict=True):
        if reference and each.task == reference.task:
            rows.append(Row(each, each.tiles, None if each is reference else each.minus(reference)))
        elif reference:
            apart.append(Apart(long, difference_in_task(each, reference)))
    rows.sort(key=lambda row: (-row.group.mean(table.HEADLINE), row.group.name))
    if csv is not None:
        write_csv(csv, frame(rows, apart))
    return partial(text, rows, apart, +left_out, why)


def _reference(readable: Sequence[Group], chosen: Group | None, apart: Sequence[Apart]) -> tuple[Group | None, str]:
    """The chosen group, else the best on validation of those that share the test tiles of most; and why it is that."""
    if chosen is not None:
        for other in apart:
            if other.group is chosen:
                raise UserError(f"--to: {chosen.name!r} cannot be the reference: {other.reason}")
        return next(each for each in readable if each.members is chosen.members), "as asked"
    if not readable:
        return None, ""
    comparable = alike(readable)
    validated = [each for each in comparable if each.values(_VALIDATION)]
    if not validated:
        name = comparable[0].name
        raise UserError(f"no validation macro-F1 to choose the reference by: name it (--to {name!r})")
    best = max(validated, key=lambda each: each.mean(_VALIDATION))
    return best, f"the best on the validation tiles (macro-F1 {100 * best.mean(_VALIDATION):.2f} %)"


def text(rows: Sequence[Row], apart: Sequence[Apart], left_out: Mapping[str, int], why: str, *, markdown: bool) -> str:
    """Return the table with what is needed to read it, at most 120 characters wide unless it is Markdown.

    left_out: how many experiments, by reason. why: what makes the reference one.
    """
    groups = [row.group for row in rows] + [each.group for each in apart]
    shown = [metric for metric in table.TITLES if any(group.values(metric) for group in groups)]
    parts = []

    def cells_of(group: Group) -> list[str]:
        return [group.name, table.runs_cell(group), *(table.metric_cell(group, metric) for metric in shown)]

    if rows:
        cells = [[*cells_of(row.group), *table.difference_cells(row.differences)] for row in rows]
        parts.append(_table(shown, cells, ["difference", "verdict"], "rl", markdown))
        parts.append(table.notes(_remarks(rows, why), markdown))
    if apart:
        cells = [[*cells_of(each.group), each.reason] for each in apart]
        parts.append("Not comparable with these:" if rows else "Nothing that can be compared:")
        parts.append(_table(shown, cells, ["because"], "l", markdown))
    if left_out:
        parts.append(f"Left out: {experiments.counted(left_out)}.")
    return "\n\n".join(parts)


def frame(rows: Sequence[Row], apart: Sequence[Apart]) -> pd.DataFrame:
    """Every number as a fraction, one row a group; empty where there is none."""
    records = []
    for each, differences, verdict in [
        *((row.group, row.differences or {}, table.difference_cells(row.differences)[1]) for row in rows),
        *((other.group, {}, f"not comparable: {other.reason}") for other in apart),
    ]:
        record: dict[str, Any] = {
            "settings": each.name,
            "experiments": " ".join(member.name for member in each.members),
            "seeds": each.seeds,
            "folds": max(len(each.folds), 1),
        }
        for metric in (*table.TITLES, _VALIDATION, f"{BASELINE}.accuracy", GAIN):
            record |= table.metric_columns(each, metric)
        for metric in ("accuracy", "macro_f1"):
            found = differences.get(metric, Difference(np.nan, np.nan, np.nan))
            ends = {"difference": found.value, "difference_low": found.low, "difference_high": found.high}
            record |= {f"{metric}_{name}": value for name, value in ends.items()}
        records.append(record | {"verdict": verdict})
    return pd.DataFrame(records)


def _remarks(rows: Sequence[Row], why: str) -> list[str]:
    """What a reader has to know, one line each."""
    reference = next(row.group for row in rows if row.differences is None)
    remarks = [f"reference: {reference.name}, {why}"]
    if reference.values(GAIN):
        mean, (low, high) = reference.mean(GAIN), reference.interval(GAIN)
        remarks.append(
            "beside it: logistic regression on the band statistics of the same tiles, accuracy "
            f"{100 * reference.mean(f'{BASELINE}.accuracy'):.2f} %; the reference has {100 * mean:+.2f} points on it "
            f"({100 * low:+.2f} to {100 * high:+.2f})"
        )
    if len(rows) > 1:
        tiles = f"{rows[0].tiles:,} test tiles"
        remarks += [
            f"difference: macro-F1 to the reference, in points ({table.LEVEL}), on the same {tiles}",
            "tie: the interval holds zero; of 20 settings as good as the reference, one is judged better or worse",
        ]
    groups = [row.group for row in rows]
    remarks += table.about_intervals(groups)
    if any(group.seeds == 1 for group in groups):
        remarks.append("one seed says little about the next: dvc exp run --queue -S train.seed=1,2,3; dvc queue start")
    return remarks


def _table(shown: Sequence[str], cells: list[list[str]], last: Sequence[str], align: str, markdown: bool) -> str:
    """Settings, runs and metrics, then the columns of ``last``."""
    runs = "runs" if any("folds" in row[1] for row in cells) else "seeds"
    heads = ["settings", runs, *(table.TITLES[metric] for metric in shown), *last]
    widths = [_NAME - _NLL * ("nll" in shown), *[None] * (len(heads) - 2), _REASON]
    return table.grid(heads, cells, "l" + "r" * (1 + len(shown)) + align, markdown, widths)
