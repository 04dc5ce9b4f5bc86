"""Zones: stretches of one land use, the Voronoi cells of jittered points."""

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

from landuse.core.arrays import Floats32, Ints, Pixels
from landuse.data.sources.sample.fields import Field, Zones

_PART = 64  # pixels a side: near points are looked for once in so large a square


def draw(
    rng: Generator, size: int, zone_size: float, weights: Mapping[int, float], evenly: bool
) -> tuple[Floats32, Pixels]:
    """Draw the points of zones in (size, size) pixels and their land use.

    weights: how common each land use is, by its number. evenly: as many zones have it as that says, not only on
    average.

    Returns:
        (zones, 2) y and x in pixels, and (zones,).
    """
    side = int(np.ceil(size / zone_size))
    count = side**2
    points = (np.mgrid[:side, :side].reshape(2, -1) + 0.5 + rng.uniform(-0.38, 0.38, (2, count))) * size / side
    below = np.cumsum(list(weights.values()))
    places = (rng.permutation(count) + rng.random(count)) / count if evenly else rng.random(count)
    drawn = np.array(list(weights), np.uint8)[np.searchsorted(below / below[-1], places, side="right")]
    return points.T.astype(np.float32), drawn


def nearest(points: Floats32, x: Field, y: Field) -> tuple[Zones, Zones, Field]:
    """The zone of every pixel.

    x, y: where a pixel is, of one shape.

    Returns:
        zone, the zone beyond its nearest edge, and the distance to that edge in pixels; all of the shape of x.
    """
    distance = np.full((2, *x.shape), np.inf, np.float32)
    zone = np.zeros((2, *x.shape), np.uint32)
    for top in range(0, x.shape[0], _PART):
        for left in range(0, x.shape[1], _PART):
            part = np.s_[:, top : top + _PART, left : left + _PART]
            _compare(points, x[part[1:]], y[part[1:]], distance[part], zone[part])
    return zone[0], zone[1], (distance[1] - distance[0]) / 2


def _compare(points: Floats32, x: Field, y: Field, nearest: Field, zone: Zones) -> None:
    """Find the nearest and the second nearest of the points, into nearest and zone, both (2, height, width)."""
    for k in _near(points, x, y):
        distance = np.hypot(x - points[k, 1], y - points[k, 0])
        first, second = distance < nearest[0], distance < nearest[1]
        nearest[1] = np.where(first, nearest[0], np.where(second, distance, nearest[1]))
        zone[1] = np.where(first, zone[0], np.where(second, k, zone[1]))
        nearest[0] = np.where(first, distance, nearest[0])
        zone[0] = np.where(first, k, zone[0])


def _near(points: Floats32, x: Field, y: Field) -> Ints:
    """Points that may be the nearest or the second nearest of some pixel: no two others are nearer to all of them."""
    low, high = np.array([y.min(), x.min()]), np.array([y.max(), x.max()])
    gap = np.hypot(*np.maximum(np.maximum(low - points, points - high), 0).T)
    reach = np.hypot(*np.maximum(np.abs(points - low), np.abs(points - high)).T)
    bound = np.partition(reach, 1)[1] if len(points) > 1 else np.inf
    return np.flatnonzero(gap <= bound + 0.1)  # pixels, more than rounding
