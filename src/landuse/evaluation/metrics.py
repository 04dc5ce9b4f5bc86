"""Metrics of a classifier on its test tiles, each with an interval.

Proportions (accuracy, precision, recall) have Wilson's interval (Wilson 1927, J. Am. Stat. Assoc. 22). The others
have the percentile interval of the bootstrap over tiles (Efron 1979); whatever depends on the confusion matrix
alone is resampled as one multinomial draw of its cells, which is the same thing and a thousand times faster.

Resamples of tiles without an error hold none either, and would claim certainty. There the lower end is Wilson's
for as many successes as there are tiles, the classes counted as if each were as rare as the rarest.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import Generator

from landuse.core import intervals
from landuse.core.arrays import Flags, Floats, Ints

Interval = dict[str, float | None]  # value, low, high; None where a metric is undefined


def wilson(successes: int, count: int, confidence: float) -> Interval:
    """A proportion with Wilson's score interval; undefined for a count of 0."""
    if count == 0:
        return interval(np.nan, np.nan, np.nan)
    return interval(successes / count, *intervals.wilson(successes, count, confidence))


def share(hits: Flags, confidence: float) -> Interval:
    """The share of hits, (n,), with Wilson's interval."""
    return wilson(int(hits.sum()), len(hits), confidence)


def confusion(truth: Ints, predicted: Ints, classes: int) -> Ints:
    """(classes, classes) counts; rows are the truth, columns the prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def from_confusion(matrix: npt.NDArray[Any]) -> dict[str, Floats]:
    """Metrics of confusion matrices (..., C, C), each (...).

    Means over classes are over those that the truth holds; precision and F1 of a class that is never predicted
    are 0. MCC is Gorodkin's R_K (2004, Comput. Biol. Chem. 28), NaN where truth or prediction is all one class.
    """
    m = matrix.astype(np.float64)
    hits = np.diagonal(m, axis1=-2, axis2=-1)
    actual, predicted, total = m.sum(-1), m.sum(-2), m.sum((-2, -1))
    recall = _ratio(hits, actual, np.nan)
    precision = np.where(actual > 0, _ratio(hits, predicted, 0.0), np.nan)
    f1 = np.where(actual > 0, per_class_f1(m), np.nan)
    covariance = hits.sum(-1) * total - (actual * predicted).sum(-1)
    spread = np.sqrt((total**2 - (predicted**2).sum(-1)) * (total**2 - (actual**2).sum(-1)))
    return {
        "accuracy": hits.sum(-1) / total,
        "balanced_accuracy": np.nanmean(recall, axis=-1),
        "macro_precision": np.nanmean(precision, axis=-1),
        "macro_recall": np.nanmean(recall, axis=-1),
        "macro_f1": np.nanmean(f1, axis=-1),
        "mcc": _ratio(covariance, spread, np.nan),
    }


def per_class_f1(matrix: npt.NDArray[Any]) -> Floats:
    """F1 of every class, (..., C); NaN for a class that is neither there nor predicted."""
    m = matrix.astype(np.float64)
    hits = np.diagonal(m, axis1=-2, axis2=-1)
    return _ratio(2 * hits, m.sum(-1) + m.sum(-2), np.nan)


def bootstrap_matrices(matrix: Ints, resamples: int, rng: Generator) -> Ints:
    """(resamples, C, C) confusion matrices of tiles drawn with replacement."""
    count = int(matrix.sum())
    drawn = rng.multinomial(count, matrix.reshape(-1) / count, size=resamples)
    return drawn.reshape(resamples, *matrix.shape)


def percentile(
    value: float, resampled: npt.NDArray[Any], confidence: float, count: float, chance: float = 0.0
) -> Interval:
    """A value with the percentile interval of its resamples; undefined resamples are left out.

    count: tiles that stand behind it (see ``evidence``), for a value of 1 that no resample can lower.
    chance: the value that guessing gets, where the metric is 1 for no error and linear between the two.
    """
    defined = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(defined):
        return interval(value, np.nan, np.nan)
    if value == 1 and defined.min() == 1:
        low, high = intervals.wilson(count, count, confidence)
        return interval(1.0, (low - chance) / (1 - chance), high)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return interval(value, low, high)


def evidence(truth: Ints) -> int:
    """Tiles that stand behind a mean over classes: as many of each as there are of the rarest.

    Errors that the test did not meet may all lie in the rarest class, where they weigh most.
    """
    counts = np.unique(truth, return_counts=True)[1]
    return int(len(counts) * counts.min())


def rank_metrics(
    truth: Ints, probabilities: Floats, names: list[str], confidence: float, resamples: int, rng: Generator
) -> tuple[Interval, dict[str, dict[str, Interval]]]:
    """ROC-AUC over all labels; ROC-AUC and average precision of each label against the rest; with intervals.

    Over all: of two labels, that of the second; of more, the mean over the labels. Undefined where the truth
    lacks a label.
    """
    values = _ranked(truth, probabilities, np.ones((len(truth), 1)))
    count, chunk, resampled = len(truth), max(1, 1_000_000 // len(truth)), []  # the chunks bound the memory
    for start in range(0, resamples, chunk):
        weights = rng.multinomial(count, np.full(count, 1 / count), size=min(chunk, resamples - start))
        resampled.append(_ranked(truth, probabilities, weights.T.astype(np.float64, order="C")))
    drawn = np.concatenate(resampled, axis=2)
    chosen = [1] if len(names) == 2 else slice(None)
    overall = percentile(float(values[0, chosen].mean()), drawn[0, chosen].mean(axis=0), confidence, evidence(truth))
    of_label = {
        name: {
            metric: percentile(float(values[k, i, 0]), drawn[k, i], confidence, evidence(truth == i))
            for k, metric in enumerate(("roc_auc", "average_precision"))
        }
        for i, name in enumerate(names)
    }
    return overall, of_label


def _ranked(truth: Ints, probabilities: Floats, weights: Floats) -> Floats:
    """(2, classes, R): ROC-AUC and average precision of each label for weights (n, R)."""
    columns = range(probabilities.shape[1])
    return np.stack([rank_scores(truth == i, probabilities[:, i], weights) for i in columns], axis=1)


def rank_scores(positive: Flags, score: Floats, weights: Floats) -> Floats:
    """(2, R): ROC-AUC and average precision of a score, tiles weighted by (n, R); NaN where a side is empty.

    The area is the share of (positive, negative) pairs in the right order, ties counted as half (Mann and
    Whitney); average precision is scikit-learn's, the step-wise sum of precision over gains in recall.
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(score[order]) != 0, True])  # of each group of equal scores
    found = np.cumsum(weights[order] * positive[order, None], axis=0)[last]
    false = np.cumsum(weights[order] * ~positive[order, None], axis=0)[last]
    gained, missed = np.diff(found, axis=0, prepend=0), np.diff(false, axis=0, prepend=0)
    pairs = found[-1] * false[-1]
    area = _ratio((missed * (found - gained / 2)).sum(axis=0), pairs, np.nan)
    precise = (gained * _ratio(found, found + false, 0.0)).sum(axis=0)
    return np.stack([area, np.where(pairs > 0, _ratio(precise, found[-1], np.nan), np.nan)])


