"""Whole simulated scenes: somewhere in Europe, as Sentinel-2 sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from landuse.data.sources.sample import landscape, radiometry
from landuse.data.sources.sample.landscape import Landscape

_UTM = range(32629, 32637)  # EPSG codes of the zones from Portugal to the Black Sea
_CELL_KM = 25  # scenes lie in cells of their own, so that they never overlap
_CELLS = (len(_UTM), 16, 100)  # zones, columns, rows: eastings of 300 to 700 km, northings of 4,000 to 6,500 km


@dataclass(frozen=True)
class Scene:
    """landscape: what is there. pixels: (size, size, bands) digital numbers. west, north: of its corner, UTM metres."""

    landscape: Landscape
    pixels: npt.NDArray[np.uint16]
    epsg: int
    west: int
    north: int


def simulate(
    seed: int, index: int, bands: Sequence[str], size: int, zone_size: float, wanting: Mapping[str, int]
) -> Scene:
    """Simulate one scene of a series.

    seed: of the series. bands: of Sentinel-2's. size: pixels a side. zone_size: mean width of a stretch of one land
    use, pixels. wanting: how much of each land use, by class, relative to the others.
    """
    rng = np.random.default_rng([seed, index])
    epsg, west, north, dry = _place(seed, index)
    dry = float(np.clip(dry + rng.normal(0, 0.45), -1.6, 1.6))
    total = max(1, sum(wanting.values()))
    weights = {name: max(count / total, 0.02) for name, count in wanting.items()}  # a little of each stays in the scene
    weights |= {name: min(3.0, 12 * wanting[name] / total) for name in ("Highway", "River")}  # how many on average
    land = landscape.draw(rng, size, zone_size, dry, weights)
    return Scene(land, radiometry.render(rng, land, bands), epsg, west, north)


def _place(seed: int, index: int) -> tuple[int, int, int, float]:
    """EPSG code, west and north in metres, and climate from -1 (northern) to 1 (southern) of a scene."""
    count = int(np.prod(_CELLS))
    cell = (seed * 4801 + index * 7919) % count  # 7919 is prime: every cell comes once before any comes again
    zone, column, row = (int(k) for k in np.unravel_index(cell, _CELLS))
    north = 4_000_000 + 1000 * _CELL_KM * (row + 1)
    return _UTM[zone], 300_000 + 1000 * _CELL_KM * column, north, 1 - 2 * row / (_CELLS[2] - 1)
