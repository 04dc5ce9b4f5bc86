"""Metrics of a classifier on its test tiles, each with an interval.

Proportions (accuracy, precision, recall) have Wilson's interval (Wilson 1927, J. Am. Stat. Assoc. 22). The others
have the percentile interval of the bootstrap over tiles (Efron 1979); whatever depends on the confusion matrix
alone is resampled as one multinomial draw of its cells, which is the same thing and a thousand times faster.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

Floats = npt.NDArray[np.float64]
Interval = dict[str, float | None]  # value, low, high; None where a metric is undefined


def wilson(successes: int, count: int, confidence: float) -> Interval:
    """A proportion with Wilson's score interval; undefined for a count of 0."""
    if count == 0:
        return _interval(np.nan, np.nan, np.nan)
    z = float(norm.ppf((1 + confidence) / 2))
    share = successes / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return _interval(share, max(0.0, centre - half), min(1.0, centre + half))


def confusion(truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int) -> npt.NDArray[np.int64]:
    """(classes, classes) counts; rows are the truth, columns the prediction."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def from_confusion(matrix: npt.NDArray[Any]) -> dict[str, Floats]:
    """Metrics of confusion matrices (..., C, C), each (...).

    Balanced accuracy is the mean recall of the classes that the truth holds; precision and F1 of a class that
    is never predicted are 0; MCC is Gorodkin's R_K (2004, Comput. Biol. Chem. 28), 0 where undefined.
    """
    m = matrix.astype(np.float64)
    hits = np.diagonal(m, axis1=-2, axis2=-1)
    actual, predicted, total = m.sum(-1), m.sum(-2), m.sum((-2, -1))
    recall = _ratio(hits, actual, np.nan)
    precision = np.where(actual > 0, _ratio(hits, predicted, 0.0), np.nan)
    f1 = np.where(actual > 0, _ratio(2 * hits, actual + predicted, 0.0), np.nan)
    covariance = hits.sum(-1) * total - (actual * predicted).sum(-1)
    spread = np.sqrt((total**2 - (predicted**2).sum(-1)) * (total**2 - (actual**2).sum(-1)))
    return {
        "accuracy": hits.sum(-1) / total,
        "balanced_accuracy": np.nanmean(recall, axis=-1),
        "macro_precision": np.nanmean(precision, axis=-1),
        "macro_recall": np.nanmean(recall, axis=-1),
        "macro_f1": np.nanmean(f1, axis=-1),
        "mcc": _ratio(covariance, spread, 0.0),
    }


def per_class_f1(matrix: npt.NDArray[Any]) -> Floats:
    """F1 of every class, (..., C); NaN for a class that is neither there nor predicted."""
    m = matrix.astype(np.float64)
    hits = np.diagonal(m, axis1=-2, axis2=-1)
    return _ratio(2 * hits, m.sum(-1) + m.sum(-2), np.nan)


def bootstrap_matrices(
    matrix: npt.NDArray[np.int64], resamples: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """(resamples, C, C) confusion matrices of tiles drawn with replacement."""
    count = int(matrix.sum())
    drawn = rng.multinomial(count, matrix.reshape(-1) / count, size=resamples)
    return drawn.reshape(resamples, *matrix.shape)


def percentile(value: float, resampled: npt.NDArray[Any], confidence: float) -> Interval:
    """A value with the percentile interval of its resamples; undefined resamples are left out."""
    defined = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(defined):
        return _interval(value, np.nan, np.nan)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return _interval(value, low, high)


def roc_auc(truth: npt.NDArray[np.int64], probabilities: Floats, weights: Floats | None = None) -> Floats:
    """Area under the ROC curve, (R,) for weights (R, n), else (1,).

    Two classes: that of the second. More: the mean over the classes of each against the rest. NaN where a
    class is missing.
    """
    w = np.ones((1, len(truth))) if weights is None else weights
    columns: Iterable[int] = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas: Floats = np.mean([_auc(truth == column, probabilities[:, column], w) for column in columns], axis=0)
    return areas


def bootstrap_auc(
    truth: npt.NDArray[np.int64], probabilities: Floats, resamples: int, rng: np.random.Generator
) -> Floats:
    """(resamples,) ROC-AUC of tiles drawn with replacement, as integer weights; in chunks to bound the memory."""
    count, parts = len(truth), []
    chunk = max(1, 2_000_000 // count)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        weights = rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
        parts.append(roc_auc(truth, probabilities, weights))
    return np.concatenate(parts)


def _auc(positive: npt.NDArray[np.bool_], score: Floats, weights: Floats) -> Floats:
    """Share of (positive, negative) pairs in the right order, ties counted as half (Mann and Whitney)."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])  # one group for each distinct score
    ups = np.add.reduceat(weights[:, order] * positive[order], starts, axis=1)
    downs = np.add.reduceat(weights[:, order] * ~positive[order], starts, axis=1)
    below = np.cumsum(downs, axis=1) - downs
    pairs = ups.sum(1) * downs.sum(1)
    return _ratio((ups * (below + downs / 2)).sum(1), pairs, np.nan)


def summarise(
    truth: npt.NDArray[np.int64],
    predicted: npt.NDArray[np.int64],
    classes: int,
    confidence: float,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """Everything that the confusion matrix tells, with intervals."""
    matrix = confusion(truth, predicted, classes)
    values, resampled = from_confusion(matrix), from_confusion(bootstrap_matrices(matrix, resamples, rng))
    result = {name: percentile(float(values[name]), resampled[name], confidence) for name in values}
    result["accuracy"] = wilson(int(np.trace(matrix)), int(matrix.sum()), confidence)
    return result


def by_label(
    matrix: npt.NDArray[np.int64], names: list[str], confidence: float, resamples: int, rng: np.random.Generator
) -> dict[str, dict[str, Any]]:
    """Precision, recall and F1 of every label, with intervals and the number of tiles."""
    f1, resampled = per_class_f1(matrix), per_class_f1(bootstrap_matrices(matrix, resamples, rng))
    return {
        name: {
            "n": int(matrix[i].sum()),
            "precision": wilson(int(matrix[i, i]), int(matrix[:, i].sum()), confidence),
            "recall": wilson(int(matrix[i, i]), int(matrix[i].sum()), confidence),
            "f1": percentile(float(f1[i]), resampled[:, i], confidence),
        }
        for i, name in enumerate(names)
    }


def _ratio(above: Any, below: Any, otherwise: float) -> Floats:
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    shares: Floats = np.divide(above, below, out=np.full(above.shape, otherwise), where=below != 0)
    return shares


def _interval(value: float, low: float, high: float) -> Interval:
    def rounded(number: float) -> float | None:
        return None if np.isnan(number) else round(float(number), 6)

    return {"value": rounded(value), "low": rounded(low), "high": rounded(high)}
