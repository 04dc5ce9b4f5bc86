"""The tables of page and model card, each once."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from landuse.core.arrays import Ints
from landuse.report import vocabulary as v
from landuse.report.inputs import Explained, Inputs

_COMPARED = ("accuracy", "macro_f1")  # with the baselines
_MODEL = (
    "backbone", "stem", "pooling", "weights", "input_adapter", "input_size", "bands", "units", "dtype", "tile_size",
    "mean", "std", "classes",
)  # fmt: skip
_LIBRARIES = ("landuse", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow", "dvc")
_CONFUSIONS = 12  # the commonest
_SUSPECTS = 20  # rows; the others are in the table under plots
_LIMITS = 9  # of abstention


@dataclass(frozen=True)
class Cell:
    """note: small print beside the text, such as an interval. value: what sorting compares. css: a class."""

    text: str
    note: str = ""
    value: float | str | None = None
    css: str = ""


@dataclass(frozen=True)
class Table:
    """The first cell of a row is its header. texts: how many columns hold words; the others are set flush right."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    texts: int = 1


def _share(of: v.Interval | None, places: int | None = None) -> Cell:
    return Cell("–", value="") if of is None else Cell(v.share(of, places), v.span(of, places), of["value"])


def _score(of: v.Interval) -> Cell:
    return Cell(v.score(of["value"]), v.score_span(of), of["value"])


def _count(number: int) -> Cell:
    return Cell(f"{number:,}", value=number)


def _measured(metric: v.Metric, of: v.Interval) -> Cell:
    return _share(of) if metric.share else _score(of)


def named(name: str) -> str:
    """band_statistics -> band statistics."""
    return name.replace("_", " ")


def contenders(inputs: Inputs) -> dict[str, Mapping[str, Any]]:
    """This model, the baselines and, where measured, coordinates alone: each with its accuracy."""
    found: dict[str, Mapping[str, Any]] = {"this model": inputs.evaluate}
    found |= {named(name): guess for name, guess in inputs.evaluate["baselines"].items()}
    place = inputs.split.get("coordinates_only")
    return found | ({"coordinates only": place} if place else {})


def set_sizes(inputs: Inputs) -> dict[int, int]:
    """Tiles by the number of labels in their prediction set, from none to the most there are."""
    found = {int(size): tiles for size, tiles in inputs.evaluate["conformal"]["sizes"].items()}
    return {size: found.get(size, 0) for size in range(max((size for size in found if found[size]), default=0) + 1)}


def all_of(inputs: Inputs, explained: Explained) -> dict[str, Table]:
    """Every table by its name; one that has nothing to show has no rows."""
    suspects = {"suspects": _suspects(explained.suspects)}
    return _performance(inputs, explained) | _certainty(inputs) | suspects | _origin(inputs)


def _performance(inputs: Inputs, explained: Explained) -> dict[str, Table]:
    found, names = inputs.evaluate, inputs.spec.classes
    compared = [[Cell(name), *(_share(of.get(key)) for key in _COMPARED)] for name, of in contenders(inputs).items()]
    classes = [[Cell(name), _count(of["n"]), _share(of["accuracy"])] for name, of in found["classes"].items()]
    heads = [v.METRICS[key].title for key in _COMPARED]
    matrix = [[Cell(name), *map(_count, row.tolist())] for name, row in zip(names, explained.confusion, strict=True)]
    return {
        "contenders": Table("The model and what needs no network", ["", *heads], compared),
        "metrics": Table("All metrics", ["Metric", "Value"], _metrics(inputs)),
        "labels": _labels(found["labels"]),
        "classes": Table("Classes of the data", ["Class", "Tiles", "Accuracy"], classes),
        "matrix": Table("Confusion matrix of the test tiles", ["truth ↓ predicted →", *names], matrix),
        "confusions": _confusions(explained.confusion, names),
    }


