"""How sure the model is, when it should decline, and what it makes of land it was never taught."""

import numpy as np
import pandas as pd
from markupsafe import Markup

from landuse.evaluation.report import numbers as n
from landuse.evaluation.report.blocks import Cell, Figure, Figures, Section, Table
from landuse.evaluation.report.charts import Plane, Scale, around, as_percent, plain, rows
from landuse.evaluation.report.inputs import Facts, Inputs, filled

_STAGES = {"before": ("b", "before scaling"), "after": ("a", "after scaling")}
_SCORES = {
    "max_softmax": "maximum softmax",
    "energy": "energy",
    "mahalanobis": "Mahalanobis",
    "knn": "nearest neighbours",
}
_ROWS = 20  # entries of a chart of rows; beyond, the lowest ones


def calibration(inputs: Inputs) -> Section | None:
    """Whether 90 % sure means right nine times of ten, before and after scaling."""
    found = inputs.found("calibration")
    if not found:
        return None
    how = (
        f"divided by a temperature of {n.score(found['temperature'], 3)}, fitted on validation tiles"
        if found["scaled"]
        else "left as they are"
    )
    reason = f": {found['reason'].rstrip('.')}" if found.get("reason") else ""
    text = [
        f"A model is calibrated when it is right nine times of ten where it says 90{n.GAP}%. Its scores are {how}{reason}."
    ]
    table = Table(
        "Calibration on the test tiles", ["Measure", "Before scaling", "After scaling"], _calibration_rows(found)
    )
    figures = (
        _reliability(inputs.reliability, bool(found["scaled"]))
        if inputs.reliability is not None and filled(inputs.reliability)
        else []
    )
    return Section("calibration", "Calibration", text, [*([Figures(figures)] if figures else []), table])


def _calibration_rows(found: Facts) -> list[list[Cell]]:
    titles = {
        "ece": (
            "Calibration error (ECE)",
            f"mean distance of stated and true accuracy, {found['bins']} bins of as many tiles each",
        ),
        "nll": ("NLL", "negative log-likelihood of the truth; lower is better"),
        "brier": ("Brier score", "squared distance of the probabilities from the truth; lower is better"),
    }
    cells = {"ece": n.share_cell}
    return [
        [Cell(*titles[key]), *(cells.get(key, n.score_cell)(found[stage][key]) for stage in _STAGES)]
        for key in titles
        if key in found["after"]
    ]


def _reliability(table: pd.DataFrame, scaled: bool) -> list[Figure]:
    stages = {name: look for name, look in _STAGES.items() if scaled or name == "after"}
    shown = table[table["stage"].isin(stages)]
    low = min(float(shown[["confidence", "accuracy", "low"]].min().min()), 0.95)
    ends = around("", [low, 1.0], as_percent, low=max(0.0, low - 0.02), high=1.0)
    plane = Plane(
        Scale("confidence that was stated", ends.low, 1, as_percent),
        Scale("share that was right", ends.low, 1, as_percent),
    )
    gap_low, gap_high = (
        float(x) for x in ((shown["low"] - shown["confidence"]).min(), (shown["high"] - shown["confidence"]).max())
    )
    most = int(shown.groupby("stage").size().max())
    gaps = Plane(
        Scale("bins, from least to most certain", 0.4, most + 0.6),
        around("right minus stated, in points", [100 * min(gap_low, 0), 100 * max(gap_high, 0)]),
    )
    diagram, differences = [plane.line([ends.low, 1], [ends.low, 1], "rule")], [gaps.level(0, "c")]
    for i, (stage, (css, _)) in enumerate(stages.items()):
        of = shown[shown["stage"] == stage].sort_values("confidence", ignore_index=True)
        titles = _bins(of)
        diagram += [
            plane.bars(of["confidence"], of["low"], of["high"], css),
            plane.dots(of["confidence"], of["accuracy"], titles, css, 4),
        ]
        at = np.arange(1, len(of) + 1) + (i - (len(stages) - 1) / 2) * 0.3
        low_ends, high_ends = (100 * (of[end] - of["confidence"]) for end in ("low", "high"))
        differences += [
            gaps.bars(at, low_ends, high_ends, css),
            gaps.dots(at, 100 * (of["accuracy"] - of["confidence"]), titles, css, 4),
        ]
    legend = [*stages.values(), ("rule", "perfect")]
    values = Table("Reliability", ["Scaling", "Stated", "Right", "Tiles"], _reliability_rows(shown))
    return [
        Figure(
            "Reliability",
            plane.svg("Reliability diagram", *diagram),
            "Dots below the line claim too much, dots above it too little.",
            legend,
            values,
        ),
        Figure(
            "Distance from the line",
            gaps.svg("Share that was right minus confidence, for each bin", *differences),
            "The same bins side by side. Above zero: it is right more often than it says.",
            [*stages.values()],
        ),
    ]


