"""summary.json and summary.csv: what is where, in hectares, and how sure."""

import csv
import io
from pathlib import Path
from typing import Any

from affine import Affine

from landuse.core.files import write_json, write_text
from landuse.inference.area import Area, corrected_hectares
from landuse.inference.folder import UNKNOWN
from landuse.inference.map.cells import SHARE, Cells
from landuse.inference.map.grid import CellGrid
from landuse.inference.map.pictures import stretch
from landuse.inference.scene import Scene
from landuse.palette import colours
from landuse.spec.model import ModelSpec

VERSION = 1


def summarise(spec: ModelSpec, scene: Scene, grid: CellGrid, cells: Cells, transform: Affine) -> dict[str, Any]:
    """Return the content of summary.json, without "decisions" and "dense".

    An area is that of whole cells, also where a part of a cell is not valid. transform: of the cells.
    """
    valid = cells.valid
    metres = transform.a
    hectares = metres**2 / 10_000
    counts: dict[str, Any] = {}
    for number, name in enumerate(spec.classes):
        here = cells.classes == number
        found = int(here.sum())
        counts[name] = {
            "cells": found,
            "hectares": round(found * hectares, 4),
            "share": round(found / valid.sum(), 6),
            "mean_probability": round(float(cells.scores[number][here].mean()) / SHARE, 4) if found else None,
            "abstained_hectares": round(int((here & cells.abstained).sum()) * hectares, 4),
        }
    return {
        "version": VERSION,
        "model": {"identity": spec.identity, "backbone": spec.backbone, "classes": spec.classes},
        "crs": scene.crs.to_string(),
        "transform": list(transform)[:6],
        "shape": [grid.rows, grid.cols],
        "cell_metres": metres,
        "stride": grid.stride,
        "colours": colours(spec.classes),
        "classes": spec.classes,
        "counts": counts,
        "valid_cells": int(valid.sum()),
        "masked_cells": int((~valid).sum()),
        "abstained_cells": int((cells.abstained & valid).sum()),
        "strange_cells": int(cells.strange.sum()) if spec.ood else None,
        "date": scene.date,
        "level": scene.level,
        "stretch": stretch(cells).tolist(),
        "area": _area(spec, cells, grid, hectares),
        "confusion": spec.confusion,
        "confusion_sure": spec.confusion_sure,
    }


def _area(spec: ModelSpec, cells: Cells, grid: CellGrid, cell_hectares: float) -> dict[str, Area] | None:
    """Hectares corrected for the errors that the model makes on test tiles; None where these are not known."""
    confusion = spec.confusion_sure or []
    if not all(map(sum, confusion or [[]])) or UNKNOWN in spec.classes or (cells.unknown == cells.valid).all():
        return None
    return corrected_hectares(cells.classes, cells.unknown, spec.classes, confusion, cell_hectares, grid.stride)


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    write_json(folder / "summary.json", summary)
    table = io.StringIO()
    rows = [{"class": name, **numbers} for name, numbers in summary["counts"].items()]
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "summary.csv", table.getvalue())


def told(summary: dict[str, Any]) -> list[str]:
    """A few lines for people: hectares of each class, what is unsure, what has no answer."""
    width = max(map(len, summary["classes"]))
    lines = []
    for name, counts in summary["counts"].items():
        line = f"{name:<{width}}  {counts['hectares']:>14,.1f} ha  {counts['share']:>6.1%}"
        if summary["area"]:
            area = summary["area"][name]
            line += f"  corrected for the model's errors {area['low']:,.0f} to {area['high']:,.0f} ha"
        lines.append(line)
    valid = summary["valid_cells"]
    if summary["area"]:
        unknown = summary["area"][UNKNOWN]["hectares"]
        lines.append(f"unknown (unsure or strange), in no corrected row: {unknown:,.1f} ha")
        lines.append("corrected hectares hold where all other land is of these classes; a labelled sample tells")
    lines.append(f"unsure in {summary['abstained_cells'] / valid:.1%} of {valid:,} cells")
    if summary["strange_cells"]:
        share = f"{summary['strange_cells'] / valid:.1%}"
        lines.append(f"strange, unlike the training tiles, in {share}: guesses")
    if summary["masked_cells"]:
        lines.append(f"no answer for {summary['masked_cells']:,} cells: no data, or masked")
    return lines
