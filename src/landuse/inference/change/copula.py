"""A Gaussian copula between ordered answers: how often two of them come together when errors are correlated."""

from functools import cache
from math import erf, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_FAR = 7.0  # standard deviations: as good as infinite
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_ROUNDS = 3  # of fitting the table to its margins: what the quadrature left
_LEAST = 1e-12


def together(first: Floats, second: Floats, correlation: float) -> Floats:
    """Return P(a, b) / (P(a) P(b)).

    Behind each answer stands a normal variable; the two have this correlation (Sklar 1959; Nelsen 2006, An
    Introduction to Copulas, 2.3).

    Args:
        first: (n,) probabilities of answers in order, from least to most certain.
        second: (m,) likewise at the other date.
        correlation: above -1 and below 1.

    Returns:
        (n, m).
    """
    first, second = (np.maximum(shares, _LEAST) / np.maximum(shares, _LEAST).sum() for shares in (first, second))
    edges, others = (_quantile(np.concatenate([[0], np.cumsum(shares)])) for shares in (first, second))
    width = np.diff(edges)[:, None]
    at = edges[:-1, None] + width * (_NODES + 1) / 2
    density = _WEIGHTS / 2 * width * np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
    below = _normal((others - correlation * at[..., None]) / np.sqrt(1 - correlation**2))
    joint = np.maximum((density[..., None] * np.diff(below, axis=2)).sum(axis=1), _LEAST**2)
    for _ in range(_ROUNDS):
        joint *= (first / joint.sum(axis=1))[:, None]
        joint *= second / joint.sum(axis=0)
    ratio: Floats = joint / np.outer(first, second)
    return ratio


@cache
def _table() -> tuple[Floats, Floats]:
    """Places, and the standard normal distribution function there: NumPy has none."""
    places = np.linspace(-_FAR - 2, _FAR + 2, 18_001)
    return places, np.array([(1 + erf(place / sqrt(2))) / 2 for place in places])


def _normal(places: Floats) -> Floats:
    return np.interp(places, *_table())


def _quantile(shares: Floats) -> Floats:
    """Of the standard normal distribution, at most ``_FAR`` from 0."""
    places, below = _table()
    quantiles: Floats = np.interp(shares, below, places).clip(-_FAR, _FAR)
    quantiles[0], quantiles[-1] = -_FAR, _FAR
    return quantiles


def scores(shares: Floats) -> Floats:
    """(n,) normal variable in the middle of each of the answers in order, whose probabilities these are."""
    return _quantile(np.concatenate([[0], np.cumsum(shares) - shares / 2, [1]]))[1:-1]
