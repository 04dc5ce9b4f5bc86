"""Folders as `landuse map` and `landuse change` write them, without a model or a scene."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import rasterio
import rasterio.shutil
import shapely
from affine import Affine
from PIL import Image

from landuse.inference.folder import MapFolder
from landuse.inference.sample import strata

CLASSES = ["Farmland", "City"]
COLOURS = ["#e6c229", "#d1495b", "#2e7d32", "#1565c0"]
WEST, NORTH, METRES = 500_000.0, 5_400_000.0, 320.0


def write_map(
    folder: Path,
    probabilities: npt.NDArray[np.floating[Any]] | None = None,
    ood: npt.NDArray[np.floating[Any]] | None = None,
    picture: npt.NDArray[np.uint8] | None = None,
    classes: list[str] = CLASSES,
    crs: str = "EPSG:32632",
    origin: tuple[float, float] = (WEST, NORTH),
    cell: float = METRES,
    **summary: Any,
) -> dict[str, Any]:
    """Write classes.tif, scores.tif, quicklook.png and summary.json, and return the summary.

    probabilities: (classes, rows, columns), NaN where masked; default: 12 x 20 cells at random. ood: (rows, columns).
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    if probabilities is None:
        probabilities = rng.dirichlet([0.4] * len(classes), (12, 20)).transpose(2, 0, 1)
        probabilities[:, :2, :3] = np.nan
    shape = probabilities.shape[1:]
    valid = np.isfinite(probabilities[0])
    ood = np.where(valid, rng.uniform(0.2, 1.4, shape) if ood is None else ood, np.nan)
    abstained = np.where(valid, probabilities.max(axis=0) < 0.6, np.nan)
    entropy = -(probabilities * np.log(np.maximum(probabilities, 1e-30))).sum(axis=0) / np.log(max(2, len(classes)))
    shown = np.where(valid, np.nan_to_num(probabilities).argmax(axis=0), 255).astype(np.uint8)
    bands = {f"probability {name}": (part, 1 / 250) for name, part in zip(classes, probabilities, strict=True)}
    bands |= {"entropy": (entropy, 1 / 250), "abstained": (abstained, 1.0), "ood": (ood, 1 / 50)}
    transform = Affine(cell, 0, origin[0], 0, -cell, origin[1])
    profile = {"driver": "GTiff", "height": shape[0], "width": shape[1], "crs": crs, "transform": transform,
               "dtype": "uint8", "nodata": 255}  # fmt: skip
    with rasterio.MemoryFile() as memory:
        with memory.open(count=1, **profile) as file:
            file.write(shown, 1)
        rasterio.shutil.copy(memory.name, folder / "classes.tif", driver="COG")
    with rasterio.MemoryFile() as memory:
        with memory.open(count=len(bands), **profile) as file:
            for number, (name, (values, scale)) in enumerate(bands.items(), 1):
                stored = np.where(valid, np.clip(np.rint(np.nan_to_num(values) / scale), 0, 254), 255)
                file.write(stored.astype(np.uint8), number)
                file.set_band_description(number, name)
            file.scales = [scale for _, scale in bands.values()]
        rasterio.shutil.copy(memory.name, folder / "scores.tif", driver="COG")
    if picture is None:
        noise = rng.integers(40, 160, (*shape, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
        picture = np.dstack([noise, 255 * valid.repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)])
    Image.fromarray(picture).save(folder / "quicklook.png")
    hectares = cell**2 / 10_000
    counts = {
        name: {
            "cells": int((shown == i).sum()),
            "hectares": float((shown == i).sum() * hectares),
            "share": float((shown == i).sum() / max(1, valid.sum())),
            "mean_probability": float(np.nan_to_num(probabilities[i][shown == i].mean()))
            if (shown == i).any()
            else 0.0,
            "abstained_hectares": float(((shown == i) & (abstained == 1)).sum() * hectares),
        }
        for i, name in enumerate(classes)
    }
    content = {
        "version": 1,
        "model": {"identity": "1" * 64, "backbone": "efficientnet_lite0", "classes": classes},
        "crs": crs, "transform": list(transform)[:6], "shape": list(shape), "cell_metres": cell,
        "stride": round(cell / 10), "classes": classes, "colours": dict(zip(classes, COLOURS, strict=False)),
        "counts": counts, "valid_cells": int(valid.sum()), "masked_cells": int((~valid).sum()),
        "abstained_cells": int((abstained == 1).sum()), "strange_cells": int((ood > 1).sum()),
        "date": "2026-06-12", "area": None, "decisions": ["bands by description: B04, B03, B02"],
        "confusion": [[90, 10], [6, 94]], "confusion_sure": [[95, 5], [2, 98]],
    } | summary  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(content))
    return content


