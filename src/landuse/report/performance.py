"""How often the model is right: metrics beside baselines, confusions, labels and classes, curves."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup

from landuse.report import numbers as n
from landuse.report.blocks import Cell, Figure, Figures, Section, Table
from landuse.report.charts import Plane, Scale, around, as_percent, heat, rows
from landuse.report.inputs import Facts, Inputs, filled

_METRICS = {  # name in evaluate.json -> title, and what it says
    "accuracy": ("Accuracy", "share of tiles with the right label"),
    "macro_f1": ("Macro-F1", "harmonic mean of precision and recall, mean over labels"),
    "balanced_accuracy": ("Balanced accuracy", "recall, every label counted alike"),
    "macro_precision": ("Macro precision", "how often a given label is right, mean over labels"),
    "macro_recall": ("Macro recall", "how much of a label is found, mean over labels"),
    "mcc": ("MCC", "correlation of truth and prediction"),
    "roc_auc": ("ROC-AUC", "how well scores rank a label before the others"),
}
_COMPARED = ("accuracy", "macro_f1")  # with the baselines
_PERCENTAGES = {"accuracy", "balanced_accuracy", "macro_precision", "macro_recall", "macro_f1"}
_MATRIX = 20  # labels that a table of confusions can hold; beyond, a heat map
_LISTED = 12  # commonest confusions
_HOVERED = 40  # points of a curve to hover over
_STEPS = (0.002, 0.005, 0.01, 0.02, 0.05)  # shares of a row at which an error's colour gets stronger


def accuracy(inputs: Inputs) -> Section:
    """All metrics with intervals, beside what needs no network."""
    found = inputs.metrics
    contenders: dict[str, Facts] = {"this model": found}
    contenders |= {name.replace("_", " "): guess for name, guess in found.get("baselines", {}).items()}
    place = (inputs.split or {}).get("coordinates_only")
    if place and place.get("accuracy"):
        contenders["coordinates only"] = place
    entries = [(name, of["accuracy"], "a" if of is found else "d") for name, of in contenders.items()]
    chart = rows("Accuracy of the model and of baselines", entries, Scale("accuracy", 0, 1, as_percent))
    lines = [[Cell(name), *(n.share_cell(of.get(key)) for key in _COMPARED)] for name, of in contenders.items()]
    figure = Figure("Accuracy beside baselines", chart, "Dots are measured, lines are intervals.")
    beside = Figures(
        [figure, Table("The model and what needs no network", ["", *(_METRICS[key][0] for key in _COMPARED)], lines)]
    )
    text = (
        f"On {n.count(found['n'], 'test tile')}, which neither training nor any choice has seen. "
        f"Small print: {n.level(found['confidence'])} intervals."
    )
    table = Table("All metrics", ["Metric", "Value"], list(_metric_rows(found)))
    return Section("accuracy", "Accuracy", [text], [beside, table])


def _metric_rows(found: Facts) -> Iterable[list[Cell]]:
    for name, (title, about) in _METRICS.items():
        if name in found:
            cell = n.share_cell if name in _PERCENTAGES else n.score_cell
            yield [Cell(title, about), cell(found[name])]
    if views := found.get("views"):
        about = f"probabilities averaged over {views['n']} flips and turns"
        yield [Cell("Accuracy with views", about), n.share_cell(views["accuracy"])]
        yield [Cell("Gain of the views", "in points, on the same tiles as one view"), n.gain_cell(views["gain"])]
    if ensemble := found.get("ensemble"):
        for number, member in enumerate(ensemble["members"], 1):
            who = f"{member['backbone']}, seed {member['seed']}"
            yield [Cell(f"Accuracy of member {number} alone", who), n.share_cell(member["accuracy"])]
        yield [Cell("Gain of the ensemble", "in points, over member 1 alone"), n.gain_cell(ensemble["gain"])]


def confusion(inputs: Inputs) -> Section | None:
    """What is taken for what: a table, or for many labels a heat map; and the commonest confusions."""
    if inputs.confusion is None or not inputs.confusion.any():
        return None
    matrix, names = inputs.confusion, inputs.names
    text = "Rows are the truth, columns what the model said. Blue is right, red is wrong; "
    head = ["Truth", "Taken for", "Tiles", "Share"]
    commonest = _commonest(matrix, names) if len(names) > 2 else []
    tables = (
        [Table("The commonest confusions, with their share of the truth", head, commonest, texts=2, sortable=True)]
        if commonest
        else []
    )
    blocks: list[Table | Figures]
    if len(names) <= _MATRIX:
        text += "small print is the share of the row."
        blocks = [_matrix(matrix, names), *tables]
    else:
        text += "the stronger, the larger the share of the row. Hover over the picture for names."
        chart = heat("Heat map of confusions", list(_heat_cells(matrix, names)), len(names))
        blocks = [Figures([Figure(f"Confusions of {len(names)} labels", chart), *tables])]
    return Section("confusion", "Confusions", [text], blocks)


def _matrix(matrix: npt.NDArray[np.int64], names: list[str]) -> Table:
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    lines = [
        [
            Cell(name),
            *(_confusion_cell(int(matrix[i, j]), float(share[i, j]), i == j) for j in range(len(names))),
            n.count_cell(int(matrix[i].sum())),
        ]
        for i, name in enumerate(names)
    ]
    return Table(
        "Confusion matrix of the test tiles",
        ["truth \u2193 said \u2192", *names, "Tiles"],
        lines,
        css="matrix" if len(names) > 4 else "matrix few",
    )


def _confusion_cell(count: int, share: float, right: bool) -> Cell:
    if not count:
        return Cell("0", css="none")
    return Cell(f"{count:,}", n.percent(share), css=_colour(share, right))


def _colour(share: float, right: bool) -> str:
    """A class of the style sheet: r0 to r5 for right answers, w0 to w5 for wrong ones."""
    return f"r{min(int(share * 6), 5)}" if right else f"w{int(np.searchsorted(_STEPS, share))}"


def _heat_cells(matrix: npt.NDArray[np.int64], names: list[str]) -> Iterable[tuple[int, int, str, str]]:
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    for i, j in zip(*np.nonzero(matrix), strict=True):
        text = f"{names[i]} \u2192 {names[j]}: {matrix[i, j]:,} ({n.percent(share[i, j])})"
        yield int(i), int(j), _colour(float(share[i, j]), i == j), text


def _commonest(matrix: npt.NDArray[np.int64], names: list[str]) -> list[list[Cell]]:
    wrong = matrix * (1 - np.eye(len(names), dtype=np.int64))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_LISTED]
    least = min(2, int(wrong.max()))  # single tiles say little where there are others
    pairs = [np.unravel_index(flat, wrong.shape) for flat in order]
    return [
        [
            Cell(names[i]),
            Cell(names[j]),
            n.count_cell(int(wrong[i, j])),
            Cell(n.percent(wrong[i, j] / matrix[i].sum()), value=float(wrong[i, j] / matrix[i].sum())),
        ]
        for i, j in pairs
        if wrong[i, j] >= least
    ]


def by_label(inputs: Inputs) -> Section:
    """Every label, and every class of the data where they differ."""
    found = inputs.metrics
    head = ["Label", "Tiles", "Precision", "Recall", "F1", "ROC-AUC", "Average precision"]
    shares = ("precision", "recall", "f1")
    places = max(n.digits(label[key]) for label in found["labels"].values() for key in shares)  # they align
    lines = [
        [
            Cell(name),
            n.count_cell(label["n"]),
            *(n.share_cell(label[key], places) for key in shares),
            n.score_cell(label.get("roc_auc")),
            n.score_cell(label.get("average_precision")),
        ]
        for name, label in found["labels"].items()
    ]
    blocks = [Table("Labels", head, lines, sortable=True)]
    text = ["Precision: how often a given label is right. Recall: how much of a label is found."]
    if set(found["classes"]) != set(found["labels"]):
        text.append("Several classes of the data share a label; the second table tells them apart.")
        of = [[Cell(name), n.count_cell(c["n"]), n.share_cell(c["accuracy"])] for name, c in found["classes"].items()]
        blocks.append(Table("Classes of the data", ["Class", "Tiles", "Accuracy"], of, sortable=True))
    return Section("labels", "Labels and classes", text, blocks, short="Labels")


def curves(inputs: Inputs) -> Section | None:
    """ROC and precision over recall, enlarged where they differ."""
    figures = []
    if inputs.roc is not None and filled(inputs.roc):
        figures.append(_roc(inputs.roc, inputs.metrics["n"]))
    if inputs.pr is not None and filled(inputs.pr):
        figures.append(_pr(inputs.pr))
    if not figures:
        return None
    names = inputs.names
    what = f"of {names[1]} against {names[0]}" if len(names) == 2 else "of every label against the rest, together"
    return Section(
        "curves",
        "ROC and precision",
        [f"Curves {what}. The corner of a perfect classifier is enlarged."],
        [Figures(figures)],
        short="Curves",
    )


def _roc(table: pd.DataFrame, tiles: int) -> Figure:
    x, y = table["fpr"].to_numpy(), table["tpr"].to_numpy()
    lowest = 10.0 ** np.floor(np.log10(0.5 / max(tiles, 1)))
    start = float(y[x <= lowest].max()) if (x <= lowest).any() else 0.0
    plane = Plane(
        Scale("false positive rate (logarithmic)", lowest, 1, _power, log=True), _zoomed("true positive rate", start)
    )
    corners = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]  # steps: what is reached holds until the next point
    marks = [plane.line(*corners, "a"), _hover(plane, x, y, "false positives", "true positives")]
    return Figure("ROC", plane.svg("ROC curve", *marks), "Up and to the left is better.")


def _power(value: float) -> str:
    return f"{value:g}" if value >= 0.001 else f"1e\u2212{round(-np.log10(value))}"


def _pr(table: pd.DataFrame) -> Figure:
    x, y = table["recall"].to_numpy(), table["precision"].to_numpy()
    even = float(np.minimum(x, y).max())
    low = max(0.0, 1 - 4 * (1 - even) - 0.02)
    plane = Plane(Scale("recall", low, 1, as_percent), _zoomed("precision", low))
    kept = x >= low
    marks = [plane.line(x[kept], y[kept], "a"), _hover(plane, x[kept], y[kept], "recall", "precision")]
    return Figure(
        "Precision over recall", plane.svg("Curve of precision over recall", *marks), "Up and to the right is better."
    )


def _zoomed(label: str, lowest: float) -> Scale:
    low = 1 - min(max(1.1 * (1 - lowest), 0.02), 1.0)
    return around(label, [low, 1], as_percent, low=low, high=1.0)


def _hover(plane: Plane, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], across: str, up: str) -> Markup:
    chosen = np.unique(np.linspace(0, len(x) - 1, min(_HOVERED, len(x))).round().astype(int))
    titles = [f"{across} {n.percent(x[i], 2)}, {up} {n.percent(y[i], 2)}" for i in chosen]
    return plane.dots(x[chosen], y[chosen], titles, "hit a", 5)
