"""Small scenes as files, in the forms that scenes come in."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from exported import _spec
from rasterio.transform import from_origin

from landuse import sensors

RGB_MODEL = _spec(list(sensors.RGB), "uint8", 64)
PLACE = from_origin(500_000, 5_000_000, 10, 10)
PIXELS = np.random.default_rng(5).integers(200, 2700, (3, 96, 128)).astype(np.uint16)


def write_raster(path: Path, pixels: npt.NDArray[Any], names: tuple[str, ...] = (), **changes: Any) -> str:
    """A GeoTIFF (or what ``driver`` says) of (bands, height, width) pixels of 10 m; returns its path."""
    bands, height, width = pixels.shape
    form = {"driver": "GTiff", "crs": "EPSG:32632", "transform": PLACE, "dtype": pixels.dtype} | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", count=bands, height=height, width=width, **form) as file:
        file.write(pixels)
        if names:
            file.descriptions = names
    return str(path)
