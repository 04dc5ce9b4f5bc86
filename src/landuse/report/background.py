"""Where the model comes from: its training, its data, and what it takes to make it again."""

import base64
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from landuse.params import PARTS
from landuse.report import numbers as n
from landuse.report.blocks import Cell, Figure, Figures, Image, Section, Table
from landuse.report.charts import Plane, Scale, around, as_percent
from landuse.report.inputs import Facts, Inputs, filled

_CURVES = ("loss", "accuracy")
_PARTS = {"train": "Training", "val": "Validation", "test": "Test"}
_MODEL = (
    "backbone", "stem", "pooling", "weights", "input_size", "bands", "units", "dtype", "tile_size", "mean", "std",
    "classes",
)  # fmt: skip
_LIBRARIES = ("landuse", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow", "dvc")

Series = Mapping[str, tuple[str, str]]  # css class -> column of history.csv, text


def training(inputs: Inputs) -> Section | None:
    """Curves, the epoch that was kept, and what the guards found."""
    text: list[str] = []
    blocks: list[Figures | Table] = []
    if inputs.train:
        kept = inputs.train
        text.append(
            f"{n.count(kept['epochs'], 'epoch')}; epoch {kept['best_epoch']} was kept for its result "
            f"on validation tiles: accuracy {n.percent(kept['val_accuracy'], 2)}, macro-F1 "
            f"{n.percent(kept['val_macro_f1'], 2)}, loss {n.score(kept['val_loss'])}."
        )
    if inputs.history is not None and filled(inputs.history):
        blocks.append(Figures(_history(inputs.history, (inputs.train or {}).get("best_epoch"))))
    if inputs.collapse:
        text.append(_verdict(inputs.collapse))
        blocks.append(_checks(inputs.collapse))
    return Section("training", "Training", text, blocks) if text or blocks else None


def _history(table: pd.DataFrame, best: int | None) -> list[Figure]:
    both = {"a": ("train", "training"), "b": ("val", "validation")}
    losses, accuracies = ({css: (f"{part}_{what}", text) for css, (part, text) in both.items()} for what in _CURVES)
    score = {"b": ("val_macro_f1", "validation")}
    return [
        _curve("Loss", table, losses, best, around("loss", table[_columns(losses)], low=0.0)),
        _curve("Accuracy", table, accuracies, best, around("accuracy", table[_columns(accuracies)], as_percent)),
        _curve("Macro-F1", table, score, best, around("macro-F1", table[_columns(score)], as_percent)),
        _curve("Learning rate", table, {"c": ("lr", "")}, best, around("learning rate", table["lr"], low=0.0)),
    ]


def _columns(series: Series) -> list[str]:
    return [column for column, _ in series.values()]


def _curve(title: str, table: pd.DataFrame, series: Series, best: int | None, upward: Scale) -> Figure:
    plane = Plane(Scale("epoch", 0.5, len(table) + 0.5, whole=True), upward)
    epochs = table["epoch"]
    marks = _phases(plane, table) + ([plane.upright(best, "c")] if best is not None else [])
    for css, (column, text) in series.items():
        titles = [f"epoch {epoch}: {text} {value:.4g}" for epoch, value in zip(epochs, table[column], strict=True)]
        marks += [plane.line(epochs, table[column], css), plane.dots(epochs, table[column], titles, css, 3)]
    legend = [(css, text) for css, (_, text) in series.items() if text]
    legend += [("rule", "kept epoch")] if best is not None else []
    return Figure(title, plane.svg(f"{title} over epochs", *marks), legend=legend)


def _phases(plane: Plane, table: pd.DataFrame) -> list[Any]:
    starts = table.groupby("phase", sort=False)["epoch"].min()
    return [plane.upright(start - 0.5, "faint", str(name)) for name, start in starts.items()] if len(starts) > 1 else []


def _verdict(found: Facts) -> str:
    ends = " The guards ended it early." if found["stopped"] else ""
    if found["verdict"] == "ok":
        return f"No sign of collapse: all {len(found['checks'])} checks passed.{ends}"
    return f"The guards against collapse raised a {found['verdict']}.{ends}"


def _checks(found: Facts) -> Table:
    lines = [
        [
            Cell(name.replace("_", " ")),
            Cell(check["verdict"], css=f"verdict-{check['verdict']}"),
            Cell(str(check["epoch"])),
            Cell(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in check["measured"].items())),
            Cell(check["cause"]),
        ]
        for name, check in found["checks"].items()
    ]
    head = ["Check", "Verdict", "Epoch", "Measured", "Likely cause"]
    return Table("Checks of the training", head, lines, texts=len(head), folded="What was checked")


