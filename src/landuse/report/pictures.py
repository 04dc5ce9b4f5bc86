"""Tiles to look at: galleries, the embedding map, suspected label errors."""

import base64
import io
from collections.abc import Hashable, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from markupsafe import Markup
from PIL import Image as Bitmap

from landuse.report import numbers as n
from landuse.report.blocks import Cell, Choice, Picture, Pictures, Scatter, Section, Table
from landuse.report.charts import Plane, around
from landuse.report.gallery import Exhibit, Gallery
from landuse.report.inputs import Inputs, filled

_BUDGET = 3_000_000  # characters that all pictures together may take: the file stays below 5 MB
_SIDE = 160  # pixels of the longer side; larger ones are reduced
_QUALITY = 82  # of WebP; below 80 flat fields show blocks
_COLOURS = 10  # labels that colours can tell apart
_PROJECTIONS = {"tsne": "t-SNE", "pca": "PCA"}
_SUSPECTS = 20  # rows; the others are in the table under plots


def galleries(inputs: Inputs) -> Section | None:
    """What is right, wrong and uncertain, as pictures."""
    found = inputs.galleries
    if not any(gallery.exhibits for gallery in found):
        return None
    text = ["Choose a tile to enlarge it. A bright overlay marks what the model looked at."]
    return Section(
        "tiles",
        "Tiles to look at",
        text,
        [_pictures(gallery, _BUDGET // len(found)) for gallery in found],
        short="Tiles",
    )


def _pictures(gallery: Gallery, budget: int) -> Pictures:
    found: list[Picture] = []
    for exhibit in gallery.exhibits:
        picture = _picture(exhibit)
        budget -= len(picture.source) + len(picture.overlay)
        if budget < 0:
            break
        found.append(picture)
    return Pictures(gallery.name, gallery.title, gallery.about, found, len(gallery.exhibits) - len(found))


def _picture(exhibit: Exhibit) -> Picture:
    truth = exhibit.truth or f"{exhibit.original_class} (not taught)"
    mapped = exhibit.original_class if exhibit.truth not in (None, exhibit.original_class) else ""
    probability = n.percent(exhibit.probability)
    name = PurePosixPath(exhibit.file).name
    return Picture(
        source=_encode(exhibit.picture),
        overlay="" if exhibit.overlay is None else _encode(exhibit.overlay),
        alt=f"Tile {name}: truth {truth}, predicted {exhibit.prediction} with {probability}",
        side=max(exhibit.picture.shape[:2]),
        truth=truth,
        prediction=exhibit.prediction,
        probability=probability,
        wrong=exhibit.truth != exhibit.prediction,
        file=name,
        note=", ".join(filter(None, [mapped, exhibit.note])),
        labels=sorted({exhibit.truth or exhibit.original_class, exhibit.prediction}),
    )


def _encode(pixels: npt.NDArray[np.uint8]) -> str:
    """(H, W, 3) uint8 -> a data URI. WebP: a third of PNG's size for a tile that was a JPEG before."""
    bitmap = Bitmap.fromarray(pixels)
    bitmap.thumbnail((_SIDE, _SIDE), Bitmap.Resampling.LANCZOS)
    memory = io.BytesIO()
    bitmap.save(memory, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(memory.getvalue()).decode()


def embedding(inputs: Inputs) -> Section | None:
    """Tiles as the network sees them, in two dimensions."""
    table = inputs.embedding
    if table is None or not filled(table):
        return None
    names = inputs.names
    table = table.sort_values("correct", ascending=False, kind="stable")  # errors are drawn last, on top
    css = _classes(table, names)
    titles = [_told(row) for row in table.to_dict("records")]
    charts = [(title, _map(table, name, titles, css)) for name, title in _PROJECTIONS.items() if f"{name}_x" in table]
    outcome = Choice("outcome", "right or wrong", [("right", "right"), ("wrong", "wrong"), ("aside", "not taught")])
    split = Choice("split", "split", [(f"s-{part}", part) for part in table["split"].unique()])
    choices = [outcome, split]
    if len(names) <= _COLOURS:
        choices.insert(0, Choice("label", "label", [(f"k{i}", name) for i, name in enumerate(names)]))
    text = [
        f"{n.count(len(table), 'tile')}, placed so that those which look alike to the network lie close together. "
        "Islands are labels that it tells apart; a wrong tile inside a foreign island may be mislabelled. In t-SNE, "
        "distances between islands mean nothing."
    ]
    return Section("embedding", "How the network sees the tiles", text, [Scatter(charts, choices, names)], short="Map")


def _classes(table: pd.DataFrame, names: list[str]) -> list[str]:
    """For each point, the classes that any of the ways to colour it may need."""
    number = {name: i for i, name in enumerate(names)}
    return [
        f"{f'k{number[label] % _COLOURS} l{number[label]}' if label in number else 'aside'} s-{split} "
        f"{'wrong' if label in number and not correct else 'right' if label in number else 'strange'}"
        for label, split, correct in zip(table["label"], table["split"], table["correct"], strict=True)
    ]


def _told(row: Mapping[Hashable, Any]) -> str:
    truth = row["label"] or f"{row['class']} (not taught)"
    verdict = truth if row["correct"] else f"{truth} \u2192 {row['prediction']}"
    return f"{row['file']}: {verdict}, {row['split']}"


def _map(table: pd.DataFrame, name: str, titles: list[str], css: list[str]) -> Markup:
    x, y = table[f"{name}_x"], table[f"{name}_y"]
    plane = Plane(around("", x), around("", y), width=460, height=440)
    return plane.svg(
        f"Map of {len(table):,} tiles by {_PROJECTIONS[name]}", plane.dots(x, y, titles, css, 2.6), axes=False
    )


def suspects(inputs: Inputs) -> Section | None:
    """Labels that may be wrong in the data itself."""
    table = inputs.suspects
    if table is None:
        return None
    title = "Labels that may be wrong"
    if table.empty:
        return Section("suspects", title, ["No label of the validation and test tiles looks wrong."], short="Suspects")
    text = [
        f"The model contradicts {n.count(len(table), 'label')} of validation and test tiles so firmly that the label "
        "itself may be the error; the lower the score, the more suspicious. Experience says that one in four or so is "
        "right after all. Look at them; nothing was removed."
    ]
    lines = [
        [
            Cell(str(row["file"])),
            Cell(str(row["label"])),
            Cell(str(row["suggested"])),
            Cell(n.score(float(row["score"])), value=float(row["score"])),
        ]
        for _, row in table.head(_SUSPECTS).iterrows()
    ]
    more = f", the first {_SUSPECTS} of {len(table):,}" if len(table) > _SUSPECTS else ""
    head = ["Tile", "Label in the data", "Model suggests", "Score"]
    return Section(
        "suspects",
        title,
        text,
        [Table(f"Suspected label errors{more}", head, lines, sortable=True, texts=3)],
        short="Suspects",
    )
