"""The land-use map of a whole scene: zones of land use, rivers and highways through them, what covers them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from landuse.core.arrays import Pixels
from landuse.data.sources.sample import fields
from landuse.data.sources.sample.covers import PAINTERS, Cover, Mask, Site
from landuse.data.sources.sample.fields import Field, Numbers

CLASSES = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop", "Residential",
    "River", "SeaLake",
)  # fmt: skip
_HIGHWAY, _RIVER, _SEA = (CLASSES.index(c) for c in ("Highway", "River", "SeaLake"))


@dataclass(frozen=True)
class Landscape:
    """A scene before light falls on it; every map is (size, size).

    land_use: index into CLASSES. cover: a Cover. zone: number of the stretch of one land use it lies in.
    parcel: hashed number of the field or house. streak: place across the rows of a field. shade: slope
    towards the sun, 0 in the plains. zone_class: (zones,) land use of each zone. dry: climate, -1 to 1.
    """

    land_use: Pixels
    cover: Pixels
    zone: Pixels
    parcel: Numbers
    streak: Field
    shade: Field
    zone_class: Pixels
    dry: float


def draw(rng: Generator, size: int, zone_size: float, dry: float, weights: Mapping[str, float]) -> Landscape:
    """Draw a landscape of (size, size) pixels.

    zone_size: mean width of a zone, pixels. dry: climate: from -1, green, to 1, dry. weights: how common each land use
    is; for Highway and River: the mean number of them.
    """
    bend, warp = fields.smooth(rng, size, 35), fields.smooth(rng, size, 7)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    u, v = x + 8 * bend + 1.5 * warp, y + 8 * np.roll(bend, size // 2, 1) + 1.5 * np.roll(warp, size // 2, 1)
    zone, zone_class, edge, beyond = _zones(rng, u, v, zone_size, weights)
    x, y = x + 5 * bend, y + 5 * np.roll(bend, size // 2, 1)
    land_use = zone_class[zone]
    patchy, winding = fields.von_karman(rng, size, 30, 1.6), fields.smooth(rng, size, 16)
    path = np.abs(winding) / (np.hypot(*np.gradient(winding)) + np.float32(1e-3))  # of its zero lines
    cover, parcel, streak = _cover(rng, x, y, land_use, zone, patchy, path, dry)

    shore = (edge < 1.1 + patchy) & (zone_class[beyond] == _SEA) & (land_use != _SEA)
    cover[shore] = np.where(patchy[shore] > 0.4, Cover.TREES, Cover.TRACK)
    for _ in range(rng.poisson(weights["River"])):
        zone, zone_class = _river(rng, x, y, land_use, cover, zone, zone_class, patchy)
    for _ in range(rng.poisson(weights["Highway"])):
        _highway(rng, size, land_use, cover)
    rugged = np.select([zone_class == CLASSES.index(n) for n in ("Forest", "HerbaceousVegetation")], [0.5, 1.2])
    steep = (rugged * rng.gamma(0.8, 1.0, len(zone_class))).astype(np.float32)
    shade = fields.hillshade(rng, size, 40) * np.minimum(steep, 2.5)[zone]
    return Landscape(land_use, cover, zone, parcel, streak, shade, zone_class, dry)


def _zones(
    rng: Generator, x: Field, y: Field, zone_size: float, weights: Mapping[str, float]
) -> tuple[Pixels, Pixels, Field, Pixels]:
    """Cut the scene into warped Voronoi cells around jittered points, each of one land use.

    Returns:
        zone: of every pixel. zone_class: (zones,). edge: distance to the zone's edge in pixels. beyond: the zone there.
    """
    count = int(np.ceil(len(x) / zone_size))
    grid = (np.mgrid[:count, :count].reshape(2, -1) + 0.5 + rng.uniform(-0.38, 0.38, (2, count**2))) * len(x) / count
    names = list(PAINTERS)
    shares = np.array([weights[name] for name in names])
    drawn = rng.choice([CLASSES.index(name) for name in names], count**2, p=shares / shares.sum())
    nearest = np.full((2, *x.shape), np.inf, np.float32)
    zone = np.zeros((2, *x.shape), np.uint16)
    for k, (py, px) in enumerate(grid.T.astype(np.float32)):
        distance = np.hypot(x - px, y - py)
        first, second = distance < nearest[0], distance < nearest[1]
        nearest[1] = np.where(first, nearest[0], np.where(second, distance, nearest[1]))
        zone[1] = np.where(first, zone[0], np.where(second, k, zone[1]))
        nearest[0] = np.where(first, distance, nearest[0])
        zone[0] = np.where(first, k, zone[0])
    return zone[0], drawn.astype(np.uint8), (nearest[1] - nearest[0]) / 2, zone[1]


def _cover(
    rng: Generator, x: Field, y: Field, land_use: Pixels, zone: Pixels, patchy: Field, path: Field, dry: float
) -> tuple[Pixels, Numbers, Field]:
    zones = int(zone.max()) + 1
    angle = rng.uniform(0, np.pi, zones)
    cosine: Field = np.cos(angle).astype(np.float32)
    sine: Field = np.sin(angle).astype(np.float32)
    style = rng.random((6, zones), dtype=np.float32)
    cover, parcel = np.empty(land_use.size, np.uint8), np.empty(land_use.size, np.uint16)
    streak = np.empty(land_use.size, np.float32)
    for name, paint in PAINTERS.items():
        pixels = np.flatnonzero(land_use == CLASSES.index(name))
        if not len(pixels):
            continue
        at, px, py = zone.ravel()[pixels], x.ravel()[pixels], y.ravel()[pixels]
        u: Field = cosine[at] * px + sine[at] * py
        v: Field = cosine[at] * py - sine[at] * px
        ground = paint(Site(u, v, at, style[:, at], patchy.ravel()[pixels], path.ravel()[pixels], dry))
        cover[pixels], parcel[pixels], streak[pixels] = ground.cover, ground.parcel, ground.streak
    return cover.reshape(land_use.shape), parcel.reshape(land_use.shape), streak.reshape(land_use.shape)


def _curve(rng: Generator, x: Field, y: Field, wiggle: float, length: float) -> tuple[Field, Field]:
    """Lay a curve through the scene; return the signed distance to it and the place along it, in pixels."""
    size = len(x)
    angle = rng.uniform(0, 2 * np.pi)
    centre = rng.uniform(0.2, 0.8, 2) * size
    along = np.float32(np.cos(angle)) * (x - centre[0]) + np.float32(np.sin(angle)) * (y - centre[1])
    aside = np.float32(np.cos(angle)) * (y - centre[1]) - np.float32(np.sin(angle)) * (x - centre[0])
    at = np.linspace(-1.6 * size, 1.6 * size, 1024)
    course = sum(
        wiggle * length / k * np.sin(2 * np.pi * k * at / length + rng.uniform(0, 2 * np.pi)) for k in (0.37, 0.8, 1.7)
    )
    steep = np.gradient(course, at)
    distance = (aside - np.interp(along, at, course)) / np.sqrt(1 + np.interp(along, at, steep) ** 2)
    return distance.astype(np.float32), along


def _river(
    rng: Generator, x: Field, y: Field, land_use: Pixels, cover: Pixels, zone: Pixels, zone_class: Pixels, patchy: Field
) -> tuple[Pixels, Pixels]:
    """Paint a meandering river with its banks into land_use and cover; its water is a zone of its own."""
    distance, _ = _curve(rng, x, y, wiggle=0.1, length=rng.uniform(140, 400))
    half = rng.uniform(4, 13) * (1 + 0.12 * patchy)
    off = np.abs(distance) - half
    wooded, sandy = rng.uniform(0, 5), rng.uniform(-4, 1.5)
    land = land_use != _SEA
    cover[(off < wooded * (1 + patchy)) & land] = Cover.TREES
    cover[(off < max(sandy, 0) * patchy) & land] = Cover.TRACK
    water = (off < 0) & land
    cover[water], land_use[water] = Cover.WATER, _RIVER
    return np.where(water, np.uint16(len(zone_class)), zone), np.append(zone_class, np.uint8(_RIVER))


def _highway(rng: Generator, size: int, land_use: Pixels, cover: Pixels) -> None:
    """Paint a highway: one or two carriageways, verges, now and then a junction with its loops."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    distance, along = _curve(rng, x, y, wiggle=0.05, length=rng.uniform(300, 900))
    off = np.abs(distance)
    median, half = rng.choice([0.0, 0.4, 0.9]), rng.uniform(1.1, 2.3)
    verge = half + rng.uniform(0.3, 1.8)
    land = land_use != _SEA
    corridor: Mask = (off < verge) & land
    paved: Mask = (off < half) & (off >= median) & land
    for junction in rng.uniform(-0.5, 0.5, rng.integers(0, 3)) * size:
        crossing: Mask = np.abs(along - junction) < 0.8
        radius = rng.uniform(5, 9)
        for side in (-1, 1):
            ring = np.hypot(along - junction - radius, distance - side * (radius + half))
            crossing = crossing | (np.abs(ring - radius) < 0.7)
        crossing = crossing & (off < 40) & land
        paved, corridor = paved | crossing, corridor | (crossing & (off < 20))
    water = land_use == _RIVER
    cover[corridor & ~water] = rng.choice([Cover.GRASS, Cover.SHRUBS, Cover.TREES])
    cover[paved] = rng.choice([Cover.ASPHALT, Cover.ASPHALT, Cover.YARD])
    land_use[corridor] = _HIGHWAY
