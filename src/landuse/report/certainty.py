"""When the model should decline to answer, and what it makes of land it was never taught."""

import numpy as np
import pandas as pd
from markupsafe import Markup

from landuse.report import numbers as n
from landuse.report.blocks import Cell, Figure, Figures, Section, Table
from landuse.report.charts import Plane, Scale, around, as_percent, rows
from landuse.report.inputs import Facts, Inputs, filled

_SCORES = {
    "max_softmax": "maximum softmax",
    "energy": "energy",
    "mahalanobis": "Mahalanobis",
    "knn": "nearest neighbours",
}
_ROWS = 20  # entries of a chart of rows; beyond, the lowest ones
_STEADY = 0.02  # of the tiles: a curve over fewer jumps with each of them


def abstention(inputs: Inputs) -> Section | None:
    """What declining to answer buys."""
    found, table = inputs.found("abstention"), inputs.abstention
    if not found:
        return None
    text = (
        f"The model may answer only where its certainty is at least {n.percent(found['threshold'], 2)}: a limit chosen "
        f"on validation tiles to keep {n.percent(found['coverage_asked'], 0)} of them. Then it answers "
        f"{n.with_span(found['coverage'])} of the test tiles and is right for {n.with_span(found['accuracy'])} of "
        f"those; {n.count(found['abstained'], 'tile')} would go to a person."
    )
    blocks = [Figures(_coverage(table, found))] if table is not None and filled(table) else []
    return Section("abstention", "When it may decline", [text], blocks, short="Declining")


def _coverage(table: pd.DataFrame, found: Facts) -> list[Figure | Table]:
    table = table.sort_values("coverage")
    table = table[table["coverage"] >= min(_STEADY, table["coverage"].max())]
    plane = Plane(
        Scale("share of tiles that it answers", 0, 1, as_percent),
        around("share of those that are right", table["low"], as_percent, high=1.0),
    )
    some, few = (table.iloc[_evenly(len(table), points)].to_dict("records") for points in (30, 9))
    titles = [f"answers {n.percent(row['coverage'])}, right {n.percent(row['accuracy'], 2)}" for row in some]
    marks = [
        plane.band(table["coverage"], table["low"], table["high"], "a"),
        plane.line(table["coverage"], table["accuracy"], "a"),
        plane.dots([row["coverage"] for row in some], [row["accuracy"] for row in some], titles, "hit a", 5),
    ]
    here, right = found["coverage"]["value"], found["accuracy"]["value"]
    if here is not None and right is not None:
        told = f"chosen limit: answers {n.percent(here)}, right {n.percent(right, 2)}"
        marks.append(plane.dots([here], [right], [told], "b", 5))
    chart = plane.svg("Accuracy over the share of tiles answered", *marks)
    about = "Further left it answers less, and should be right more often."
    lines = [
        [
            Cell(n.percent(row["coverage"])),
            n.share_cell({"value": row["accuracy"], "low": row["low"], "high": row["high"]}),
            Cell(n.percent(row["threshold"], 2)),
        ]
        for row in reversed(few)
    ]
    return [
        Figure("Accuracy of what it answers", chart, about, [("b", "chosen limit")]),
        Table("Answering less", ["Answered", "Right", "Certain at least"], lines),
    ]


def _evenly(length: int, count: int) -> list[int]:
    chosen: list[int] = np.unique(np.linspace(0, length - 1, min(count, length)).round().astype(int)).tolist()
    return chosen


def conformal(inputs: Inputs) -> Section | None:
    """Sets of labels that hold the truth as often as was asked."""
    found = inputs.found("conformal")
    if not found:
        return None
    text = (
        f"Instead of one label the model can give a set that holds the truth for "
        f"{n.percent(found['coverage_asked'], 0)} of tiles like these (method: {found['method']}). On the test tiles "
        f"{n.with_span(found['coverage'])} of the sets did, with {n.score(found['mean_size'], 2)} labels on average. "
        "An empty set, or one with many labels, says: ask a person."
    )
    figures = [_sizes(found["sizes"])]
    of_label = {name: of for name, of in (found.get("by_label") or {}).items() if of["value"] is not None}
    if of_label:
        figures.append(_by_label(of_label, found["coverage_asked"]))
    return Section("conformal", "Prediction sets", [text], [Figures(figures)], short="Sets")


