"""The difference of two models, or two groups of models, on the same test tiles, with an interval.

A group holds one model a seed. Two things could have come out differently: the test tiles and the training.

Tiles are resampled by the bootstrap, the same draw for every model, so that what both groups get right or wrong
cancels. Few tiles may tell two good models apart, and resamples of few claim too much: as in Agresti and Min (2005,
Stat. Med. 24, 729-740) half a tile is added that the first group alone gets right, and half that the second does.

Seeds are too few to be resampled too: with three that differ much, such 95 % intervals held the truth in 84 % of
simulations. The deviation of a group's mean is drawn from Student's t instead, with the variance over seeds pooled
over both groups. The part of it that comes from the tiles is in the resamples already, and is taken off: it is what
resampling the tiles adds to that variance.

Folds of a cross-validation are no such group: each has test tiles of its own, and their training tiles overlap, so
that their variance is too small and no unbiased estimate of it exists (Bengio and Grandvalet 2004, JMLR 5,
1089-1105). ``mean_interval`` corrects it as Nadeau and Bengio (2003, Mach. Learn. 52, 239-281) do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, t

from landuse.core.arrays import Flags, Floats, Ints

CONFIDENCE = 0.95
RESAMPLES = 5_000
POWER = 0.8
SEED = 42
_CHUNK = 2_000_000  # tiles drawn at a time, which bounds the memory


@dataclass(frozen=True)
class Difference:
    """First group minus second, in the metric's unit, with its interval."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Say what the first group is: ``better``, ``worse``, or ``tie`` where the interval holds zero."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "tie"


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


def differences(
    truth: Ints,
    first: Ints,
    second: Ints,
    classes: int,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> dict[str, Difference]:
    """Differences in accuracy and macro-F1 of the groups' means over seeds.

    truth: (n,) labels below ``classes``. first, second: (models, n) predicted labels.
    """
    rng = np.random.default_rng(seed)
    predicted = np.concatenate([first, second])
    patterns, counts = np.unique(np.vstack([truth, predicted]), axis=1, return_counts=True)
    values = _scores(patterns, counts[None], classes)
    added = _pseudo_tiles(truth, len(first), len(second), classes)
    shares = np.r_[counts, np.full(added.shape[1], 1 / added.shape[1])]
    draws = rng.multinomial(len(truth), shares / shares.sum(), size=resamples)
    resampled = _scores(np.hstack([patterns, added]), draws, classes)
    return {name: _difference(values[name][0], resampled[name], len(first), confidence, rng) for name in values}


def _pseudo_tiles(truth: Ints, first: int, second: int, classes: int) -> Ints:
    """(1 + models, m) patterns: in every class one tile that only the first group gets right, and one the second."""
    labels = np.unique(truth)
    right, wrong = labels, (labels + 1) % classes
    of_first = np.stack([labels, *[right] * first, *[wrong] * second])
    of_second = np.stack([labels, *[wrong] * first, *[right] * second])
    return np.hstack([of_first, of_second])


def _scores(patterns: Ints, counts: Ints, classes: int) -> Mapping[str, Floats]:
    """Each metric (R, models), from how often (R, m) each pattern (1 + models, m) of truth and predictions occurs.

    Macro-F1 is the mean over the classes that the truth holds, as in the evaluate stage.
    """
    weights, one_hot = counts.astype(np.float64), np.eye(classes)
    truth, predicted = patterns[0], patterns[1:]
    actual = weights @ one_hot[truth]
    hits = np.stack([weights @ (one_hot[truth] * (truth == p)[:, None]) for p in predicted], axis=1)
    said = np.stack([weights @ one_hot[p] for p in predicted], axis=1)
    there = actual[:, None] > 0
    f1 = np.divide(2 * hits, actual[:, None] + said, out=np.zeros_like(hits), where=there)
    return {"accuracy": hits.sum(-1) / weights.sum(-1, keepdims=True), "macro_f1": f1.sum(-1) / there.sum(-1)}


def _difference(
    values: Floats, resampled: Floats, first: int, confidence: float, rng: np.random.Generator
) -> Difference:
    """values: (models,) as measured. resampled: (R, models). The first ``first`` models are the first group."""
    drawn = _gap(resampled, first)
    second = len(values) - first
    freedom = first + second - 2
    if freedom:
        measured = _pooled_variance(values, first)
        of_tiles = _pooled_variance(resampled, first).mean() - measured
        spread = np.sqrt(np.maximum(measured - of_tiles, 0) * (1 / first + 1 / second))
        drawn = drawn + spread * rng.standard_t(freedom, size=len(drawn))
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Difference(float(_gap(values, first)), float(low), float(high))


def _gap(scores: Floats, first: int) -> Floats:
    gap: Floats = scores[..., :first].mean(-1) - scores[..., first:].mean(-1)
    return gap


def _pooled_variance(scores: Floats, first: int) -> Floats:
    """Variance over seeds within the groups, (...) of scores (..., models)."""
    groups = (scores[..., :first], scores[..., first:])
    squares = sum(((g - g.mean(-1, keepdims=True)) ** 2).sum(-1) for g in groups)
    variance: Floats = np.asarray(squares / (scores.shape[-1] - 2))
    return variance
