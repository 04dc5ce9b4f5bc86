"""Whole simulated scenes: somewhere in Europe, as Sentinel-2 sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from landuse.core.arrays import Pixels
from landuse.data.sources.sample import growth, landscape, radiometry
from landuse.data.sources.sample.landscape import Places, Plan
from landuse.data.sources.sample.radiometry import Acquisition

_UTM = range(32629, 32637)  # EPSG codes of the zones from Portugal to the Black Sea
_CELL_KM = 25  # scenes lie in cells of their own, so that they never overlap
_MARGIN = 12  # pixels: more than blur, shift and slopes of paths reach
_CELLS = (len(_UTM), 16, 100)  # zones, columns, rows: eastings of 300 to 700 km, northings of 4,000 to 6,500 km


@dataclass(frozen=True)
class Simulation:
    """plan: of the land. date: what light adds. epsg, west, north: of the scene's corner, UTM metres."""

    plan: Plan
    date: Acquisition
    epsg: int
    west: int
    north: int


def draw(
    seed: int, index: int, size: int, zone_size: float, weights: Mapping[str, float], evenly: bool = False
) -> Simulation:
    """Draw one scene of a series.

    seed: of the series. size: pixels a side. zone_size: mean width of a stretch of one land use, pixels. weights: how
    common each land use is; for Highway and River: how many there are on average. evenly: land uses of zones come as
    often as the weights say, not only on average.
    """
    rng = np.random.default_rng([seed, index])
    epsg, west, north, dry = _place(seed, index)
    dry = _season(rng, dry)
    plan = landscape.draw(rng, size, zone_size, dry, weights, evenly)
    return Simulation(plan, radiometry.acquire(rng, plan.zone_class, dry, len(plan.bend)), epsg, west, north)


def later(seed: int, index: int, first: Simulation, share: float) -> Simulation:
    """Draw another date of a scene: a share of its farmland became city; sun, season, haze and noise are others.

    Raises:
        UserError: there is no farmland.
    """
    rng = np.random.default_rng([seed, index, 1])
    plan = growth.grow(rng, first.plan, share)
    third = len(plan.hills) // 3
    hills = np.float32(0.8) * plan.hills + np.float32(0.6) * np.roll(plan.hills, third, 1)  # lit from elsewhere
    dry = _season(rng, _place(seed, index)[3])
    date = radiometry.acquire_again(rng, first.date, plan.zone_class, dry)
    return replace(first, plan=replace(plan, hills=hills), date=date)


def look(
    dates: Sequence[Simulation], bands: Sequence[str], rows: Places, columns: Places
) -> list[tuple[Pixels, npt.NDArray[np.uint16]]]:
    """Look at a part of a scene on each of its dates, the first first.

    Noise is drawn on: parts must be looked at in one order.

    Returns:
        Of each date land use (height, width), and digital numbers (height, width, bands).
    """
    size = dates[0].plan.size
    (wide_rows, inner_rows), (wide_columns, inner_columns) = _widened(rows, size), _widened(columns, size)
    place, inner = (wide_rows, wide_columns), (inner_rows, inner_columns)
    painted = landscape.paint(dates[0].plan, *place)
    lands = [painted, *(landscape.build(date.plan, painted, *place) for date in dates[1:])]
    return [
        (land.land_use[inner], radiometry.render(date.date, land, bands, *place, inner))
        for date, land in zip(dates, lands, strict=True)
    ]


def _season(rng: Generator, dry: float) -> float:
    return float(np.clip(dry + rng.normal(0, 0.45), -1.6, 1.6))


def _widened(places: Places, size: int) -> tuple[Places, slice]:
    """With a margin, as far as the scene reaches; and where the places are in it."""
    first = max(0, int(places[0]) - _MARGIN)
    wide = np.arange(first, min(size, int(places[-1]) + 1 + _MARGIN))
    return wide, slice(int(places[0]) - first, int(places[-1]) + 1 - first)


def _place(seed: int, index: int) -> tuple[int, int, int, float]:
    """EPSG code, west and north in metres, and climate from -1 (northern) to 1 (southern) of a scene."""
    count = int(np.prod(_CELLS))
    cell = (seed * 4801 + index * 7919) % count  # 7919 is prime: every cell comes once before any comes again
    zone, column, row = (int(k) for k in np.unravel_index(cell, _CELLS))
    north = 4_000_000 + 1000 * _CELL_KM * (row + 1)
    return _UTM[zone], 300_000 + 1000 * _CELL_KM * column, north, 1 - 2 * row / (_CELLS[2] - 1)
