"""The land of a whole scene: zones of land use, rivers and highways through them, what covers them.

A ``Plan`` holds what is drawn, for a scene of any size; ``paint`` and ``build`` show a part of it. A
pixel is the same in every part.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from landuse.core.arrays import Floats32, Pixels
from landuse.data.sources.sample import courses, fields, zones
from landuse.data.sources.sample.courses import Highway, River
from landuse.data.sources.sample.covers import PAINTERS, Cover, Site
from landuse.data.sources.sample.fields import Field, Numbers, Zones

CLASSES = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop", "Residential",
    "River", "SeaLake",
)  # fmt: skip
FARMLAND = tuple(CLASSES.index(c) for c in ("AnnualCrop", "Pasture", "PermanentCrop"))  # as in params.yaml's mapping
CITY = tuple(CLASSES.index(c) for c in ("Industrial", "Residential"))  # what farmland becomes
LOT = 8  # pixels: a city grows by squares of so many
_HIGHWAY, _RIVER, _SEA = (CLASSES.index(c) for c in ("Highway", "River", "SeaLake"))
_UNEVEN = 3  # pixels: how far a lot's edges stray
_PERIOD = 4096  # pixels: random fields of larger scenes repeat themselves, zones and courses do not
Places = npt.NDArray[np.integer]  # rows or columns of a scene


@dataclass(frozen=True)
class Plan:
    """What makes the land.

    size: pixels a side. dry: climate, -1 to 1. bend, warp, patchy, winding, hills: periodic random fields. points:
    (z, 2) of the zones that have one; rivers have zones of their own, after these. zone_class: (zones,) land use.
    angle: (z,) direction of the zones' rows, radians. style: (6, z) random shares. steep: (zones,). grown: (lots, lots)
    1 + number of the zone that a lot's farmland became, 0: it stays.
    """

    size: int
    dry: float
    bend: Field
    warp: Field
    points: Floats32
    zone_class: Pixels
    patchy: Field
    winding: Field
    angle: npt.NDArray[np.float64]
    style: Field
    rivers: tuple[River, ...]
    highways: tuple[Highway, ...]
    steep: Field
    hills: Field
    grown: Zones


@dataclass(frozen=True)
class Landscape:
    """A part of a scene before light falls on it; every map is (rows, columns).

    land_use: index into CLASSES. cover: a Cover. zone: number of the stretch of one land use it lies in.
    parcel: hashed number of the field or house. streak: place across the rows of a field. shade: slope
    towards the sun, 0 in the plains.
    """

    land_use: Pixels
    cover: Pixels
    zone: Zones
    parcel: Numbers
    streak: Field
    shade: Field


def draw(rng: Generator, size: int, zone_size: float, dry: float, weights: Mapping[str, float], evenly: bool) -> Plan:
    """Draw the land of (size, size) pixels.

    zone_size: mean width of a zone, pixels. dry: climate: from -1, green, to 1, dry. weights: how common each land use
    is; for Highway and River: the mean number of them. evenly: land uses of zones come as often as the weights say, not
    only on average.
    """
    period = min(size + size % 2, _PERIOD)
    bend, warp = fields.smooth(rng, period, 35), fields.smooth(rng, period, 7)
    of_zones = {CLASSES.index(name): weight for name, weight in weights.items() if name in PAINTERS}
    points, zone_class = zones.draw(rng, size, zone_size, of_zones, evenly)
    patchy, winding = fields.von_karman(rng, period, 30, 1.6), fields.smooth(rng, period, 16)
    angle = rng.uniform(0, np.pi, len(points))
    style = rng.random((6, len(points)), dtype=np.float32)
    rivers = tuple(courses.draw_river(rng, size) for _ in range(rng.poisson(weights["River"])))
    highways = tuple(courses.draw_highway(rng, size) for _ in range(rng.poisson(weights["Highway"])))
    zone_class = np.append(zone_class, np.full(len(rivers), _RIVER, np.uint8))
    rugged = np.select([zone_class == CLASSES.index(n) for n in ("Forest", "HerbaceousVegetation")], [0.5, 1.2])
    steep = (rugged * rng.gamma(0.8, 1.0, len(zone_class))).astype(np.float32)
    return Plan(
        size, dry, bend, warp, points, zone_class, patchy, winding, angle, style, rivers, highways,
        steep=np.minimum(steep, 2.5), hills=fields.hillshade(rng, period, 40), grown=np.zeros((1, 1), np.uint32),
    )  # fmt: skip


def paint(plan: Plan, rows: Places, columns: Places) -> Landscape:
    """Show the land at rows x columns, before cities have grown."""
    y, x = (axis.astype(np.float32) for axis in np.meshgrid(rows, columns, indexing="ij"))
    bend, warp = _both_ways(plan.bend, rows, columns), _both_ways(plan.warp, rows, columns)
    u, v = x + 8 * bend[0] + 1.5 * warp[0], y + 8 * bend[1] + 1.5 * warp[1]
    zone, beyond, edge = zones.nearest(plan.points, u, v)
    land_use = plan.zone_class[zone]
    spots = _spots(plan, rows, columns)
    patchy = spots[2]
    cover, parcel, streak = _cover(plan, spots, land_use, zone)

    land = land_use != _SEA
    shore = (edge < 1.1 + patchy) & (plan.zone_class[beyond] == _SEA) & land
    cover[shore] = np.where(patchy[shore] > 0.4, Cover.TREES, Cover.TRACK)
    for number, river in enumerate(plan.rivers, len(plan.points)):
        water = courses.paint_river(river, spots[0], spots[1], patchy, land, cover)
        land_use.reshape(-1)[water], zone.reshape(-1)[water] = _RIVER, number
    for highway in plan.highways:
        corridor = courses.paint_highway(highway, x, y, land, land_use == _RIVER, cover)
        land_use.reshape(-1)[corridor] = _HIGHWAY
    shade = fields.at(plan.hills, rows, columns) * plan.steep[zone]
    return Landscape(land_use, cover, zone, parcel, streak, shade)


def build(plan: Plan, land: Landscape, rows: Places, columns: Places) -> Landscape:
    """Show painted land after cities have grown into its farmland, in the light of the plan's hills."""
    y, x = np.meshgrid(rows, columns, indexing="ij")
    right, down = (
        np.clip((place + _UNEVEN * stray) // LOT, 0, len(plan.grown) - 1).astype(int)
        for place, stray in zip((x, y), _both_ways(plan.warp, rows, columns), strict=True)
    )
    grown = plan.grown[down, right]
    new = (grown > 0) & np.isin(land.land_use, FARMLAND)
    zone, land_use, cover = land.zone.copy(), land.land_use.copy(), land.cover.copy()
    parcel, streak = land.parcel.copy(), land.streak.copy()
    zone[new] = grown[new] - 1
    land_use[new] = plan.zone_class[zone[new]]
    cover[new], parcel[new], streak[new] = _cover(plan, _spots(plan, rows, columns)[:, new], land_use[new], zone[new])
    shade = fields.at(plan.hills, rows, columns) * plan.steep[zone]
    return Landscape(land_use, cover, zone, parcel, streak, shade)


def _both_ways(field: Field, rows: Places, columns: Places) -> tuple[Field, Field]:
    """The same field here and elsewhere, which is independent enough: how far pixels stray in x and in y."""
    return fields.at(field, rows, columns), fields.at(field, rows, columns - len(field) // 2)


def _spots(plan: Plan, rows: Places, columns: Places) -> Field:
    """(4, rows, columns): bent x and y, the patchy field, and the distance to the nearest winding path."""
    y, x = (axis.astype(np.float32) for axis in np.meshgrid(rows, columns, indexing="ij"))
    bend, bend_y = _both_ways(plan.bend, rows, columns)
    winding = fields.at(plan.winding, rows, columns)
    path = np.abs(winding) / (np.hypot(*np.gradient(winding)) + np.float32(1e-3))  # of its zero lines
    return np.stack([x + 5 * bend, y + 5 * bend_y, fields.at(plan.patchy, rows, columns), path])


def _cover(plan: Plan, spots: Field, land_use: Pixels, zone: Zones) -> tuple[Pixels, Numbers, Field]:
    """Cover, parcel and streak of pixels: spots (4, ...), the others of one shape, whichever."""
    cosine: Field = np.cos(plan.angle).astype(np.float32)
    sine: Field = np.sin(plan.angle).astype(np.float32)
    cover, parcel = np.empty(land_use.size, np.uint8), np.empty(land_use.size, np.uint16)
    streak = np.empty(land_use.size, np.float32)
    spots = spots.reshape(len(spots), -1)
    for name, paint in PAINTERS.items():
        pixels = np.flatnonzero(land_use == CLASSES.index(name))
        if not len(pixels):
            continue
        at, (x, y, patchy, path) = zone.ravel()[pixels], spots[:, pixels]
        u: Field = cosine[at] * x + sine[at] * y
        v: Field = cosine[at] * y - sine[at] * x
        ground = paint(Site(u, v, at, plan.style[:, at], patchy, path, plan.dry))
        cover[pixels], parcel[pixels], streak[pixels] = ground.cover, ground.parcel, ground.streak
    return cover.reshape(land_use.shape), parcel.reshape(land_use.shape), streak.reshape(land_use.shape)
