"""What others than Sentinel-2 know of a simulated scene: its relief (30 m) and the greenness of a year (250 m).

Both are drawn from a stream of their own: with or without them the scene looks the same. They tell of land use what a
picture does not: crops and pasture can be equally green on one day and are not over a year; vines and woods climb
slopes where fields and industry do not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio import Affine
from rasterio.io import MemoryFile
from scipy.ndimage import distance_transform_edt, gaussian_filter
from tqdm import tqdm

from landuse.core.arrays import Flags, Floats
from landuse.data.sources.sample import fields, landscape
from landuse.data.sources.sample.fields import Field
from landuse.data.sources.sample.landscape import CLASSES, Places, Plan
from landuse.data.sources.sample.rasters import created
from landuse.data.sources.sample.simulation import Simulation

_PIXEL = 10.0  # metres
_RELIEF, _GREEN = 3, 25  # pixels that a cell is wide
# by class: mean slope of the land in degrees (a valley's own comes on top), and mean NDVI of a year, as of MOD13Q1
_LAND = {
    "AnnualCrop": (1.5, 0.42),
    "Forest": (10.0, 0.74),
    "HerbaceousVegetation": (8.0, 0.49),
    "Highway": (1.5, 0.38),
    "Industrial": (0.7, 0.24),
    "Pasture": (5.0, 0.67),
    "PermanentCrop": (6.5, 0.54),
    "Residential": (2.0, 0.40),
    "River": (0.5, 0.12),
    "SeaLake": (0.1, -0.06),
}
_HIGHWAY, _RIVER, _SEA = (CLASSES.index(name) for name in ("Highway", "River", "SeaLake"))
_UNEQUAL = 0.4  # of zones of one class: deviation of the logarithm of their slope
_GREENER = 0.04  # of zones of one class: deviation of their NDVI
_REGIONAL = np.float32(0.012)  # gradient that the whole scene has
_SMOOTH, _SHORE = 6.0, 2.5  # cells of 30 m: how relief passes from zone to zone, and to a lake
_VALLEY, _DEPTH, _LEVELLED = 10.0, 18.0, 5.0  # cells of 30 m, metres, cells
_REACH = 30  # cells of 30 m: more than all of these reach
_NOISE = 0.7, 0.02  # metres, as of Copernicus' model; NDVI


@dataclass(frozen=True)
class Surroundings:
    """base: metres above the sea. broad, hills: periodic fields of gradient 1, metres. noise: a periodic field.

    steep: (zones,) gradient. lake: (zones,) metres, the level of their water. green: (zones,) NDVI of a year.
    """

    plan: Plan
    base: float
    broad: Field
    hills: Field
    noise: Field
    steep: Field
    lake: Field
    green: Field

    def elevation(self, rows: Places, columns: Places) -> Field:
        """Metres in the middles of cells of 30 m; rows and columns are neighbours and may lie beyond the scene."""
        wide = [_RELIEF * np.arange(places[0] - _REACH, places[-1] + 1 + _REACH) + 1 for places in (rows, columns)]
        land = landscape.paint(self.plan, *wide)
        sea = (land.land_use == _SEA).astype(np.float32)
        beside, road = _near(land.land_use == _RIVER, _VALLEY), _near(land.land_use == _HIGHWAY, _LEVELLED)
        steep = gaussian_filter(self.steep[land.zone], _SMOOTH, truncate=4) * (1 - beside) * (1 - road)
        dry: Field = (
            fields.at(self.broad, *wide) + steep * fields.at(self.hills, *wide) - np.float32(_DEPTH) * beside
            + np.float32(_NOISE[0]) * fields.at(self.noise, *wide)
        )  # fmt: skip
        near = gaussian_filter(sea, _SHORE, truncate=4)
        level = gaussian_filter(sea * self.lake[land.zone], _SHORE, truncate=4) / np.maximum(near, 1e-6)
        wet = np.minimum(2 * near, 1)
        inner = slice(_REACH, -_REACH)
        found: Field = (self.base + dry + wet * (level - dry))[inner, inner].astype(np.float32)
        return found

    def greenness(self, rows: Places, columns: Places) -> Field:
        """Mean NDVI of cells of 250 m; rows and columns are neighbours and may lie beyond the scene."""
        pixels = [np.arange(_GREEN * places[0], _GREEN * (places[-1] + 1)) for places in (rows, columns)]
        land = landscape.paint(self.plan, *pixels)
        of_class = np.array([_LAND[name][1] for name in CLASSES], np.float32)
        green = of_class[land.land_use] + self.green[land.zone]
        cells = green.reshape(len(rows), _GREEN, len(columns), _GREEN).mean(axis=(1, 3))
        found: Field = cells + np.float32(_NOISE[1]) * fields.at(self.noise, rows, columns)
        return found


@dataclass(frozen=True)
class Kind:
    """A raster. pixels: of the scene that a cell is wide. margin: cells around the scene. value = stored x scale."""

    pixels: int
    margin: int
    look: Callable[[Surroundings, Places, Places], Field]
    dtype: str
    scale: float
    nodata: float
    name: str


KINDS = {
    "dem": Kind(_RELIEF, 10, Surroundings.elevation, "float32", 1.0, -9999, "elevation, m"),
    "ndvi": Kind(_GREEN, 1, Surroundings.greenness, "int16", 1e-4, -3000, "mean NDVI of a year"),
}


def draw(seed: int, index: int, scene: Simulation) -> Surroundings:
    """Draw those of a scene of a series; they change nothing of the scene."""
    rng, plan = np.random.default_rng([seed, index, 2]), scene.plan
    size = len(plan.hills)
    base = float(np.exp(rng.normal(5.0, 0.8)))
    broad = _REGIONAL * _of_gradient_one(fields.von_karman(rng, size, 400, 3.0))
    hills = _of_gradient_one(fields.von_karman(rng, size, 60, 3.2))
    noise = rng.standard_normal((256, 256), dtype=np.float32)
    slope, _ = np.array([_LAND[name] for name in CLASSES]).T
    zones = plan.zone_class
    steep = np.tan(np.radians(slope))[zones] * np.exp(_UNEQUAL * rng.standard_normal(len(zones)))
    points = plan.points.astype(int)
    lake = np.zeros(len(zones), np.float32)
    lake[: len(points)] = broad[points[:, 0] % size, points[:, 1] % size] - 3
    green = _GREENER * rng.standard_normal(len(zones)) - 0.05 * plan.dry
    return Surroundings(plan, base, broad, hills, noise, steep.astype(np.float32), lake, green.astype(np.float32))


def in_memory(kind: Kind, found: Surroundings, scene: Simulation) -> MemoryFile:
    """A GeoTIFF of a whole scene; its ``name`` is a path for as long as it is kept."""
    first, side, profile = _form(kind, scene)
    file = MemoryFile()
    with file.open(driver="GTiff", **profile) as raster:
        _describe(raster, kind)
        cells = np.arange(first, first + side)
        raster.write(_stored(kind, kind.look(found, cells, cells)), 1)
    return file


def write(path: Path, kind: Kind, found: Surroundings, scene: Simulation) -> None:
    """Write a GeoTIFF of a scene, part by part."""
    first, side, profile = _form(kind, scene)
    with created(path, **profile) as raster:
        _describe(raster.file, kind)
        blocks = list(_blocks(side, max(16, 768 // kind.pixels // 16 * 16)))
        for rows, columns in tqdm(blocks, desc=path.name, unit="block", delay=2, disable=None, leave=False):
            values = kind.look(found, rows + first, columns + first)
            raster.write(_stored(kind, values)[None], rows, columns)


def _blocks(side: int, block: int) -> Iterator[tuple[Places, Places]]:
    parts = [np.arange(start, min(start + block, side)) for start in range(0, side, block)]
    return ((rows, columns) for rows in parts for columns in parts)


def _form(kind: Kind, scene: Simulation) -> tuple[int, int, dict[str, Any]]:
    """Number of the first cell, cells a side, and the raster's profile."""
    side = -(-scene.plan.size // kind.pixels) + 2 * kind.margin
    metres = _PIXEL * kind.pixels
    corner = Affine(metres, 0, scene.west - kind.margin * metres, 0, -metres, scene.north + kind.margin * metres)
    profile = {"width": side, "height": side, "count": 1, "dtype": kind.dtype, "nodata": kind.nodata}
    return -kind.margin, side, profile | {"crs": f"EPSG:{scene.epsg}", "transform": corner}


def _describe(raster: Any, kind: Kind) -> None:
    raster.descriptions, raster.scales = (kind.name,), (kind.scale,)


def _stored(kind: Kind, values: Field) -> npt.NDArray[Any]:
    return values if kind.scale == 1 else np.rint(values / kind.scale).astype(kind.dtype)


def _near(there: Flags, width: float) -> Field:
    """1 where it is, less with the distance to it; width in cells."""
    far = distance_transform_edt(~there) if there.any() else np.full(there.shape, _REACH)
    near: Field = np.exp(-((np.minimum(far, _REACH) / width) ** 2)).astype(np.float32)
    return near


def _of_gradient_one(field: Field) -> Field:
    """Metres, so that the gradient has a deviation of 1."""
    steps: Floats = np.hypot(np.roll(field, 1, 0) - field, np.roll(field, 1, 1) - field)
    metres: Field = (field * (_PIXEL / np.sqrt((steps**2).mean()))).astype(np.float32)
    return metres