def _bins(table: pd.DataFrame) -> list[str]:
    return [
        f"said {n.percent(row.confidence)}, right {n.percent(row.accuracy)} ({n.percent(row.low)} to {n.percent(row.high)}) of {row.count:,}"
        for row in table.rename(columns={"count": "tiles"}).rename(columns={"tiles": "count"}).itertuples()
    ]


def _reliability_rows(table: pd.DataFrame) -> list[list[Cell]]:
    return [
        [
            Cell(row["stage"]),
            Cell(n.percent(row["confidence"], 2)),
            n.share_cell({"value": row["accuracy"], "low": row["low"], "high": row["high"]}),
            n.count_cell(int(row["count"])),
        ]
        for _, row in table.iterrows()
    ]


def abstention(inputs: Inputs) -> Section | None:
    """What declining to answer buys."""
    found, table = inputs.found("abstention"), inputs.abstention
    if not found:
        return None
    text = [
        f"If the model answers only where its certainty is at least {n.percent(found['threshold'], 2)}, a limit that was chosen on "
        f"validation tiles to keep {n.percent(found['coverage_asked'], 0)} of them, it answers {n.with_span(found['coverage'])} of the test tiles "
        f"and is right for {n.with_span(found['accuracy'])} of those. {n.count(found['abstained'], 'tile')} would go to a person."
    ]
    blocks = [Figures([_coverage(table, found)])] if table is not None and filled(table) else []
    return Section("abstention", "When it may decline", text, blocks, short="Declining")


def _coverage(table: pd.DataFrame, found: Facts) -> Figure:
    table = table.sort_values("coverage")
    steady = (
        table[table["coverage"] >= 0.02] if (table["coverage"] >= 0.02).any() else table
    )  # before, few tiles decide
    plane = Plane(
        Scale("share of tiles that it answers", 0, 1, as_percent),
        around("share of those that are right", steady["low"], as_percent, high=1.0),
    )
    marks = [
        plane.band(steady["coverage"], steady["low"], steady["high"], "a"),
        plane.line(steady["coverage"], steady["accuracy"], "a"),
    ]
    chosen = steady.iloc[np.unique(np.linspace(0, len(steady) - 1, min(len(steady), 30)).round().astype(int))]
    titles = [
        f"answers {n.percent(row.coverage)}: right {n.percent(row.accuracy, 2)}, certainty at least {n.percent(row.threshold)}"
        for row in chosen.itertuples()
    ]
    marks.append(plane.dots(chosen["coverage"], chosen["accuracy"], titles, "hit a", 5))
    here, right = found["coverage"]["value"], found["accuracy"]["value"]
    if here is not None and right is not None:
        marks.append(
            plane.dots(
                [here], [right], [f"chosen limit: answers {n.percent(here)}, right {n.percent(right, 2)}"], "b", 5
            )
        )
    ten = steady.iloc[np.unique(np.linspace(0, len(steady) - 1, min(len(steady), 11)).round().astype(int))]
    lines = [
        [
            Cell(n.percent(row.coverage)),
            n.share_cell({"value": row.accuracy, "low": row.low, "high": row.high}),
            Cell(n.percent(row.threshold, 2)),
        ]
        for row in ten.itertuples()
    ]
    values = Table("Answering less", ["Answered", "Right", "Certainty at least"], lines)
    return Figure(
        "Accuracy of what it answers",
        plane.svg("Accuracy over the share of tiles answered", *marks),
        "Further left it answers less, and should be right more often.",
        [("b", "chosen limit")],
        values,
    )