def summarise(
    truth: Ints, predicted: Ints, classes: int, confidence: float, resamples: int, rng: Generator
) -> dict[str, Interval]:
    """Everything that the confusion matrix tells, with intervals."""
    matrix = confusion(truth, predicted, classes)
    values, resampled = from_confusion(matrix), from_confusion(bootstrap_matrices(matrix, resamples, rng))
    values["mcc"] = np.nan_to_num(values["mcc"])  # by convention no better than chance, but of no known precision
    chance = {"mcc": 1 / classes}
    result = {
        name: percentile(float(values[name]), resampled[name], confidence, evidence(truth), chance.get(name, 0.0))
        for name in values
    }
    result["accuracy"] = wilson(int(np.trace(matrix)), len(truth), confidence)
    return result


def by_label(
    matrix: Ints, names: list[str], confidence: float, resamples: int, rng: Generator
) -> dict[str, dict[str, Any]]:
    """Precision, recall and F1 of every label, with intervals and the number of tiles."""
    f1, resampled = per_class_f1(matrix), per_class_f1(bootstrap_matrices(matrix, resamples, rng))
    return {
        name: {
            "n": int(matrix[i].sum()),
            "precision": wilson(int(matrix[i, i]), int(matrix[:, i].sum()), confidence),
            "recall": wilson(int(matrix[i, i]), int(matrix[i].sum()), confidence),
            "f1": percentile(float(f1[i]), resampled[:, i], confidence, int(matrix[i].sum())),
        }
        for i, name in enumerate(names)
    }


def _ratio(above: Any, below: Any, otherwise: float) -> Floats:
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    shares: Floats = np.divide(above, below, out=np.full(above.shape, otherwise), where=below != 0)
    return shares


def interval(value: float, low: float, high: float) -> Interval:
    """Round to six places; NaN, where a metric is undefined, becomes None."""

    def rounded(number: float) -> float | None:
        return None if np.isnan(number) else round(float(number), 6)

    return {"value": rounded(value), "low": rounded(low), "high": rounded(high)}
