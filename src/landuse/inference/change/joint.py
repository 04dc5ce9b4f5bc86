"""How the classes of two dates hang together: the shares J_ij of land that was i and is j.

Comparing labels takes every error at either date for a change. Here those shares are found that make the answers x1 and
x2 of all cells likeliest (Bruzzone and Prieto 2000, IEEE Trans. Geosci. Remote Sens. 38; Saerens et al. 2002, Neural
Comput. 14):

    P(x1, x2) = sum_ij J_ij F_i(x1) G_j(x2) c_i(x1, x2)^[i = j]

F_i, and likewise G_j at the other date, is how often land of class i gets the answer x: proportional to
m(x) (p_i(x) / pi_i)^(1 / T), m how often x occurs, p the model's calibrated probabilities, pi the shares of the classes
that these hold for. T, one a date, is how far they are too sure on this land (above 1) or too modest. c_i is a
Gaussian copula: on land that stays what it is the same place looks alike at both dates, and the model errs alike. Its
correlation is one for all classes. Land that changed looks new.

T and the correlation are found from the pair itself, with the shares. Of land that stays, an answer at one date must
agree with the other date as often as it says, and the answers within a class tell how alike the dates are. What
cannot be found so is an error without any trace: land that the model takes for another class, surely, at one date only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from landuse.inference.change.answers import Answers, Floats
from landuse.inference.change.copula import scores, together

Likely = tuple[Floats, Floats, Floats]

_FEW = 5000  # pairs of answers
_STEPS = 1000  # of EM at most
_CONVERGED = 1e-7  # largest change of a share in a step
_CHANGED = 0.02  # of the land, where EM starts
_START = np.array([0.0, 0.0, 0.3])  # log T of both dates, inverse hyperbolic tangent of the correlation
_LOW, _HIGH = np.array([-1.5, -1.5, 0.0]), np.array([1.5, 1.5, 2.0])
USUAL = np.array([0.5, 0.5, 1.0])  # standard deviations around the start, before anything is known
_FIRST, _LAST = 0.3, 0.03  # steps of the search


@dataclass(frozen=True)
class Joint:
    """shares: (K, K) J, rows the first date. nuisance: (3,) as ``_START``. fit: log-likelihood, up to a constant.

    likely: (m, K) F_i, (m, K) G_j and (m, K) F_i G_i (c_i - 1) of each pair of answers, by how often they occur.
    """

    shares: Floats
    nuisance: Floats
    fit: float
    likely: Likely

    @property
    def correlation(self) -> float:
        return float(np.tanh(self.nuisance[2]))


def estimate(answers: Answers, correlation: float | None = None) -> Joint:
    """Find the likeliest shares, T and correlation; or with this correlation, the others."""
    few = answers.thinned(_FEW)  # tell T and correlation of many classes well enough
    counts = few.counts()
    start = _START.copy()
    free = range(3)
    if correlation is not None:
        start[2], free = np.arctanh(correlation), range(2)
    best, step = at(few, counts, start), _FIRST
    while step >= _LAST:
        before = best
        for number in free:
            for side in (-step, step):
                tried = best.nuisance.copy()
                tried[number] = np.clip(tried[number] + side, _LOW[number], _HIGH[number])
                found = at(few, counts, tried, best.shares)
                if found.fit > best.fit:
                    best = found
                    break
        step = step if best is not before else step / 2
    return at(answers, answers.counts(), best.nuisance, best.shares)


def at(answers: Answers, counts: Floats, nuisance: Floats, shares: Floats | None = None) -> Joint:
    """The likeliest shares with these T and correlation. counts: (m,) of pairs. shares: to start near."""
    likely = _likelihoods(answers, counts, nuisance)
    classes = answers.first.shape[1]
    if shares is None:
        shares = np.full((classes, classes), _CHANGED / max(1, classes * (classes - 1)))
        np.fill_diagonal(shares, (1 - _CHANGED * (classes > 1)) / classes)
    shares = likeliest(likely, counts, shares)
    known = ((nuisance - _START) / USUAL) ** 2 / 2
    return Joint(shares, nuisance, float(counts @ np.log(sums(likely, shares)) - known.sum()), likely)


def likeliest(likely: Likely, counts: Floats, shares: Floats) -> Floats:
    """The likeliest shares by EM, from others near them."""
    first, second, alike = likely
    weights = counts / counts.sum()
    shares = 0.99 * shares + 0.01 / shares.size  # from 0 EM would not leave
    for _ in range(_STEPS):
        rate = weights / sums(likely, shares)
        better = shares * (first.T @ (second * rate[:, None]) + np.diag(rate @ alike))
        moved = np.abs(better - shares).max()
        shares = better
        if moved < _CONVERGED:
            break
    return shares


def posterior(joint: Joint) -> Floats:
    """(m, K, K) probability that a cell with each pair of answers was i and is j."""
    first, second, alike = joint.likely
    likely = first[:, :, None] * second[:, None, :]
    diagonal = np.arange(first.shape[1])
    likely[:, diagonal, diagonal] += alike
    likely *= joint.shares
    found: Floats = likely / likely.sum(axis=(1, 2), keepdims=True)
    return found


def sums(likely: Likely, shares: Floats) -> Floats:
    """(m,) likelihood of each pair."""
    first, second, alike = likely
    summed: Floats = np.einsum("mk,mk->m", first @ shares, second) + alike @ np.diag(shares)
    return summed


def _likelihoods(answers: Answers, counts: Floats, nuisance: Floats) -> Likely:
    mine, its = answers.pairs.T
    weights = counts / counts.sum()
    occurs, others = np.zeros(len(answers.first)), np.zeros(len(answers.second))
    np.add.at(occurs, mine, weights)
    np.add.at(others, its, weights)
    first, second = _of_date(answers.first, occurs, nuisance[0]), _of_date(answers.second, others, nuisance[1])
    alike = first[mine] * second[its]
    for number in range(first.shape[1]):
        row, here = _ranked(first[:, number], occurs)
        col, there = _ranked(second[:, number], others)
        alike[:, number] *= together(here, there, float(np.tanh(nuisance[2])))[row[mine], col[its]] - 1
    return first[mine], second[its], alike


def _of_date(ratio: Floats, occurs: Floats, sure: float) -> Floats:
    """(n, K) how often each answer comes from land of each class, by how often it occurs."""
    powered = ratio ** np.exp(-sure)
    shares = np.full(ratio.shape[1], 1 / ratio.shape[1])
    for _ in range(_STEPS):
        better = shares * (powered.T @ (occurs / (powered @ shares)))
        moved = np.abs(better - shares).max()
        shares = better
        if moved < _CONVERGED:
            break
    found: Floats = powered / (powered @ shares)[:, None]
    return found


def _ranked(likely: Floats, occurs: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """(n,) rank of each answer by how much it speaks for a class, some of them equal; and the share of each rank."""
    order = np.argsort(likely, kind="stable")
    shares = likely * occurs
    middle = np.empty(len(likely))
    middle[order] = scores(shares[order] / shares.sum())
    rank = np.unique(np.rint(4 * middle), return_inverse=True)[1]
    return rank, np.bincount(rank, shares).astype(np.float64)
