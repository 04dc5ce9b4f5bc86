"""Is one result better than another: an exact test, what it can find, and intervals of means.

Folds of a cross-validation are no group of seeds: each has test tiles of its own, and their training tiles overlap, so
that their variance is too small and no unbiased estimate of it exists (Bengio and Grandvalet 2004, JMLR 5,
1089-1105). ``mean_interval`` corrects it as Nadeau and Bengio (2003, Mach. Learn. 52, 239-281) do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, t

from landuse.core.arrays import Flags, Floats
from landuse.evaluation.pairs import CONFIDENCE, RESAMPLES, SEED, Difference

POWER = 0.8
_CHUNK = 2_000_000  # tiles drawn at a time, which bounds the memory


@dataclass(frozen=True)
class McNemar:
    """Tiles that one model alone gets right, and the probability of so uneven a share were both equally good."""

    first_only: int
    second_only: int
    p: float


def mcnemar(first: Flags, second: Flags) -> McNemar:
    """McNemar's exact test (1947, Psychometrika 12, 153-157). first, second: (n,) whether a model is right."""
    ours, theirs = int((first & ~second).sum()), int((second & ~first).sum())
    return McNemar(ours, theirs, float(binomtest(ours, ours + theirs).pvalue) if ours + theirs else 1.0)


def detectable(tiles: int, discordant: int, confidence: float = CONFIDENCE, power: float = POWER) -> float:
    """Smallest true difference in accuracy that McNemar's exact test finds with this power; NaN for too few tiles.

    discordant: tiles that one of the two models alone gets right. Another test of the same size has as large a share
    of them, or one as large as the difference if that is larger; both binomials are summed over, not approximated.
    """

    def found(difference: float) -> float:
        share = max(discordant / tiles, difference)
        low, high = binom.ppf([1e-9, 1 - 1e-9], tiles, share).astype(int)
        several = np.arange(low, high + 1)
        most = binom.ppf((1 - confidence) / 2, several, 0.5)  # of the tiles that the worse model may win
        most -= binom.cdf(most, several, 0.5) > (1 - confidence) / 2
        won = binom.cdf(most, several, (1 - difference / share) / 2 if share else 0.5)
        return float(binom.pmf(several, tiles, share) @ won)

    return float(brentq(lambda difference: found(difference) - power, 0, 1)) if found(1) > power else np.nan


def mean_interval(
    values: Sequence[float] | Floats, overlap: float = 0.0, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Student's t interval of the mean of repeated results; NaN for fewer than two.

    overlap: 0 for seeds; test tiles / training tiles for folds, by Nadeau and Bengio's correction.
    """
    count = len(values)
    if count < 2:
        return np.nan, np.nan
    half = t.ppf((1 + confidence) / 2, count - 1) * np.std(values, ddof=1) * np.sqrt(1 / count + overlap)
    return float(np.mean(values) - half), float(np.mean(values) + half)


def mean_difference(
    first: Floats, second: Floats, confidence: float = CONFIDENCE, resamples: int = RESAMPLES, seed: int = SEED
) -> Difference:
    """Difference in the mean of a score of each tile, such as its log loss. first, second: (n,).

    Bootstrap-t interval (Efron 1981): losses are skewed, and tiles may be few; its ends are infinite for too few.
    """
    rng, gaps = np.random.default_rng(seed), first - second
    count, value = len(gaps), float(gaps.mean())
    if count < 2:
        return Difference(value, -np.inf, np.inf)
    rows = max(1, _CHUNK // count)
    drawn = []
    for start in range(0, resamples, rows):
        sample = gaps[rng.integers(count, size=(min(rows, resamples - start), count))]
        away, spread = sample.mean(1) - value, sample.std(1)
        none = np.where(np.isclose(away, 0), 0, np.copysign(np.inf, away))
        drawn.append(np.divide(away, spread, out=none, where=spread > 0))
    ends = np.quantile(np.concatenate(drawn), [(1 + confidence) / 2, (1 - confidence) / 2], method="inverted_cdf")
    low, high = value - ends * gaps.std() if gaps.std() > 0 else (value, value)
    return Difference(value, float(low), float(high))