def _certainty(inputs: Inputs) -> dict[str, Table]:
    calibration: Mapping[str, Any] = inputs.evaluate["calibration"]
    conformal, ood = inputs.evaluate["conformal"], inputs.evaluate.get("ood")
    stages = [
        [Cell(m.title, m.about), *(_measured(m, calibration[when][key]) for when in ("before", "after"))]
        for key, m in v.CALIBRATION.items()
    ]
    sizes = [
        [Cell(str(size)), _count(tiles), Cell(v.percent(tiles / max(inputs.evaluate["n"], 1)))]
        for size, tiles in set_sizes(inputs).items()
    ]
    sets = [[Cell(name), _share(of)] for name, of in conformal["by_label"].items()]
    scores = sorted(ood["scores"].items(), key=lambda item: -(item[1]["auroc"]["value"] or 0)) if ood else []
    unknown = (
        [[Cell(name), _count(ood["classes"][name]), _share(of)] for name, of in ood["by_class"].items()] if ood else []
    )
    best = v.SCORES.get(ood["best"], ood["best"]) if ood else ""
    head = ["Measure", "Before scaling", "After scaling"]
    return {
        "calibration": Table("Calibration on the test tiles; lower is better", head, stages),
        "reliability": _reliability(inputs.reliability),
        "declining": _declining(inputs.abstention),
        "set_sizes": Table("Sizes of the sets", ["Labels", "Tiles", "Share"], sizes),
        "sets": Table("Share of sets that hold the truth", ["Label", "Coverage"], sets),
        "scores": Table(
            "Scores that tell known from unknown land",
            ["Score", "AUROC", f"FPR at 95{v.GAP}% recall"],
            [[Cell(v.SCORES.get(name, name)), _share(of["auroc"]), _share(of["fpr95"])] for name, of in scores],
        ),
        "unknown_classes": Table(f"Each class, by {best}", ["Class", "Tiles", "AUROC"], unknown),
    }


