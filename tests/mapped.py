"""A folder as `landuse map` writes it, without a model or a scene."""

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
