"""Whether 90 % sure means right nine times of ten, before and after scaling."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from landuse.report import numbers as n
from landuse.report.blocks import Cell, Figure, Figures, Section, Table
from landuse.report.charts import Plane, Scale, around, as_percent
from landuse.report.inputs import Facts, Inputs, filled

_STAGES = {"before": ("b", "before scaling"), "after": ("a", "after scaling")}
_BIN = 0.3  # distance of the two stages' marks of the same bin, in bins

Stages = Mapping[str, tuple[str, str]]  # stage -> css class, text


def section(inputs: Inputs) -> Section | None:
    """The reliability diagrams and the measures of calibration."""
    found, table = inputs.found("calibration"), inputs.reliability
    if not found:
        return None
    reason = f": {found['reason'].rstrip('.')}" if found.get("reason") else ""
    text = (
        f"A model is calibrated when it is right nine times of ten where it says 90{n.GAP}%. Its scores are "
        f"{_scaling(found)}{reason}."
    )
    blocks: list[Figures | Table] = []
    if table is not None and filled(table):
        stages = {name: look for name, look in _STAGES.items() if found["scaled"] or name == "after"}
        shown = table[table["stage"].isin(stages)].sort_values("confidence", kind="stable")
        blocks.append(Figures([_diagram(shown, stages), _distances(shown, stages)]))
    blocks.append(Table("Calibration on the test tiles", ["Measure", "Before scaling", "After scaling"], _rows(found)))
    return Section("calibration", "Calibration", [text], blocks)


def _scaling(found: Facts) -> str:
    if not found["scaled"]:
        return "left as they are"
    power = found.get("power", 1)
    raised = "" if power == 1 else f"measured from the highest, raised to the power of {n.score(power, 3)} and "
    return f"{raised}divided by a temperature of {n.score(found['temperature'], 3)}, fitted on validation tiles"


def _rows(found: Facts) -> list[list[Cell]]:
    bins = f"mean distance of stated and true accuracy over {found['bins']} bins of as many tiles each"
    titles = {
        "ece": ("Calibration error (ECE)", bins, n.share_cell),
        "nll": ("NLL", "negative log-likelihood of the truth; lower is better", n.score_cell),
        "brier": ("Brier score", "squared distance of the probabilities from the truth; lower is better", n.score_cell),
    }
    return [
        [Cell(title, about), *(cell(found[stage][key]) for stage in _STAGES)]
        for key, (title, about, cell) in titles.items()
    ]


def _diagram(table: pd.DataFrame, stages: Stages) -> Figure:
    low = float(table[["confidence", "low"]].min().min())
    low = max(0.0, min(low, 0.95) - 0.02)
    plane = Plane(
        Scale("confidence that was stated", low, 1, as_percent), Scale("share that was right", low, 1, as_percent)
    )
    marks = [plane.line([low, 1], [low, 1], "rule")]
    for stage, (css, _) in stages.items():
        of = table[table["stage"] == stage]
        marks.append(plane.bars(of["confidence"], of["low"], of["high"], css))
        marks.append(plane.dots(of["confidence"], of["accuracy"], _titles(of), css, 4))
    values = Table("Reliability", ["Scaling", "Stated", "Right", "Tiles"], _bins(table, stages))
    about = "A dot is a bin of tiles. Below the line the model claims too much, above it too little."
    legend = [*stages.values(), ("rule", "perfect")]
    return Figure("Reliability", plane.svg("Reliability diagram", *marks), about, legend, values)


def _distances(table: pd.DataFrame, stages: Stages) -> Figure:
    """The same bins side by side: those of a good classifier crowd in the diagram's corner."""
    ends = 100 * (table[["low", "high"]].to_numpy() - table[["confidence"]].to_numpy())
    bins = int(table.groupby("stage").size().max())
    plane = Plane(
        Scale("bins, from least to most certain", 0.4, bins + 0.6, whole=True),
        around("right minus stated, in points", [ends.min(initial=0), ends.max(initial=0)]),
    )
    marks = [plane.level(0, "c")]
    for i, (stage, (css, _)) in enumerate(stages.items()):
        of = table[table["stage"] == stage]
        at = np.arange(1, len(of) + 1) + (i - (len(stages) - 1) / 2) * _BIN
        low, value, high = (100 * (of[end] - of["confidence"]) for end in ("low", "accuracy", "high"))
        marks += [plane.bars(at, low, high, css), plane.dots(at, value, _titles(of), css, 4)]
    chart = plane.svg("Share that was right minus confidence, for each bin", *marks)
    about = "The same bins side by side. Above zero it is right more often than it says."
    return Figure("Distance from the line", chart, about, list(stages.values()))


def _titles(table: pd.DataFrame) -> list[str]:
    return [
        f"said {n.percent(row['confidence'])}, right {n.with_span(_accuracy(row))} of {row['count']:,}"
        for row in table.to_dict("records")
    ]


def _bins(table: pd.DataFrame, stages: Stages) -> list[list[Cell]]:
    return [
        [
            Cell(stages[row["stage"]][1]),
            Cell(n.percent(row["confidence"], 2)),
            n.share_cell(_accuracy(row)),
            n.count_cell(int(row["count"])),
        ]
        for row in table.to_dict("records")
    ]


def _accuracy(row: Mapping[Hashable, Any]) -> n.Interval:
    return {"value": row["accuracy"], "low": row["low"], "high": row["high"]}
