"""stac.json: the map as an item of a SpatioTemporal Asset Catalog."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from rasterio.crs import CRS
from rasterio.transform import array_bounds
from rasterio.warp import transform_bounds, transform_geom

from landuse.core.files import write_json

# launch of Sentinel-2A, and a day that no mission lasts to: what is written today is the same tomorrow
_FIRST, _LAST = "2015-06-23", "2099-12-31"
_STAC = "1.0.0"  # that most catalogues take
_EXTENSIONS = [
    f"https://stac-extensions.github.io/{name}/schema.json"
    for name in ("projection/v1.1.0", "raster/v1.1.0", "classification/v1.1.0", "processing/v1.1.0")
]
_GEOTIFF = "image/tiff; application=geotiff; profile=cloud-optimized"


def write_item(folder: Path, name: str, summary: dict[str, Any], place: dict[str, Any]) -> None:
    """Write the item of the map that ``summary`` describes, under this name."""
    crs: CRS = place["crs"]
    rows, cols = summary["shape"]
    bounds = array_bounds(rows, cols, place["transform"])
    west, south, east, north = bounds
    ring = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    item = {
        "type": "Feature",
        "stac_version": _STAC,
        "stac_extensions": _EXTENSIONS,
        "id": name,
        "bbox": [round(value, 7) for value in transform_bounds(crs, "EPSG:4326", *bounds)],
        "geometry": transform_geom(crs, "EPSG:4326", {"type": "Polygon", "coordinates": [ring]}, precision=7),
        "properties": {
            **_times(summary["date"]),
            "title": f"Land use: {', '.join(summary['classes'])}",
            "proj:epsg": crs.to_epsg(),
            "proj:shape": [rows, cols],
            "proj:transform": summary["transform"],
            "processing:software": {"landuse": version("landuse")},
            "processing:lineage": f"model {summary['model']['identity']} ({summary['model']['backbone']}); "
            + "; ".join(summary["decisions"]),
        },
        "links": [],
        "assets": _assets(summary),
    }
    if crs.to_epsg() is None:
        item["properties"]["proj:wkt2"] = crs.to_wkt(version="WKT2_2019")
    write_json(folder / "stac.json", item)


def _times(date: str | None) -> dict[str, str | None]:
    """The day of acquisition; where it is not known, all days of Sentinel-2: STAC asks for a time."""
    if date is not None:
        return {"datetime": f"{date[:10]}T00:00:00Z"}
    return {"datetime": None, "start_datetime": f"{_FIRST}T00:00:00Z", "end_datetime": f"{_LAST}T23:59:59Z"}


def _assets(summary: dict[str, Any]) -> dict[str, Any]:
    classes = [
        {"value": number, "name": name, "description": name, "color_hint": summary["colours"][name].removeprefix("#")}
        for number, name in enumerate(summary["classes"])
    ]
    band = {"data_type": "uint8", "nodata": 255, "spatial_resolution": summary["cell_metres"]}
    assets = {
        "classes": ("classes.tif", _GEOTIFF, ["data"], {"raster:bands": [band | {"classification:classes": classes}]}),
        "scores": ("scores.tif", _GEOTIFF, ["data"], {}),
        "cells": ("cells.gpkg", "application/geopackage+sqlite3", ["data"], {}),
        "quicklook": ("quicklook.png", "image/png", ["overview"], {}),
        "map": ("map.png", "image/png", ["thumbnail"], {}),
        "summary": ("summary.json", "application/json", ["metadata"], {}),
    }
    if "dense" in summary:
        assets["dense"] = ("dense.tif", _GEOTIFF, ["data"], {})
    return {
        key: {"href": f"./{file}", "type": media, "roles": roles, **more}
        for key, (file, media, roles, more) in assets.items()
    }