def write_change(
    folder: Path,
    joint: npt.NDArray[np.floating[Any]] | None = None,
    classes: list[str] = CLASSES,
    origin: tuple[float, float] = (WEST, NORTH),
    pictures: list[npt.NDArray[np.uint8]] | None = None,
    unknown: npt.NDArray[np.bool_] | None = None,
    **change: Any,
) -> dict[str, Any]:
    """Write what `landuse change` writes of a pair of dates, as far as a page reads it, and return change.json.

    joint: (classes, classes, rows, columns) probabilities of each transition, NaN where masked; default: 12 x 20 cells.
    unknown: (rows, columns) cells that have a class in both dates, but no transition.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(4)
    count = len(classes)
    if joint is None:
        alpha = np.full((count, count), 0.1) + 2 * np.eye(count)
        joint = rng.dirichlet(alpha.ravel(), (12, 20)).transpose(2, 0, 1).reshape(count, count, 12, 20)
        joint[..., :2, :3] = np.nan
    shape = joint.shape[2:]
    valid = np.isfinite(joint[0, 0])
    told = valid if unknown is None else valid & ~unknown
    known = np.nan_to_num(joint)
    likeliest = known.reshape(count**2, *shape).argmax(axis=0)
    planes = {
        "before": (np.where(valid, known.sum(axis=1).argmax(axis=0), 255), COLOURS[:count]),
        "after": (np.where(valid, known.sum(axis=0).argmax(axis=0), 255), COLOURS[:count]),
        "transitions": (np.where(told, likeliest, 255), [f"#{37 * i % 256:02x}40c0" for i in range(count**2)]),
    }
    pairs = [(i, j) for i in range(count) for j in range(count)]
    bands = {"probability of change": 1 - np.trace(known)}
    bands |= {f"probability {classes[i]} to {classes[j]}": known[i, j] for i, j in pairs if i != j}
    transform = Affine(METRES, 0, origin[0], 0, -METRES, origin[1])
    profile = {"driver": "GTiff", "height": shape[0], "width": shape[1], "crs": "EPSG:32632", "transform": transform,
               "dtype": "uint8", "nodata": 255}  # fmt: skip
    for name, (values, colours) in planes.items():
        with rasterio.open(folder / f"{name}.tif", "w", count=1, **profile) as file:
            file.write(values.astype(np.uint8), 1)
            file.write_colormap(1, {i: (*bytes.fromhex(colour[1:]), 255) for i, colour in enumerate(colours)})
    with rasterio.open(folder / "change.tif", "w", count=len(bands), photometric="minisblack", **profile) as file:
        file.write(np.where(told, np.rint(np.stack([*bands.values()]) * 250), 255).astype(np.uint8))
        file.descriptions, file.scales = [*bands], [1 / 250] * len(bands)
    for i, name in enumerate(("before", "after")):
        picture = rng.integers(60 * i, 60 * i + 120, (4 * shape[0], 4 * shape[1], 3), dtype=np.uint8)
        opaque = np.full(picture.shape[:2], 255, dtype=np.uint8)
        Image.fromarray(pictures[i] if pictures else np.dstack([picture, opaque])).save(folder / f"{name}.png")
    hectares = METRES**2 / 10_000
    expected = known.sum(axis=(2, 3)) * hectares
    compared = [((planes["before"][0] == i) & (planes["after"][0] == j)).sum() * hectares for i, j in pairs]
    changed = float(expected.sum() - np.trace(expected))
    content = {
        "version": 1, "kind": "change",
        "model": {"identity": "1" * 64, "backbone": "efficientnet_lite0", "classes": classes},
        "crs": "EPSG:32632", "transform": list(transform)[:6], "shape": list(shape), "cell_metres": METRES,
        "stride": 32, "classes": classes, "colours": dict(zip(classes, COLOURS, strict=False)),
        "before": {"name": "old", "date": "2020-06-12T10:20:31Z", "valid_cells": int(valid.sum())},
        "after": {"name": "new", "date": "2026-06-17T10:20:29Z", "valid_cells": int(valid.sum())},
        "transitions": [
            {"from": classes[i], "to": classes[j], "hectares": float(expected[i, j]),
             "low": float(0.8 * expected[i, j]), "high": float(1.3 * expected[i, j]),
             "share": float(expected[i, j] / expected.sum()), "compared_hectares": float(said)}
            for (i, j), said in zip(pairs, compared, strict=True)
        ],
        "compared_cells": int(valid.sum()), "masked_cells": int((~valid).sum()),
        "changed_hectares": {"hectares": changed, "low": 0.8 * changed, "high": 1.3 * changed},
        "unknown_hectares": float((valid & ~told).sum() * hectares), "unknown_cells": int((valid & ~told).sum()),
        "unsure_hectares": 9 * hectares, "correlation": 0.21,
        "shift": {"x_metres": 2.5, "y_metres": -1.25, "cells": 0.0087},
        "sensitivity": [{"correlation": rho, "changed_hectares": changed * (1 - rho)} for rho in (0.0, 0.3, 0.5)],
        "decisions": ["shift by phase correlation: 2.8 m"],
    } | change  # fmt: skip
    (folder / "change.json").write_text(json.dumps(content))
    return content


def write_sample(path: Path, folder: Path, count: int = 20) -> list[tuple[int, int, int, str]]:
    """Write a GeoPackage of cells of a map, drawn at random; returns number, row, column and mapped class of each."""
    summary = json.loads((folder / "summary.json").read_text())
    found = MapFolder.read(folder)
    (names, shown), transform = strata(found), found.transform
    rows, columns = np.nonzero(shown != 255)
    drawn = np.random.default_rng(1).choice(len(rows), count, replace=False)
    rows, columns = rows[drawn], columns[drawn]
    mapped = np.array(names, dtype=object)[shown[rows, columns]]
    fields = {"cell": rows * shown.shape[1] + columns, "row": rows, "col": columns, "mapped": mapped}
    places = shapely.points(*(transform @ (columns + 0.5, rows + 0.5)))
    pyogrio.raw.write(path, shapely.to_wkb(places), list(fields.values()), list(fields), layer="sample", driver="GPKG",
                      geometry_type="Point", crs=summary["crs"])  # fmt: skip
    return list(zip(*(values.tolist() for values in fields.values()), strict=True))