def data(inputs: Inputs) -> Section:
    """The tiles, how they were dealt, and what leaks."""
    facts = inputs.data
    official = {True: " (the official set, by its digest)", False: " (not the whole official set)"}
    size = f"{facts['tile_size']} x {facts['tile_size']} pixels"
    text = [
        f"{n.count(facts['tiles'], 'tile')} of {facts['source']}{official.get(facts['official'], '')}, {size}, bands "
        f"{n.listed(list(facts['bands']), 13)}. Units: {facts['units']}. Licence: {facts['licence']}."
    ]
    if facts["quarantined"]:
        text.append(f"{n.count(facts['quarantined'], 'tile')} could not be used and were left out.")
    blocks: list[Table | Image] = []
    if inputs.split:
        text.append(" ".join(_leakage(inputs.split)))
        blocks.append(_parts(inputs.split))
    if inputs.split_map:
        source = "data:image/png;base64," + base64.b64encode(inputs.split_map).decode()
        blocks.append(Image(source, "Map of the tiles by their part of the split", "Where the tiles lie."))
    return Section("data", "Data and split", text, blocks, short="Data")


def _leakage(split: Facts) -> Iterator[str]:
    pairs, distance, place = (split.get(key) for key in ("duplicates", "nearest_test_to_train_km", "coordinates_only"))
    yield f"Split: {split['method']}."
    if pairs:
        yield (
            f"Pairs of tiles across parts: {pairs['exact_across_parts']:,} with the same pixels, "
            f"{pairs['near_across_parts']:,} nearly the same."
        )
    if distance:
        yield (
            f"From a test tile to the nearest training tile it is {distance['median']:,.2f}{n.GAP}km (median), "
            f"{distance['min']:,.2f}{n.GAP}km at least."
        )
    if place:
        yield (
            f"A model that sees coordinates and no pixels is right for {n.with_span(place['accuracy'])}: so much the "
            "places give away."
        )


def _parts(split: Facts) -> Table:
    shown = split["classes"]
    lines = [[Cell(name), *(n.count_cell(parts[part]) for part in PARTS)] for name, parts in shown.items()]
    total = [Cell("All"), *(n.count_cell(split["tiles"][part]) for part in PARTS)]
    others = {part: count for part, count in split["tiles"].items() if part not in PARTS and count}
    note = "".join(f"; {part}: {count:,}" for part, count in others.items())
    return Table(
        f"Tiles of each class in each part{note}",
        ["Class", *_PARTS.values()],
        [*lines, total],
        folded="Tiles in each part",
    )


def provenance(inputs: Inputs) -> Section:
    """Digests, params and versions: enough to make the model again."""
    spec = inputs.spec
    digests = {
        "Identity: params, data and code that made the model": spec["identity"],
        "Tiles and split": spec["data_digest"],
        "Tiles": inputs.data["digest"],
        "Params": spec["params_digest"],
    }
    versions = {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
    params = spec["params"]
    blocks = [
        _facts("Digests (SHA-256)", ["Of what", "Digest"], digests, css="digests"),
        _facts("Model", ["Fact", "Value"], {name.replace("_", " "): spec[name] for name in _MODEL}),
        _facts("Params of the training", ["Param", "Value"], params, folded=n.count(len(params), "param")),
        _facts("Versions", ["Software", "Version"], versions, folded="Versions of the software"),
    ]
    text = "The same params, data and versions on the same kind of machine give this file again, byte by byte."
    return Section("provenance", "Provenance", [text], blocks, short="Origin")


def _facts(caption: str, head: list[str], found: Mapping[str, Any], folded: str = "", css: str = "facts") -> Table:
    lines = [[Cell(str(name)), Cell(_written(value))] for name, value in found.items()]
    return Table(caption, head, lines, texts=9, folded=folded, css=css)


def _written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) and np.isfinite(value) else str(value)
