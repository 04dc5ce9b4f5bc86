"""Small scenes of two land uses, and maps of them."""

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from landuse import sensors
from landuse.inference.map import MapOptions, map_scene
from landuse.inference.scene import SceneOptions

FARM, CITY = 700, 2500  # digital numbers: far from the threshold of exported.py's model, 1500
HOLE = 0  # no data
Pixels = np.ndarray[Any, np.dtype[np.uint16]]


def scene(path: Path, land: Pixels) -> str:
    """Write (H, W) digital numbers, the same in three bands."""
    height, width = land.shape
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_400_000, 10, 10)}
    form = {"driver": "GTiff", "height": height, "width": width, "count": 3, "dtype": "uint16", "nodata": HOLE}
    with rasterio.open(path, "w", **form, **place) as file:
        file.write(np.repeat(land[None].astype(np.uint16), 3, axis=0))
        file.descriptions = sensors.RGB
    return str(path)


def texture(height: int, width: int) -> Pixels:
    rng = np.random.default_rng(0)
    coarse = rng.integers(600, 2400, (height // 16 + 1, width // 16 + 1))
    return np.kron(coarse, np.ones((16, 16)))[:height, :width].astype(np.uint16)


def mapped(path: str, out: Path, model: Path, **options: Any) -> Path:
    map_scene([path], out, model, MapOptions(**{"workers": 1} | options), SceneOptions(offset=0))
    return out


def made(tmp_path: Path, model: Path, land: Pixels, **options: Any) -> Path:
    return mapped(scene(tmp_path / "scene.tif", land), tmp_path / "map", model, **options)


def read(path: Path) -> np.ndarray[Any, Any]:
    with rasterio.open(path) as file:
        return file.read()
