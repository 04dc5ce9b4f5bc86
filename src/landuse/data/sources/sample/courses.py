"""Rivers and highways: curves through a whole scene, painted wherever one looks at it."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from landuse.core.arrays import Floats, Ints, Pixels
from landuse.data.sources.sample.covers import Cover, Mask
from landuse.data.sources.sample.fields import Field

_STEP = 4  # pixels: at most a quarter of so many points as a scene has pixels a side


@dataclass(frozen=True)
class Course:
    """A line through the scene, and a curve that winds around it.

    angle: of the line, radians. centre: x and y of a point on it. at: (n,) places along it. aside: (n,) how far the
    curve is from it there. steep: (n,) slope of the curve against it.
    """

    angle: float
    centre: Floats
    at: Floats
    aside: Floats
    steep: Floats

    def near(self, x: Field, y: Field, reach: float) -> tuple[Ints, Field, Floats]:
        """Look at the pixels that may be within reach of the curve.

        Returns:
            Their places in x.ravel(), the signed distance to the curve and the place along it; all in pixels.
        """
        cosine, sine = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        aside = cosine * (y - self.centre[1]) - sine * (x - self.centre[0])
        widest = np.abs(self.aside).max() + reach * np.sqrt(1 + (self.steep**2).max())
        pixels = np.flatnonzero(np.abs(aside) < widest)
        along = cosine * (x.ravel()[pixels] - self.centre[0]) + sine * (y.ravel()[pixels] - self.centre[1])
        distance = aside.ravel()[pixels] - np.interp(along, self.at, self.aside)
        distance /= np.sqrt(1 + np.interp(along, self.at, self.steep) ** 2)
        return pixels, distance.astype(np.float32), along


@dataclass(frozen=True)
class River:
    """half: of its width, pixels. wooded, sandy: width of its banks."""

    course: Course
    half: float
    wooded: float
    sandy: float


@dataclass(frozen=True)
class Highway:
    """median, half, verge: where a carriageway begins and ends and the corridor ends, pixels from its middle.

    junctions: place along it and radius of their loops. side, surface: what covers corridor and carriageways.
    """

    course: Course
    median: float
    half: float
    verge: float
    junctions: tuple[tuple[float, float], ...]
    side: Cover
    surface: Cover


def _course(rng: Generator, size: int, wiggle: float, length: float) -> Course:
    angle = rng.uniform(0, 2 * np.pi)
    centre = rng.uniform(0.2, 0.8, 2) * size
    at = np.linspace(-1.6 * size, 1.6 * size, max(1024, size // _STEP))
    waves = [
        wiggle * length / k * np.sin(2 * np.pi * k * at / length + rng.uniform(0, 2 * np.pi)) for k in (0.37, 0.8, 1.7)
    ]
    aside = waves[0] + waves[1] + waves[2]
    return Course(angle, centre, at, aside, np.gradient(aside, at))


def draw_river(rng: Generator, size: int) -> River:
    """A meandering river with its banks."""
    course = _course(rng, size, wiggle=0.1, length=rng.uniform(140, 400))
    return River(course, rng.uniform(4, 13), rng.uniform(0, 5), rng.uniform(-4, 1.5))


def draw_highway(rng: Generator, size: int) -> Highway:
    """One or two carriageways, verges, now and then a junction with its loops."""
    course = _course(rng, size, wiggle=0.05, length=rng.uniform(300, 900))
    median, half = rng.choice([0.0, 0.4, 0.9]), rng.uniform(1.1, 2.3)
    verge = half + rng.uniform(0.3, 1.8)
    places = rng.uniform(-0.5, 0.5, rng.integers(0, 3)) * size
    junctions = tuple((float(place), rng.uniform(5, 9)) for place in places)
    side = Cover(rng.choice([Cover.GRASS, Cover.SHRUBS, Cover.TREES]))
    surface = Cover(rng.choice([Cover.ASPHALT, Cover.ASPHALT, Cover.YARD]))
    return Highway(course, median, half, verge, junctions, side, surface)


def paint_river(river: River, x: Field, y: Field, patchy: Field, land: Mask, cover: Pixels) -> Ints:
    """Paint its water and its banks into cover, where land is; return the places of its water in x.ravel()."""
    most = max(float(patchy.max()), 0)
    reach = 1 + river.half * (1 + 0.12 * most) + river.wooded * (1 + most) + max(river.sandy, 0) * most
    pixels, distance, _ = river.course.near(x, y, reach)
    patchy, land = patchy.ravel()[pixels], land.ravel()[pixels]
    off = np.abs(distance) - river.half * (1 + 0.12 * patchy)
    water: Ints = pixels[(off < 0) & land]
    ground = cover.reshape(-1)
    ground[pixels[(off < river.wooded * (1 + patchy)) & land]] = Cover.TREES
    ground[pixels[(off < max(river.sandy, 0) * patchy) & land]] = Cover.TRACK
    ground[water] = Cover.WATER
    return water


def paint_highway(highway: Highway, x: Field, y: Field, land: Mask, water: Mask, cover: Pixels) -> Ints:
    """Paint it into cover, where land is; bridges have no verges. Return the places of its corridor in x.ravel()."""
    pixels, distance, along = highway.course.near(x, y, 1 + (40 if highway.junctions else highway.verge))
    land, off = land.ravel()[pixels], np.abs(distance)
    corridor: Mask = (off < highway.verge) & land
    paved: Mask = (off < highway.half) & (off >= highway.median) & land
    for junction, radius in highway.junctions:
        crossing: Mask = np.abs(along - junction) < 0.8
        for side in (-1, 1):
            ring = np.hypot(along - junction - radius, distance - side * (radius + highway.half))
            crossing = crossing | (np.abs(ring - radius) < 0.7)
        crossing = crossing & (off < 40) & land
        paved, corridor = paved | crossing, corridor | (crossing & (off < 20))
    ground = cover.reshape(-1)
    ground[pixels[corridor & ~water.ravel()[pixels]]] = highway.side
    ground[pixels[paved]] = highway.surface
    return pixels[corridor]