def _sizes(found: Facts) -> Figure:
    counts = {int(size): int(tiles) for size, tiles in found.items()}
    last, total = max((size for size, tiles in counts.items() if tiles), default=0), max(sum(counts.values()), 1)
    sizes = list(range(last + 1))
    shares = [counts.get(size, 0) / total for size in sizes]
    plane = Plane(
        Scale("labels in the set", -0.6, max(last, 3) + 0.6, whole=True),
        Scale("share of the test tiles", 0, 1.05 * max(shares) or 1, as_percent),
    )
    tiles = [
        f"{n.count(counts.get(size, 0), 'tile')} ({n.percent(share)})"
        for size, share in zip(sizes, shares, strict=True)
    ]
    titles = [f"{n.count(size, 'label')}: {told}" for size, told in zip(sizes, tiles, strict=True)]
    chart = plane.svg("Sizes of the prediction sets", plane.columns(sizes, shares, titles, "column a"))
    lines = [
        [Cell(str(size)), n.count_cell(counts.get(size, 0)), Cell(n.percent(share))]
        for size, share in zip(sizes, shares, strict=True)
    ]
    values = Table("Sizes of the sets", ["Labels", "Tiles", "Share"], lines)
    return Figure("Size of the sets", chart, "One label is a plain answer.", values=values)


def _by_label(found: Facts, asked: float) -> Figure:
    lowest = dict(sorted(found.items(), key=lambda item: (item[1]["value"], item[0]))[:_ROWS])
    entries = [(name, of, "a") for name, of in found.items() if name in lowest]
    ends = [of["value"] if of["low"] is None else of["low"] for of in lowest.values()]
    scale = around("share of sets that hold the truth", [*ends, asked], as_percent, high=1.0)
    part = f" The {_ROWS} lowest of {len(found)} labels." if len(found) > _ROWS else ""
    about = f"The promise is made for all labels together; single ones may fall short.{part}"
    chart = rows("Coverage of each label", entries, scale, mark=asked)
    return Figure("Coverage of each label", chart, about, [("rule", "asked for")])


def strangers(inputs: Inputs) -> Section:
    """Tiles of classes that the model was never taught."""
    found = inputs.found("ood")
    title, short = "Land it was never taught", "Unknown"
    if not found:
        why = (
            "The data has no classes beyond the model's labels, so whether it notices land that is none of them was "
            "not tested."
        )
        return Section("unknown", title, [why], short=short)
    best = _SCORES.get(found["best"], found["best"])
    classes = n.listed([f"{name} ({count:,})" for name, count in found["classes"].items()], 8)
    text = (
        f"{n.count(found['n'], 'tile')} of classes that were kept aside: {classes}. A good score ranks them below the "
        f"land the model knows; AUROC is how often it does so for a pair of tiles, and 50{n.GAP}% is chance. FPR "
        f"is the share of unknown tiles let in by a limit that lets 95{n.GAP}% of known ones in. "
        f"Best here: {best}."
    )
    scores = sorted(found["scores"].items(), key=lambda item: -(item[1]["auroc"]["value"] or 0))
    entries = [(_SCORES.get(name, name), of["auroc"], "a" if name == found["best"] else "d") for name, of in scores]
    figures = [Figure("Scores that tell known from unknown", _auroc("AUROC of each score", entries))]
    if by_class := found.get("by_class"):
        lowest = sorted(by_class.items(), key=lambda item: item[1]["value"] or 0)[:_ROWS]
        chart = _auroc(f"AUROC of each class, by {best}", [(name, of, "a") for name, of in lowest])
        figures.append(Figure(f"Each class, by {best}", chart, "The first ones look most like land it knows."))
    lines = [
        [Cell(_SCORES.get(name, name)), n.share_cell(of["auroc"]), n.share_cell(of["fpr95"])] for name, of in scores
    ]
    head = ["Score", "AUROC", f"FPR at 95{n.GAP}% recall"]
    return Section("unknown", title, [text], [Figures(figures), Table("Scores", head, lines)], short=short)


def _auroc(title: str, entries: list[tuple[str, n.Interval, str]]) -> Markup:
    ends = [of[end] for _, of, _ in entries for end in ("value", "low") if of[end] is not None]
    low = min([0.5, *ends])
    return rows(title, entries, Scale("AUROC", low, 1, as_percent), mark=0.5)