def _origin(inputs: Inputs) -> dict[str, Table]:
    spec = inputs.spec
    digests = {
        "Identity: params, data and code that made the model": spec.identity,
        "Tiles and split": spec.data_digest,
        "Tiles": inputs.data["digest"],
        "Params": spec.params_digest,
    }
    recipe = {key: value for key, value in spec.params.items() if key.startswith("recipe.") and value is not None}
    recipe = {key: spec.params.get(key) for key in ("train.recipe", "train.seed")} | recipe
    versions = {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
    members = [
        [Cell(m["backbone"]), Cell(str(m["seed"])), Cell(m["phase"] or "last"), Cell(m["weights"], css="code")]
        for m in inputs.calibration.members
    ]
    return {
        "checks": _checks(inputs),
        "parts": _parts(inputs),
        "members": Table(
            "Members of the ensemble", ["Backbone", "Seed", "Phase", "SHA-256 of the weights"], members, texts=4
        ),
        "digests": _facts("Digests (SHA-256)", ["Of what", "Digest"], digests, "code"),
        "model": _facts("Model", ["Fact", "Value"], {named(name): getattr(spec, name) for name in _MODEL}),
        "recipe": _facts("Recipe of the training", ["Param", "Value"], recipe),
        "params": _facts("Params of the training", ["Param", "Value"], spec.params),
        "versions": _facts("Versions of the software", ["Software", "Version"], versions),
    }


def _metrics(inputs: Inputs) -> list[list[Cell]]:
    found: Mapping[str, Any] = inputs.evaluate
    rows = [[Cell(m.title, m.about), _measured(m, found[name])] for name, m in v.METRICS.items()]
    if ensemble := found.get("ensemble"):
        for number, member in enumerate(ensemble["members"], 1):
            who = f"{member['backbone']}, seed {member['seed']}"
            rows.append([Cell(f"Accuracy of member {number} alone", who), _share(member["accuracy"])])
        gain, _, ends = v.gain(ensemble["gain"]).partition(" (")
        rows.append(
            [
                Cell("Gain of the ensemble", "over member 1 alone"),
                Cell(gain, ends.rstrip(")"), ensemble["gain"]["value"]),
            ]
        )
    return rows


def _labels(found: Mapping[str, Any]) -> Table:
    shares = [key for key, metric in v.LABELS.items() if metric.share]
    places = max(v.digits(label[key]) for label in found.values() for key in shares)  # they align
    rows = [
        [
            Cell(name),
            _count(label["n"]),
            *(_share(label[key], places) if m.share else _score(label[key]) for key, m in v.LABELS.items()),
        ]
        for name, label in found.items()
    ]
    return Table("Labels", ["Label", "Tiles", *(m.title for m in v.LABELS.values())], rows)


def _confusions(matrix: Ints, names: Sequence[str]) -> Table:
    wrong = matrix * (1 - np.eye(len(names), dtype=np.int64))
    least = min(2, max(1, int(wrong.max())))  # single tiles say little where there are others
    pairs = [np.unravel_index(flat, wrong.shape) for flat in np.argsort(-wrong, axis=None, kind="stable")[:_CONFUSIONS]]
    rows = []
    for i, j in (pair for pair in pairs if wrong[pair] >= least):
        share = float(wrong[i, j] / matrix[i].sum())
        rows.append([Cell(names[i]), Cell(names[j]), _count(int(wrong[i, j])), Cell(v.percent(share), value=share)])
    head = ["Truth", "Taken for", "Tiles", "Share of the truth"]
    return Table("The commonest confusions", head, rows if len(names) > 2 else [], 2)


def _reliability(table: pd.DataFrame) -> Table:
    rows = [
        [
            Cell(f"{row['stage']} scaling"),
            Cell(v.percent(row["confidence"], 2)),
            _share(v.of_row(row)),
            _count(int(row["count"])),
        ]
        for row in table.to_dict("records")
    ]
    return Table("Reliability", ["When", "Stated", "Right", "Tiles"], rows)


def _declining(table: pd.DataFrame) -> Table:
    table = table.sort_values("coverage", ascending=False)
    chosen = np.unique(np.linspace(0, len(table) - 1, min(_LIMITS, len(table))).round().astype(int))
    rows = [
        [Cell(v.percent(row["coverage"])), _share(v.of_row(row)), Cell(v.percent(row["threshold"], 2))]
        for row in table.iloc[chosen].to_dict("records")
    ]
    return Table("Answering less", ["Answered", "Right", "Certain at least"], rows)


def _suspects(table: pd.DataFrame) -> Table:
    more = f", the first {_SUSPECTS} of {len(table):,}" if len(table) > _SUSPECTS else ""
    rows = [
        [*(Cell(row[name]) for name in ("file", "label", "suggested")), Cell(v.score(row["score"]), value=row["score"])]
        for row in table.head(_SUSPECTS).to_dict("records")
    ]
    return Table(f"Suspected label errors{more}", ["Tile", "Label in the data", "Model suggests", "Score"], rows, 3)


def _checks(inputs: Inputs) -> Table:
    last = inputs.evaluate.get("rounding")
    found = inputs.collapse["checks"] | ({"rounding": last} if last else {})
    rows = [
        [
            Cell(named(name)),
            Cell(check["verdict"], css=f"verdict-{check['verdict']}"),
            Cell(str(check["epoch"])),
            Cell(", ".join(f"{named(key)} {value}" for key, value in check["measured"].items())),
            Cell(check["cause"]),
        ]
        for name, check in found.items()
    ]
    return Table("Checks of the training", ["Check", "Verdict", "Epoch", "Measured", "Likely cause"], rows, texts=5)


def _parts(inputs: Inputs) -> Table:
    """Tiles of each class and, where several share one, of each label."""
    split: Mapping[str, Any] = inputs.split
    used = inputs.tiles[inputs.tiles["split"].isin(list(v.PARTS))]
    of_label = used.groupby("label")["class"].unique()
    rows: list[tuple[str, str, Mapping[str, int]]] = []
    for label, parts in split["labels"].items():
        classes = sorted(of_label.get(label, []))
        rows += [(name, label, split["classes"][name]) for name in classes]
        if len(classes) > 1:
            rows.append((f"All {label}", label, parts))
    rows.append(("All", "", split["tiles"]))
    others = {part: count for part, count in split["tiles"].items() if part not in v.PARTS and count}
    note = "".join(f"; {part}: {count:,}" for part, count in others.items())
    cells = [[Cell(name), Cell(label), *(_count(parts[part]) for part in v.PARTS)] for name, label, parts in rows]
    return Table(f"Tiles of each class in each part{note}", ["Class", "Label", *v.PARTS.values()], cells, 2)


def _facts(caption: str, head: list[str], found: Mapping[str, Any], css: str = "") -> Table:
    return Table(caption, head, [[Cell(name), Cell(_written(value), css=css)] for name, value in found.items()], 2)


def _written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) and np.isfinite(value) else str(value)
