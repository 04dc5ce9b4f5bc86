"""The numbers of change.json and transitions.csv: hectares of each transition with intervals, and more."""

import csv
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.inference.change import interval
from landuse.inference.change.answers import Answers, Floats
from landuse.inference.change.joint import Joint, estimate, posterior
from landuse.inference.change.pair import Pair
from landuse.inference.change.shift import Shift

VERSION = 1
_TOGETHER = 512  # pixels a side of the blocks of the bootstrap: errors of neighbouring cells hang together
_BLOCKS = 25  # at least, or smaller ones
_SEED = 0
_ENDS = (0.025, 0.975)


@dataclass(frozen=True)
class Change:
    """joint: of the whole pair. transitions: (known cells, K, K) probability of each. table: what change.json says."""

    joint: Joint
    transitions: Floats
    table: dict[str, Any]


def estimated(pair: Pair, shift: Shift | None) -> Change:
    """Estimate the change between two maps, and how sure that is."""
    answers = Answers.of(*pair.answers(), pair.prior())
    joint = estimate(answers)
    draws = interval.drawn(answers, joint, _blocks(pair), _SEED)
    land = len(answers.pair) * pair.hectares
    table = _facts(pair, shift) | _areas(pair, joint.shares * land, draws * land)
    table["correlation"] = round(joint.correlation, 3)
    table["sensitivity"] = [
        {"correlation": correlation, "changed_hectares": _rounded(_changed(shares) * land)}
        for correlation, shares in interval.sensitivity(answers)
    ]
    return Change(joint, posterior(joint)[answers.pair], table)


def csv_of(table: dict[str, Any]) -> str:
    """transitions.csv: a row for each transition."""
    text = io.StringIO()
    rows = [
        {"from": row["from"], "to": row["to"], "compared_cells": row["compared_cells"], "hectares": row["hectares"],
         "low": row["low"], "high": row["high"], "share": row["share"]}
        for row in table["transitions"]
    ]  # fmt: skip
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def told(table: dict[str, Any]) -> list[str]:
    """A few lines for people."""
    changes = [row for row in table["transitions"] if row["from"] != row["to"]]
    width = max((len(_name(row)) for row in changes), default=0)
    lines = [
        f"{_name(row):<{width}}  {row['hectares']:>12,.1f} ha  ({row['low']:,.1f} to {row['high']:,.1f}); "
        f"comparing labels would say {row['compared_hectares']:,.1f} ha"
        for row in sorted(changes, key=lambda row: -float(row["hectares"]))[:6]
    ]
    total = table["changed_hectares"]
    lines.append(
        f"changed in all: {total['hectares']:,.1f} ha ({total['low']:,.1f} to {total['high']:,.1f}), of "
        f"{table['known_hectares']:,.1f} ha that are known at both dates"
    )
    ends = [found["changed_hectares"] for found in table["sensitivity"]]
    most = table["sensitivity"][-1]["correlation"]
    lines.append(
        f"errors at one place agree between the dates (correlation {table['correlation']:.2f}, found from the pair "
        f"and used above); at 0 it would be {ends[0]:,.1f} ha, at {most:g} {ends[-1]:,.1f} ha"
    )
    if table["unknown_cells"]:
        lines.append(
            f"unknown: {table['unknown_hectares']:,.1f} ha are strange, unlike the training tiles, at one of the dates"
        )
    if table["masked_cells"]:
        lines.append(f"no answer at one date or both: {table['masked_cells']:,} cells")
    shift = table["shift"]
    if shift is None:
        lines.append("shift between the dates: not known, the pictures have too little in common")
    else:
        metres = float(np.hypot(shift["x_metres"], shift["y_metres"]))
        lines.append(f"shift between the dates: {metres:.1f} m, {shift['cells']:.2f} cells")
    return lines


def _name(row: dict[str, Any]) -> str:
    return f"{row['from']} to {row['to']}"


def _facts(pair: Pair, shift: Shift | None) -> dict[str, Any]:
    summary, hectares = pair.before.summary, pair.hectares
    counts = {name: int(flags.sum()) for name, flags in
              (("known", pair.known), ("unknown", pair.strange), ("unsure", pair.unsure))}  # fmt: skip
    apart = None
    if shift is not None:
        cells = round(shift.metres / summary["cell_metres"], 4)
        apart = {"x_metres": round(shift.x, 2), "y_metres": round(shift.y, 2), "cells": cells}
    return {
        "version": VERSION,
        "kind": "change",
        "model": {**summary["model"], "classes": summary["classes"]},
        "crs": pair.before.crs.to_string(),
        "transform": list(pair.before.transform)[:6],
        "shape": list(pair.known.shape),
        "cell_metres": summary["cell_metres"],
        "stride": summary["stride"],
        "classes": summary["classes"],
        "colours": {name: summary["colours"][name] for name in summary["classes"]},
        "before": _date(pair, "before"),
        "after": _date(pair, "after"),
        "compared_cells": int(pair.common.sum()),
        "masked_cells": int((~pair.common).sum()),
        **{f"{name}_cells": count for name, count in counts.items()},
        **{f"{name}_hectares": _rounded(count * hectares) for name, count in counts.items()},
        "shift": apart,
    }


def _date(pair: Pair, which: str) -> dict[str, Any]:
    found = getattr(pair, which)
    return {"name": found.name, "date": found.summary["date"], "valid_cells": int(found.valid.sum())}


def _areas(pair: Pair, hectares: Floats, draws: Floats) -> dict[str, Any]:
    """hectares: (K, K) estimate; draws: (draws, K, K) of the bootstrap."""
    classes, compared = pair.classes, pair.compared()
    transitions = []
    for i, was in enumerate(classes):
        for j, became in enumerate(classes):
            transitions.append(
                {"from": was, "to": became, **_interval(hectares[i, j], draws[:, i, j]),
                 "share": round(float(hectares[i, j] / hectares.sum()), 6),
                 "compared_cells": int(compared[i, j]),
                 "compared_hectares": _rounded(compared[i, j] * pair.hectares)}
            )  # fmt: skip
    gained, drawn = hectares.sum(axis=0) - hectares.sum(axis=1), draws.sum(axis=1) - draws.sum(axis=2)
    return {
        "transitions": transitions,
        "changed_hectares": _interval(_changed(hectares), _changed(draws)),
        "net_hectares": {name: _interval(gained[k], drawn[:, k]) for k, name in enumerate(classes)},
    }


def _changed(shares: Floats) -> Any:
    """Of (..., K, K): all but the diagonal."""
    return shares.sum(axis=(-2, -1)) - np.trace(shares, axis1=-2, axis2=-1)


def _interval(at: float, draws: Floats) -> dict[str, float]:
    low, high = np.quantile(draws, _ENDS)
    return {"hectares": _rounded(at), "low": _rounded(min(low, at)), "high": _rounded(max(high, at))}


def _rounded(hectares: float) -> float:
    return round(float(hectares), 4)


def _blocks(pair: Pair) -> npt.NDArray[np.int64]:
    """(known cells,) number of the block that each is in."""
    rows, cols = pair.known.shape
    side = max(1, min(_TOGETHER // pair.before.summary["stride"], int(np.sqrt(rows * cols / _BLOCKS))))
    block = np.add.outer(np.arange(rows) // side * cols, np.arange(cols) // side)
    chosen: npt.NDArray[np.int64] = block[pair.known]
    return chosen
