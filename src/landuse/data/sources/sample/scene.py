"""A whole simulated scene as files: what `landuse map` and its tests need."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from landuse import sensors
from landuse.core.files import atomic
from landuse.data.sources.sample.landscape import CLASSES
from landuse.data.sources.sample.simulation import simulate
from landuse.palette import colours, rgb

_ZONE = 130  # pixels: mean width of a stretch of one land use


def write_scene(folder: Path, seed: int, size: int = 1024) -> None:
    """Write scene.tif (13 bands of uint16 digital numbers) and land_use.tif (uint8, index of the true class).

    Both are UTM GeoTIFFs with pixels of 10 m, tiled and deflated; the map names its classes and colours.
    """
    scene = simulate(seed, 0, sensors.BANDS, size, _ZONE, dict.fromkeys(CLASSES, 1))
    profile = {
        "driver": "GTiff",
        "width": size,
        "height": size,
        "crs": f"EPSG:{scene.epsg}",
        "transform": from_origin(scene.west, scene.north, 10, 10),
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
        "compress": "deflate",
    }
    with atomic(folder) as part:
        part.mkdir()
        with _raster(part / "scene.tif", **profile, count=len(sensors.BANDS), dtype="uint16") as file:
            file.write(np.moveaxis(scene.pixels, -1, 0))
            file.descriptions = sensors.BANDS
        with _raster(part / "land_use.tif", **profile, count=1, dtype="uint8") as file:
            file.write(scene.landscape.land_use, 1)
            file.write_colormap(
                1, {number: (*rgb(colour), 255) for number, colour in enumerate(colours(CLASSES).values())}
            )
            file.update_tags(1, **{str(number): name for number, name in enumerate(CLASSES)})


@contextmanager
def _raster(path: Path, **profile: Any) -> Iterator[rasterio.io.DatasetWriter]:
    """Open a raster to write, in memory until it is whole: GDAL hides what the disk says."""
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as file:
            yield file
        path.write_bytes(memory.getbuffer())
