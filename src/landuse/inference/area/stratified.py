"""Shares of labels among all cells of a map, from a stratified sample of them that people labelled.

Both estimators hold for any map: nothing is assumed of the model. With N_h the cells of stratum h and n_h the labelled
ones, drawn at random without another put back, W_h = N_h / N:

- Olofsson et al. (2014, Remote Sens. Environ. 148, eq. 9 to 11): p = sum_h W_h mean_h(y), its variance
  sum_h W_h^2 (1 - n_h / N_h) s_h^2(y) / n_h; the part 1 - n_h / N_h (Cochran 1977, 5.6) is theirs where n_h is small.
- Prediction-powered (PPI++, Angelopoulos et al. 2023, arXiv 2311.01453), stratified, as the model's probability f is
  known of every cell: p = sum_h W_h (mean_h(y - lambda f) + lambda F_h), F_h the mean of f over the stratum, and
  lambda = sum_h u_h s_h(y, f) / sum_h u_h s_h^2(f), u_h = W_h^2 (1 - n_h / N_h) / n_h, which makes the variance
  sum_h u_h s_h^2(y - lambda f) least. PPI++ has F_h from a sample of its own, whose variance is absent here.

A normal interval fails where a stratum's sample has no error, as its variance is 0 then. Intervals are quantiles of
draws: of each stratum's share from Beta(x + 1/3, n - x + 1/3), the neutral posterior (Kerman 2011, Electron. J. Stat.
5). A stratum whose sample is without the label may be without it, so it moves the upper end only; one of nothing else
moves the lower end only (as in Brown, Cai, DasGupta 2001, Stat. Sci. 16). The prediction-powered interval is narrower
by the ratio of the two standard errors.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_DRAWS = 4000
_NEUTRAL = 1 / 3


@dataclass(frozen=True)
class Labelled:
    """A labelled sample.

    sizes: (H,) cells of each stratum of the map. stratum: (n,) of each labelled cell. labels: (n,) index of its label;
    labels 0 to K - 1 are the classes of the model, others may follow. probabilities: (n, K) of the model. means: (H, K)
    of the model's probabilities over each whole stratum; of one without cells anything.
    """

    sizes: Counts
    stratum: Counts
    labels: Counts
    probabilities: Floats
    means: Floats

    @property
    def counts(self) -> Counts:
        """(H,) labelled cells of each stratum."""
        return np.bincount(self.stratum, minlength=len(self.sizes))


@dataclass(frozen=True)
class Estimate:
    """A share, its standard error, and the ends of its 95 % interval. tuned: lambda, 0 of the sample alone."""

    share: float
    error: float
    low: float
    high: float
    tuned: float


@dataclass(frozen=True)
class Accuracy:
    """A part of cells that are right, and its standard error; NaN where there is nothing to be right."""

    share: float
    error: float


def estimate(sample: Labelled, label: int, seed: int) -> tuple[Estimate, Estimate]:
    """The share of a label among all cells: by Olofsson et al., and prediction-powered."""
    y = (sample.labels == label).astype(np.float64)
    f = sample.probabilities[:, label] if label < sample.probabilities.shape[1] else np.zeros(len(y))
    weight, spread = _design(sample)
    mean_y, mean_f = _means(sample, y), _means(sample, f)
    var_y, var_f, both = (_products(sample, *pair) for pair in ((y, y), (f, f), (y, f)))
    steady = (spread * var_f).sum()
    tuned = float(np.clip((spread * both).sum() / steady, 0, 1)) if steady > 0 else 0.0
    share = float(weight @ mean_y)
    error = float(np.sqrt(spread @ var_y))
    remaining = float(np.sqrt((spread @ (var_y - 2 * tuned * both + tuned**2 * var_f)).clip(0)))
    known = sample.means[:, label] if label < sample.means.shape[1] else np.zeros(len(weight))
    moved = share + tuned * float(weight @ np.where(weight > 0, known - mean_f, 0))
    below, above = _ends(sample, mean_y, seed)
    narrower = remaining / error if error > 0 else 1.0
    return (
        _inside(share, error, below, above, 0.0),
        _inside(moved, remaining, narrower * below, narrower * above, tuned),
    )


def overall(sample: Labelled, strata: int) -> Accuracy:
    """The part of the cells of the first strata that are what they are mapped as."""
    weight, spread = _design(sample)
    right = (sample.labels == sample.stratum).astype(np.float64)
    known = np.arange(len(weight)) < strata
    total = weight[known].sum()
    if not total:
        return Accuracy(np.nan, np.nan)
    share = (weight * _means(sample, right))[known].sum() / total
    return Accuracy(float(share), float(np.sqrt((spread * _products(sample, right, right))[known].sum()) / total))


def users(sample: Labelled, label: int) -> Accuracy:
    """Of the cells mapped as a class, the part that is of it."""
    if not sample.sizes[label]:
        return Accuracy(np.nan, np.nan)
    weight, spread = _design(sample)
    right = (sample.labels == label).astype(np.float64)
    error = np.sqrt(spread[label] * _products(sample, right, right)[label]) / weight[label]
    return Accuracy(float(_means(sample, right)[label]), float(error))


def producers(sample: Labelled, label: int) -> Accuracy:
    """Of the cells of a class, the part that is mapped as it (Olofsson et al. 2014, eq. 7)."""
    weight, spread = _design(sample)
    y = (sample.labels == label).astype(np.float64)
    found = weight * _means(sample, y)
    if not found.sum():
        return Accuracy(np.nan, np.nan)
    share = found[label] / found.sum()
    parts = spread * _products(sample, y, y) * np.where(np.arange(len(weight)) == label, 1 - share, share) ** 2
    return Accuracy(float(share), float(np.sqrt(parts.sum()) / found.sum()))


def _inside(share: float, error: float, below: float, above: float, tuned: float) -> Estimate:
    """An estimate may leave 0 to 1 by its correction; a share cannot."""
    low, high = np.clip((share + below, share + above), 0, 1)
    return Estimate(float(np.clip(share, 0, 1)), error, float(low), float(high), tuned)


def _design(sample: Labelled) -> tuple[Floats, Floats]:
    """(H,) weights of strata, and what a variance within one adds to that of the whole."""
    weight = sample.sizes / sample.sizes.sum()
    drawn = np.maximum(sample.counts, 1)
    return weight, weight**2 * (1 - drawn / np.maximum(sample.sizes, 1)) / drawn


def _means(sample: Labelled, values: Floats) -> Floats:
    """(H,) means of the labelled cells of each stratum; 0 where there is none."""
    return np.bincount(sample.stratum, values, minlength=len(sample.sizes)) / np.maximum(sample.counts, 1)


def _products(sample: Labelled, one: Floats, other: Floats) -> Floats:
    """(H,) covariances within each stratum."""
    apart = (one - _means(sample, one)[sample.stratum]) * (other - _means(sample, other)[sample.stratum])
    return np.bincount(sample.stratum, apart, minlength=len(sample.sizes)) / np.maximum(sample.counts - 1, 1)


def _ends(sample: Labelled, means: Floats, seed: int) -> tuple[float, float]:
    """How far below and above its estimate the share of a label may be. means: (H,) of the label in each stratum."""
    rng = np.random.default_rng(seed)
    drawn = np.maximum(sample.counts, 1)
    found = means * drawn
    shares = rng.beta(found + _NEUTRAL, drawn - found + _NEUTRAL, (_DRAWS, len(drawn)))
    weight, _ = _design(sample)
    part = np.sqrt(1 - drawn / np.maximum(sample.sizes, 1))
    deviations = (shares - means) * part * weight
    low = np.quantile(np.where(found == 0, 0, deviations).sum(axis=1), 0.025)
    high = np.quantile(np.where(found == drawn, 0, deviations).sum(axis=1), 0.975)
    return min(float(low), 0.0), max(float(high), 0.0)