def conformal(inputs: Inputs) -> Section | None:
    """Sets of labels that hold the truth as often as was asked."""
    found = inputs.found("conformal")
    if not found:
        return None
    asked = found["coverage_asked"]
    text = [
        f"Instead of one label the model can give a set that holds the truth for {n.percent(asked, 0)} of tiles like these "
        f"(method: {found['method']}). On the test tiles {n.with_span(found['coverage'])} of the sets did, with "
        f"{n.score(found['mean_size'], 2)} labels in a set on average. An empty set, or one with many labels, says: ask a person."
    ]
    sizes = sorted((int(size), int(number)) for size, number in found["sizes"].items())
    largest, total = max(number for _, number in sizes), sum(number for _, number in sizes)
    last = max(size for size, number in sizes if number) if largest else 1
    plane = Plane(
        Scale("labels in the set", -0.6, max(last, 3) + 0.6),
        Scale("share of the test tiles", 0, max(largest / max(total, 1), 0.01) * 1.05, as_percent),
    )
    shown = [(size, number) for size, number in sizes if size <= last]
    titles = [
        f"{n.count(size, 'label')}: {n.count(number, 'tile')} ({n.percent(number / max(total, 1))})"
        for size, number in shown
    ]
    bars = plane.columns(
        [size for size, _ in shown], [number / max(total, 1) for _, number in shown], titles, "column a"
    )
    values = Table(
        "Sizes of the sets",
        ["Labels", "Tiles", "Share"],
        [[Cell(str(size)), n.count_cell(number), Cell(n.percent(number / max(total, 1)))] for size, number in shown],
    )
    figures = [Figure("Size of the sets", plane.svg("Sizes of the prediction sets", bars), values=values)]
    by_label = [
        (name, interval) for name, interval in found.get("by_label", {}).items() if interval["value"] is not None
    ]
    if by_label:
        figures.append(_by_label("Coverage of each label", by_label, asked))
    return Section("conformal", "Prediction sets", text, [Figures(figures)], short="Sets")


def _by_label(title: str, found: list[tuple[str, n.Interval]], asked: float) -> Figure:
    lowest = sorted(found, key=lambda item: (item[1]["value"], item[0]))[:_ROWS] if len(found) > _ROWS else found
    ends = around(
        "share of sets that hold the truth",
        [min(i["low"] if i["low"] is not None else i["value"] for _, i in lowest), asked],
        as_percent,
        high=1.0,
    )
    chart = rows(title, [(name, interval, "a") for name, interval in lowest], ends, mark=asked)
    part = f" The {_ROWS} lowest of {len(found)} labels." if len(found) > _ROWS else ""
    return Figure(
        title,
        chart,
        f"The promise is kept over all labels together; single ones may fall short.{part}",
        [("rule c", "asked for")],
    )


def strangers(inputs: Inputs) -> Section:
    """Tiles of classes that the model was never taught."""
    found = inputs.found("ood")
    title, short = "Land it was never taught", "Unknown land"
    if not found:
        why = "The data has no classes beyond the model's labels, so it was not tested whether it notices land that is none of them."
        return Section("unknown", title, [why], short=short)
    best = _SCORES.get(found["best"], found["best"])
    classes = n.listed([f"{name} ({count:,})" for name, count in found["classes"].items()], 8)
    text = [
        f"{n.count(found['n'], 'tile')} of classes that were kept aside: {classes}. A good score ranks them below the land the model knows. "
        f"AUROC is how often it does so for a pair of tiles: 50{n.GAP}% is chance. Best here: {best}."
    ]
    entries = sorted(
        ((_SCORES.get(name, name), score) for name, score in found["scores"].items()),
        key=lambda item: -(item[1]["auroc"]["value"] or 0),
    )
    figures = [
        Figure(
            "Scores that tell known from unknown",
            _auroc("AUROC of each score", entries, "auroc"),
            "All classes that were kept aside.",
        )
    ]
    if found.get("by_class"):
        by_class = sorted(
            ((name, {"auroc": interval}) for name, interval in found["by_class"].items()),
            key=lambda item: item[1]["auroc"]["value"] or 0,
        )
        figures.append(
            Figure(
                f"Each class, by {best}",
                _auroc(f"AUROC of each class, by {best}", by_class[:_ROWS], "auroc"),
                "The lowest ones look most like land it knows.",
            )
        )
    lines = [[Cell(name), n.share_cell(score["auroc"]), n.share_cell(score["fpr95"])] for name, score in entries]
    table = Table("Scores", ["Score", "AUROC", f"Unknown tiles that pass where 95{n.GAP}% of known ones do"], lines)
    return Section("unknown", title, text, [Figures(figures), table], short=short)


def _auroc(title: str, entries: list[tuple[str, Facts]], key: str) -> Markup:
    values = [entry[key][end] for _, entry in entries for end in ("value", "low") if entry[key][end] is not None]
    low = min(0.5, *values) if values else 0.5
    scale = around("AUROC", [low, 1], as_percent, low=low, high=1.0)
    return rows(
        title, [(name, entry[key], "a" if i == 0 else "d") for i, (name, entry) in enumerate(entries)], scale, mark=0.5
    )
