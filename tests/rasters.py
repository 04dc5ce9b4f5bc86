"""Made-up GeoTIFFs of tiles: values, descriptions and place are the test's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rasterio import Affine
from rasterio.io import MemoryFile


def geotiff(
    pixels: np.ndarray[Any, Any], names: Sequence[str] = (), epsg: int | None = 32633, metres: float = 10.0
) -> bytes:
    """A GeoTIFF of (bands, H, W) pixels, its upper left corner at 500000, 5000000."""
    bands, height, width = pixels.shape
    form = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": pixels.dtype}
    place = Affine(metres, 0, 500_000, 0, -metres, 5_000_000)
    with MemoryFile() as file:
        with file.open(crs=epsg and f"EPSG:{epsg}", transform=place, **form) as image:
            image.write(pixels)
            if names:
                image.descriptions = tuple(names)
        return bytes(file.read())
