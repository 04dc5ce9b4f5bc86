"""What the page's script reads of a map or a change: cells, where they lie, and pictures below them."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from landuse.inference.change_folder import ChangeFolder
from landuse.inference.folder import MapFolder
from landuse.inference.view import mercator
from landuse.inference.view.uri import base64_of, data_uri


def grid(
    found: MapFolder | ChangeFolder,
    bands: Mapping[str, tuple[npt.NDArray[np.uint8], float]],
    pictures: Sequence[Image.Image],
) -> dict[str, Any]:
    """Pack a folder. bands: (rows, columns) and scale of each, by its name. pictures: RGBA, of the cells' extent."""
    summary = found.summary
    shape = next(iter(bands.values()))[0].shape
    placed = mercator.place(found.transform, found.crs, shape)
    below = [mercator.picture(image, found.transform, found.crs, shape, placed) for image in pictures]
    return {
        "name": found.name,
        "classes": summary["classes"],
        "colours": [summary["colours"][name] for name in summary["classes"]],
        "shape": shape,
        "whole": summary["shape"],
        "transform": found.transform[:6],
        "crs": found.crs.to_string() if found.crs.to_epsg() else "",
        "box": placed.box,
        "toGrid": base64_of(placed.to_grid.astype("<f4").tobytes()),
        "toBox": base64_of(placed.to_box.astype("<f4").tobytes()),
        "bands": [*bands],
        "scales": [scale for _, scale in bands.values()],
        "values": base64_of(zlib.compress(np.stack([plane for plane, _ in bands.values()]).tobytes())),
        "pictures": [data_uri(image) for image in below],
    }


def facts(found: MapFolder | ChangeFolder) -> list[str]:
    """What a page says of the grid and of the model."""
    summary = found.summary
    rows, columns = summary["shape"]
    return [
        f"{rows:,} × {columns:,} cells of {summary['cell_metres']:g} m",
        found.crs.to_string() if found.crs.to_epsg() else "projection of its own",
        f"{summary['model']['backbone']}, model {summary['model']['identity'][:8]}",
    ]
