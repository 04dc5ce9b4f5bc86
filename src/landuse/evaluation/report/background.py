"""Where the model comes from: its training, its data, and what it takes to make it again."""

import base64
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from landuse.evaluation.report import numbers as n
from landuse.evaluation.report.blocks import Cell, Figure, Figures, Image, Section, Table
from landuse.evaluation.report.charts import Plane, Scale, around, as_percent
from landuse.evaluation.report.inputs import Facts, Inputs, filled
from landuse.params import PARTS

_PARTS = {"train": "Training", "val": "Validation", "test": "Test"}
_LIBRARIES = ("landuse", "torch", "torchvision", "timm", "numpy", "scipy", "scikit-learn", "pillow", "dvc")


def training(inputs: Inputs) -> Section | None:
    """Curves, the epoch that was kept, and what the guards found."""
    text, blocks = [], []
    if inputs.train:
        best = inputs.train["val"]
        text.append(
            f"{n.count(inputs.train['epochs'], 'epoch')}; epoch {inputs.train['best_epoch']} was kept for its result on validation tiles: "
            f"accuracy {n.percent(best['accuracy'], 2)}, macro-F1 {n.percent(best['macro_f1'], 2)}, loss {n.score(best['loss'])}."
        )
    if inputs.history is not None and filled(inputs.history):
        blocks.append(Figures(_history(inputs.history, (inputs.train or {}).get("best_epoch"))))
    if inputs.collapse:
        text.append(_verdict(inputs.collapse))
        blocks.append(_checks(inputs.collapse))
    return Section("training", "Training", text, blocks) if text or blocks else None


def _history(table: pd.DataFrame, best: int | None) -> list[Figure]:
    both = [("a", "train", "training"), ("b", "val", "validation")]
    panels = [
        ("Loss", "loss", both, None),
        ("Accuracy", "accuracy", both, as_percent),
        ("Learning rate", "lr", [("c", "", "")], None),
    ]
    figures = []
    for title, name, series, form in panels:
        columns = [(css, f"{part}_{name}" if part else name, text) for css, part, text in series]
        columns = [column for column in columns if column[1] in table]
        if not columns:
            continue
        values = table[[column for _, column, _ in columns]]
        upward = around(title.lower(), values, form) if form else around(title.lower(), values, low=0.0)
        plane = Plane(Scale("epoch", 0.5, len(table) + 0.5), upward)
        marks = _phases(plane, table)
        if best is not None:
            marks.append(plane.upright(best, "c"))
        for css, column, text in columns:
            titles = [
                f"epoch {epoch}: {text} {title.lower()} {value:.4g}"
                for epoch, value in zip(table["epoch"], table[column], strict=True)
            ]
            marks += [
                plane.line(table["epoch"], table[column], css),
                plane.dots(table["epoch"], table[column], titles, css, 3),
            ]
        kept = [("rule c", "kept epoch")] if best is not None else []
        figures.append(
            Figure(
                title,
                plane.svg(f"{title} over epochs", *marks),
                legend=[(css, text) for css, _, text in columns if text] + kept,
            )
        )
    return figures


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
        [Cell(name.replace("_", " ")), Cell(check["verdict"], css=f"verdict-{check['verdict']}"), Cell(str(check["epoch"])),
         Cell(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in check["measured"].items()), check["cause"])]
        for name, check in found["checks"].items()
    ]  # fmt: skip
    return Table(
        "Checks of the training",
        ["Check", "Verdict", "Epoch", "Measured"],
        lines,
        texts=9,
        folded="What was checked",
    )


def data(inputs: Inputs) -> Section:
    """The tiles, how they were dealt, and what leaks."""
    facts = inputs.data
    official = {True: "the official set, by its digest", False: "not the whole official set", None: ""}[
        facts.get("official")
    ]
    text = [
        f"{n.count(facts['tiles'], 'tile')} of {facts['source']}{f' ({official})' if official else ''}, {facts['tile_size']} x {facts['tile_size']} pixels, "
        f"bands {n.listed(list(facts['bands']), 13)}. Units: {facts['units']}. Licence: {facts['licence']}."
    ]
    if facts.get("quarantined"):
        text.append(f"{n.count(facts['quarantined'], 'tile')} could not be used and were left out.")
    blocks: list[Table | Image] = []
    if inputs.split:
        text.append(_leakage(inputs.split))
        blocks.append(_parts(inputs.split))
    if inputs.split_map:
        source = "data:image/png;base64," + base64.b64encode(inputs.split_map).decode()
        blocks.append(
            Image(
                source,
                "Map of the tiles, coloured by their part of the split",
                "Where the tiles lie, by part of the split.",
            )
        )
    return Section("data", "Data and split", text, blocks)


def _leakage(split: Facts) -> str:
    pairs = split.get("duplicates", {})
    lines = [
        f"Split: {split['method']}. Pairs of tiles across parts: {pairs.get('exact_across_parts', 0):,} with the same pixels, "
        f"{pairs.get('near_across_parts', 0):,} that nearly are the same."
    ]
    distance = split.get("nearest_test_to_train_km")
    if isinstance(distance, int | float):
        lines.append(f"The nearest test tile lies {distance:,.2f}{n.GAP}km from a training tile.")
    place = split.get("coordinates_only") or {}
    if place.get("accuracy"):
        lines.append(
            f"A model that sees only coordinates, no pixels, is right for {n.with_span(place['accuracy'])}: so much leaks through the places."
        )
    return " ".join(lines)


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
    blocks = [
        _facts("Digests (SHA-256)", ["Of what", "Digest"], digests, css="digests"),
        _facts("Model", ["Fact", "Value"], _model(spec)),
        _facts("Params of the training", ["Param", "Value"], spec["params"], folded=f"{len(spec['params'])} params"),
        _facts(
            "Versions",
            ["Software", "Version"],
            {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
            folded="Versions of the software",
        ),
    ]
    text = ["The same params, data and versions on the same kind of machine give this file again, byte by byte."]
    return Section("provenance", "Provenance", text, blocks)


def _model(spec: Facts) -> dict[str, Any]:
    names = (
        "backbone",
        "stem",
        "pooling",
        "weights",
        "input_size",
        "bands",
        "units",
        "dtype",
        "tile_size",
        "mean",
        "std",
        "classes",
    )
    return {name.replace("_", " "): spec[name] for name in names if name in spec}


def _facts(caption: str, head: list[str], found: Mapping[str, Any], folded: str = "", css: str = "facts") -> Table:
    lines = [[Cell(str(name)), Cell(_written(value))] for name, value in found.items()]
    return Table(caption, head, lines, texts=9, folded=folded, css=css)


def _written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(_written, value))
    return f"{value:g}" if isinstance(value, float) and np.isfinite(value) else str(value)
