"""How cities grow into farmland: in connected blocks, some out of a city that is there, some on their own."""

import heapq
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.random import Generator
from scipy.ndimage import grey_dilation

from landuse.core.arrays import Flags, Floats, Ints
from landuse.core.errors import UserError
from landuse.data.sources.sample import landscape
from landuse.data.sources.sample.landscape import CITY, FARMLAND, LOT, Plan

_LEAST, _MEDIAN, _MOST = 16, 60, 500  # lots of a block: 10, 38 and 320 hectares
_SPREAD = 0.8  # of their logarithm
_OUTWARD = 0.6  # chance of a block to start at a city
_RAGGED = 2.0  # how uneven a block's border is; 0: a diamond
_STRIP = 128  # rows of lots that are looked at at once


def grow(rng: Generator, plan: Plan, share: float) -> Plan:
    """Turn a share of the farmland into city, lot by lot.

    A block that starts at a city is a part of its zone: the streets go on. Others are zones of their own.

    Raises:
        UserError: there is no farmland.
    """
    land_use, zone = _lots(plan)
    farm = np.isin(land_use, FARMLAND)
    if not farm.any():
        raise UserError("the land has no farmland that could become city: take another --seed, or a lower --city")
    city = np.where(np.isin(land_use, CITY), zone.astype(np.int64) + 1, 0)  # 0: none, else 1 + number of the zone
    grown = np.zeros(farm.shape, np.int64)
    classes: list[int] = []
    for block, of_zone in _blocks(rng, farm, city, int(np.ceil(share * farm.sum()))):
        if not of_zone:
            classes.append(int(rng.choice(CITY)))
        grown.reshape(-1)[block] = of_zone or len(plan.zone_class) + len(classes)
    # a lot whose middle is no farmland has some at its edge
    grown = np.where(farm, grown, grey_dilation(grown, (3, 3)))
    new, other = len(classes), len(plan.zone_class) - len(plan.angle)
    return replace(
        plan,
        grown=grown.astype(np.uint32),
        zone_class=np.append(plan.zone_class, np.array(classes, np.uint8)),
        angle=np.concatenate([plan.angle, np.zeros(other), rng.uniform(0, np.pi, new)]),
        style=np.hstack([plan.style, np.zeros((6, other), np.float32), rng.random((6, new), np.float32)]),
        steep=np.append(plan.steep, np.zeros(new, np.float32)),
    )


def _lots(plan: Plan) -> tuple[Ints, Ints]:
    """Land use and zone in the middle of every lot."""
    places = np.arange(LOT // 2, plan.size, LOT)
    strips = [landscape.paint(plan, places[top : top + _STRIP], places) for top in range(0, len(places), _STRIP)]
    return np.vstack([strip.land_use for strip in strips]), np.vstack([strip.zone for strip in strips])


def _blocks(rng: Generator, farm: Flags, city: Ints, lots: int) -> Iterator[tuple[Ints, int]]:
    """Yield places of lots in farm.ravel(), and the city's zone that they go on with, or 0; ``lots`` in all.

    Small leftovers of farmland are taken only when there is no other.
    """
    width = farm.shape[1] + 2
    free, cost = np.pad(farm, 1).ravel(), 1 + _RAGGED * rng.random((farm.shape[0] + 2) * width)
    beside = np.pad(grey_dilation(city, footprint=_CROSS), 1).ravel()
    for least in (_LEAST, 1):
        for start in _starts(rng, free, beside):
            if not lots:
                return
            if not free[start]:
                continue
            size = min(lots, int(np.clip(_MEDIAN * np.exp(_SPREAD * rng.standard_normal()), _LEAST, _MOST)))
            block = _block(start, free, cost, width, size if lots - size >= _LEAST else lots)
            if len(block) >= min(least, lots):
                free[block] = False
                lots -= len(block)
                yield (block // width - 1) * (width - 2) + block % width - 1, int(beside[start])


_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])


def _starts(rng: Generator, free: Flags, beside: Ints) -> Ints:
    """All free lots in random order, those at a city earlier (Efraimidis and Spirakis 2006)."""
    starts = np.flatnonzero(free)
    outward = beside[starts] > 0
    weights: Floats = np.where(outward, _OUTWARD / max(1, outward.sum()), (1 - _OUTWARD) / max(1, (~outward).sum()))
    return starts[np.argsort(rng.exponential(size=len(starts)) / weights)]


def _block(start: int, free: Flags, cost: Floats, width: int, size: int) -> Ints:
    """The lots that are reached soonest from the start over free ones, at most ``size``."""
    soonest, seen = [(0.0, start)], {start}
    block: list[int] = []
    while soonest and len(block) < size:
        so_far, lot = heapq.heappop(soonest)
        block.append(lot)
        for near in (lot - 1, lot + 1, lot - width, lot + width):
            if near not in seen and free[near]:
                seen.add(near)
                heapq.heappush(soonest, (so_far + cost[near], near))
    return np.array(block)
