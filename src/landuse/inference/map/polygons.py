"""cells.gpkg: neighbouring cells of one class as one polygon."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from rasterio.features import rasterize, shapes

from landuse.inference.map.cells import SHARE, Cells

_EPOCH = "1970-01-01T00:00:00.000Z"  # a GeoPackage notes when it was written: the same content, the same bytes


def write_polygons(path: Path, cells: Cells, place: dict[str, Any], classes: list[str], cell_hectares: float) -> None:
    """Write the layer ``classes``: class, hectares and the mean probability of that class.

    Cells that touch at a corner are neighbours no more than on a chessboard: a polygon is valid, and has one class.
    """
    found = list(shapes(cells.classes, mask=cells.valid, transform=place["transform"]))
    geometry = np.array([shapely.geometry.shape(outline) for outline, _ in found])
    number = np.array([value for _, value in found], dtype=np.int64)
    inside = rasterize(
        zip(geometry, range(1, len(found) + 1), strict=True), cells.classes.shape, transform=place["transform"],
        dtype="int32",
    )[cells.valid]  # fmt: skip
    likeliest = cells.scores[: len(classes)].max(axis=0)[cells.valid]
    area = np.bincount(inside, minlength=len(found) + 1)[1:]
    mean = np.bincount(inside, likeliest, minlength=len(found) + 1)[1:] / area / SHARE
    content = io.BytesIO()
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _EPOCH})
    try:
        pyogrio.raw.write(
            content,
            shapely.to_wkb(geometry),
            [np.array(classes, dtype=object)[number], area * cell_hectares, mean.round(4)],
            ["class", "hectares", "probability"],
            layer="classes",
            driver="GPKG",
            geometry_type="Polygon",
            crs=place["crs"].to_wkt(),
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    path.write_bytes(content.getbuffer())
