"""Cutting labelled tiles out of a land-use map, by EuroSAT's rule: the dominant land use, or what crosses."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from landuse.core.arrays import Flags, Floats, Pixels
from landuse.data.sources.sample.landscape import CLASSES

_DOMINANT = 0.8  # least share of a tile; the real tiles' variation within says that forests are purer
_PURER = {"Forest": 0.95}
_CROSSING = {"Highway": (0.055, 0.35), "River": (0.10, 0.65)}  # least and greatest share of a tile
_BUILT = {"Highway": 0.6, "River": 0.2}  # towns at them are rarer than a random map would have it
_REACH = 0.8  # least part of a tile's side that a highway or river must run along
_STEPS = 4  # candidate positions a tile's side


def cut(rng: Generator, land_use: Pixels, size: int, wanting: Mapping[str, int]) -> Iterator[tuple[str, int, int]]:
    """Yield class, top and left of tiles that do not overlap, at most as many of a class as are wanting.

    Highways and rivers come first, since fewer places have them. Among the places that fit, chance decides: a map
    shows land as it comes, and the purest tiles alone teach nothing of its seams.
    """
    step = max(1, size // _STEPS)
    places = np.arange(0, len(land_use) - size + 1, step)
    free = np.ones(land_use.shape, np.bool_)
    left = dict(wanting)
    shares = {name: _shares(land_use == CLASSES.index(name), size, places) for name in CLASSES}
    for name in (*_CROSSING, *(c for c in CLASSES if c not in _CROSSING)):
        score = _crossing(shares, name) if name in _CROSSING else shares[name]
        least = _CROSSING[name][0] if name in _CROSSING else _PURER.get(name, _DOMINANT)
        fitting = np.flatnonzero(score >= least)
        order = rng.permutation(fitting)
        for row, column in zip(*np.unravel_index(order, score.shape), strict=True):
            top, leftmost = int(places[row]), int(places[column])
            window = np.s_[top : top + size, leftmost : leftmost + size]
            if left[name] == 0:
                break
            there = land_use[window] == CLASSES.index(name)
            reach = max(there.any(0).mean(), there.any(1).mean())
            if free[window].all() and (name not in _CROSSING or reach >= _REACH):
                free[window] = False
                left[name] -= 1
                yield name, top, leftmost


def _crossing(shares: Mapping[str, Floats], name: str) -> Floats:
    """The share of a highway or river, 0 where it fills too much or where another class than land is near."""
    other = shares["River" if name == "Highway" else "Highway"]
    built = shares["Residential"] + shares["Industrial"]
    fits = (shares[name] <= _CROSSING[name][1]) & (built < _BUILT[name]) & (shares["SeaLake"] < 0.05) & (other < 0.04)
    return np.where(fits, shares[name], 0.0)


def _shares(mask: Flags, size: int, places: npt.NDArray[np.integer]) -> Floats:
    """(places, places): share of the mask in the tile at each place, from a summed-area table."""
    total = np.zeros((len(mask) + 1, len(mask) + 1), np.int64)
    total[1:, 1:] = mask.cumsum(0).cumsum(1)
    far = places + size
    rows = total[far] - total[places]
    shares: Floats = (rows[:, far] - rows[:, places]) / size**2
    return shares
