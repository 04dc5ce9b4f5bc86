"""Hectares of each class of a map, as a table for people and as a file."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from landuse.core.errors import UserError
from landuse.core.files import write_json, write_text
from landuse.inference.area import stratified, table
from landuse.inference.area.correction import corrected_hectares
from landuse.inference.area.labels import names_of_labels, read_labels
from landuse.inference.area.stratified import Accuracy, Estimate
from landuse.inference.area.table import Column, Row
from landuse.inference.folder import UNKNOWN, MapFolder
from landuse.inference.sample import strata

VERSION = 1
_ASSUMPTION = (
    "assumes that land of a class looks here as in the model's test tiles (P(image | class) is unchanged), so that it "
    "errs as often; says nothing of unknown land"
)
_DESIGN = (
    "assumes nothing of the model; labelled cells are a random sample of each stratum, and those left out are like them"
)
_SUFFIXES = (".json", ".csv")


def report(folder: Path, labels: Path | None, out: Path | None, seed: int) -> list[str]:
    """Estimate, write ``out`` where it is given, and return a table for people.

    labels: of a sample of this map; without, the map is corrected for the model's own errors.

    Raises:
        UserError: the folder holds no map, what is asked for cannot be estimated, or out is no file of a known kind.
    """
    if out is not None and (out.suffix not in _SUFFIXES or out.is_dir()):
        raise UserError(f"--out {out}: give a file that ends in {' or '.join(_SUFFIXES)}")
    found = MapFolder.read(folder)
    content, told = _labelled(found, labels, seed) if labels else _corrected(found, seed)
    if out is None:
        return told
    if out.suffix == ".csv":
        write_text(out, table.as_csv(content["rows"]))
    else:
        write_json(out, content)
    return [*told, f"wrote {out}"]


def _corrected(found: MapFolder, seed: int) -> tuple[dict[str, Any], list[str]]:
    summary = found.summary
    names, shown = strata(found)
    confusion = summary.get("confusion_sure")
    if confusion is None:
        raise UserError(
            f"{found.name} does not tell how often its model errs on test tiles that it is sure of: run "
            "'dvc repro export' and make the map again, or label a sample of it ('landuse sample') for --labels"
        )
    hectares = _cell_hectares(found)
    areas = corrected_hectares(
        found.classes, found.unknown, summary["classes"], confusion, hectares, summary["stride"], seed
    )
    rows: list[Row] = []
    for number, name in enumerate(names):
        area = areas[name]
        rows.append(
            {
                "class": name,
                "mapped": round(float((found.classes == number).sum() * hectares), 4) if name != UNKNOWN else None,
                "sure": round(float((shown == number).sum() * hectares), 4),
                "corrected": area["hectares"] if name != UNKNOWN else None,
                "low": area["low"] if name != UNKNOWN else None,
                "high": area["high"] if name != UNKNOWN else None,
            }
        )
    columns: list[Column] = [
        ("hectares", lambda row: row["class"]),
        ("as mapped", lambda row: table.hectares(row["mapped"])),
        ("of which sure", lambda row: table.hectares(row["sure"])),
        ("corrected", lambda row: table.hectares(row["corrected"])),
        ("95 % interval", lambda row: table.span(row["low"], row["high"])),
    ]
    tiles = [f"{count:,} of {name}" for name, count in zip(summary["classes"], map(sum, confusion), strict=True)]
    told = [
        *table.aligned(rows, columns),
        "unknown: cells that the model is not sure of, or that are unlike its training tiles; in no other row",
        f"corrected: {_ASSUMPTION}",
        f"errors are known from test tiles: {', '.join(tiles)}",
    ]
    return _content(found, "corrected", _ASSUMPTION, rows), told


def _labelled(found: MapFolder, labels: Path, seed: int) -> tuple[dict[str, Any], list[str]]:
    sample = read_labels(labels, found)
    names, _ = strata(found)
    classes = found.summary["classes"]
    hectares = _cell_hectares(found)
    total = float(sample.sizes.sum() * hectares)
    rows: list[Row] = []
    for number, name in enumerate(names_of_labels(found)):
        alone, powered = stratified.estimate(sample, number, seed)
        row = {"class": name, **_scaled(alone, total, ""), **_scaled(powered, total, "powered_")}
        row["lambda"] = round(powered.tuned, 6)
        is_class = number < len(classes)
        row |= _part(stratified.users(sample, number) if is_class else None, "users_accuracy")
        row |= _part(stratified.producers(sample, number) if is_class else None, "producers_accuracy")
        rows.append(row)
    accuracy = stratified.overall(sample, len(classes))
    columns: list[Column] = [
        ("hectares", lambda row: row["class"]),
        ("from the sample", lambda row: table.with_error(row["hectares"], row["error"])),
        ("95 % interval", lambda row: table.span(row["low"], row["high"])),
        ("prediction-powered", lambda row: table.with_error(row["powered_hectares"], row["powered_error"])),
        ("95 % interval", lambda row: table.span(row["powered_low"], row["powered_high"])),
        ("user's accuracy", lambda row: table.percent(row["users_accuracy"], row["users_accuracy_error"])),
        ("producer's", lambda row: table.percent(row["producers_accuracy"], row["producers_accuracy_error"])),
    ]
    told = [
        *table.aligned(rows, columns),
        f"{len(sample.labels):,} labelled cells; \u00b1 is the standard error; {_DESIGN}",
    ]
    if not math.isnan(accuracy.share):
        told.append(f"overall accuracy where the model is sure: {table.percent(accuracy.share, accuracy.error)}")
    content = _content(found, "labelled", _DESIGN, rows) | _part(accuracy, "overall_accuracy")
    content["strata"] = [
        {
            "stratum": name,
            "cells": int(size),
            "labels": np.bincount(sample.labels[sample.stratum == number], minlength=len(rows)).tolist(),
        }
        for number, (name, size) in enumerate(zip(names, sample.sizes, strict=True))
    ]
    return content, told


def _content(found: MapFolder, method: str, assumption: str, rows: list[Row]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "kind": "area",
        "map": found.name,
        "model": found.summary["model"],
        "date": found.summary["date"],
        "method": method,
        "assumption": assumption,
        "cell_hectares": round(_cell_hectares(found), 6),
        "unknown_hectares": round(float(found.unknown.sum() * _cell_hectares(found)), 4),
        "masked_cells": int((~found.valid).sum()),
        "rows": rows,
    }


def _cell_hectares(found: MapFolder) -> float:
    return found.summary["cell_metres"] ** 2 / 10_000


def _scaled(estimate: Estimate, total: float, prefix: str) -> dict[str, float]:
    numbers = {"hectares": estimate.share, "error": estimate.error, "low": estimate.low, "high": estimate.high}
    return {f"{prefix}{name}": round(share * total, 4) for name, share in numbers.items()}


def _part(accuracy: Accuracy | None, name: str) -> dict[str, float | None]:
    """None, where there is nothing to be right."""
    known = accuracy is not None and not math.isnan(accuracy.share)
    share, error = (accuracy.share, accuracy.error) if accuracy is not None and known else (None, None)
    return {
        name: None if share is None else round(share, 6),
        f"{name}_error": None if error is None else round(error, 6),
    }
