"""Neighbouring cells of one class as one polygon, in a GeoPackage."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from rasterio.features import rasterize, shapes

from landuse.inference.map.cells import SHARE, Bytes, Flags

_EPOCH = "1970-01-01T00:00:00.000Z"  # a GeoPackage notes when it was written: the same content, the same bytes


def write_polygons(
    path: Path,
    layers: tuple[str, str],
    classes: Bytes,
    shown: Flags,
    scores: npt.NDArray[Any],
    place: dict[str, Any],
    names: list[str],
) -> None:
    """Write a layer: class, hectares and the mean of a score.

    Cells that touch at a corner are neighbours no more than on a chessboard: a polygon is valid, and has one class.

    Args:
        path: of the GeoPackage.
        layers: name of the layer, and of its column with the class.
        classes: (rows, cols) index into names.
        shown: (rows, cols) cells that become polygons.
        scores: (rows, cols) of which each polygon gets the mean, by SHARE.
        place: crs and transform of the cells.
        names: of the classes.
    """
    transform = place["transform"]
    found = list(shapes(classes, mask=shown, transform=transform))
    geometry = np.array([shapely.geometry.shape(outline) for outline, _ in found], dtype=object)
    number = np.array([value for _, value in found], dtype=np.int64)
    area, mean = np.zeros(0, dtype=np.int64), np.zeros(0)
    if found:
        outlines = zip(geometry, range(1, len(found) + 1), strict=True)
        inside = rasterize(outlines, classes.shape, transform=transform, dtype="int32")[shown]
        area = np.bincount(inside, minlength=len(found) + 1)[1:]
        mean = np.bincount(inside, scores[shown], minlength=len(found) + 1)[1:] / area / SHARE
    layer, column = layers
    content = io.BytesIO()
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _EPOCH})
    try:
        pyogrio.raw.write(
            content,
            shapely.to_wkb(geometry),
            [np.array(names, dtype=object)[number], area * transform.a**2 / 10_000, mean.round(4)],
            [column, "hectares", "probability"],
            layer=layer,
            driver="GPKG",
            geometry_type="Polygon",
            crs=place["crs"].to_wkt(),
        )
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    path.write_bytes(content.getbuffer())
