"""GeoPackages, the same bytes for the same content."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio
import shapely
from rasterio.crs import CRS

from landuse.core.files import atomic

_EPOCH = "1970-01-01T00:00:00.000Z"  # a GeoPackage notes when it was written


def write_polygons(path: Path, layer: str, polygons: npt.NDArray[Any], fields: dict[str, Any], crs: CRS) -> None:
    """Write a layer of (n,) polygons. fields: (n,) of each column.

    It is written in memory first: GDAL hides what the disk says.
    """
    content = io.BytesIO()
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _EPOCH})
    try:
        pyogrio.raw.write(
            content, shapely.to_wkb(polygons), [np.asarray(values) for values in fields.values()], list(fields),
            layer=layer, driver="GPKG", geometry_type="Polygon", crs=crs.to_wkt(),
        )  # fmt: skip
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    with atomic(path) as part:
        part.write_bytes(content.getbuffer())
