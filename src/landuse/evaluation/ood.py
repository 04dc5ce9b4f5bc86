"""Out-of-distribution tiles: how well do scores tell tiles of known labels from those of classes kept aside?

Every score is higher where a tile looks more like what was learnt.

max_softmax: the largest probability (Hendrycks and Gimpel 2017, ICLR).
energy: logsumexp of the logits (Liu et al. 2020, NeurIPS).
mahalanobis: minus the smallest squared distance to the mean of a label, with one shrunk covariance (Lee et al. 2018,
    NeurIPS; shrinkage of Ledoit and Wolf 2004), of statistics of middle stages and principal components of the last.
knn: minus the distance to the tenth nearest of the reference tiles, statistics of length 1 (Sun et al. 2022, ICML).
reconstruction: minus the error of an autoencoder, where the training began with one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular
from scipy.special import log_softmax, logsumexp
from sklearn.covariance import ledoit_wolf
from sklearn.neighbors import NearestNeighbors

from landuse import params
from landuse.core.arrays import Flags, Floats, Floats32
from landuse.core.errors import UserError
from landuse.evaluation.metrics import Interval, interval, percentile
from landuse.spec.answers import Answers
from landuse.spec.neighbours import unit

_NEIGHBOURS = 10
_RECALL = 0.95
# of the last stage, in the Mahalanobis distance: principal components, and how much they weigh (docs/uncertainty.md)
_COMPONENTS, _WEIGHT = 64, 0.2


@dataclass(frozen=True)
class Reference:
    """Tiles of known labels that the network did not learn from, and what is fitted to them."""

    last: Floats32  # (F, components) directions in which features of length 1 vary most
    means: Floats  # (labels, D), whitened
    whitening: Floats  # (D, D) lower triangle; what ``_joined`` gives is divided by it
    neighbours: NearestNeighbors  # by their statistics

    @classmethod
    def fit(cls, known: Answers) -> Self:
        """Raises UserError: a feature is not a finite number."""
        _refuse_no_number(known.features, known.statistics)
        spread = unit(known.features) - unit(known.features).mean(axis=0)
        last = np.linalg.eigh(spread.T @ spread)[1][:, -_COMPONENTS:]
        joined = _joined(known, last)
        labels, number = np.unique(known.targets, return_inverse=True)
        means = np.stack([joined[known.targets == label].mean(axis=0) for label in labels])
        covariance, _ = ledoit_wolf(joined - means[number], assume_centered=True)
        # features that never vary, or one tile a label, leave nothing to divide by
        covariance[np.diag_indices(len(covariance))] += 1e-6 * np.trace(covariance) / len(covariance) or 1.0
        triangle = cholesky(covariance, lower=True)
        nearest = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(known)), algorithm="brute")
        return cls(last, _divided(means, triangle), triangle, nearest.fit(unit(known.statistics)))


def scores(answers: Answers, reference: Reference) -> dict[str, Floats]:
    """Each score of every tile, (n,), from logits that are not scaled.

    Raises UserError: a logit or a feature is not a finite number.
    """
    _refuse_no_number(answers.logits, answers.features, answers.statistics)
    wide, white = answers.pooled().astype(np.float64), _divided(_joined(answers, reference.last), reference.whitening)
    squares = np.min([((white - mean) ** 2).sum(axis=1) for mean in reference.means], axis=0)
    distances = reference.neighbours.kneighbors(unit(answers.statistics))[0].astype(np.float64)
    found = {
        "max_softmax": log_softmax(wide, axis=1).max(axis=1),  # the logarithm tells apart what rounds to 1
        "energy": logsumexp(wide, axis=1),
        "mahalanobis": -squares,
        "knn": -distances[:, -1],
    }
    errors = answers.reconstruction
    return found if errors is None else found | {"reconstruction": -errors.astype(np.float64)}


def section(
    inside: Mapping[str, Floats], outside: Mapping[str, Floats], classes: Sequence[str], settings: params.Evaluate
) -> dict[str, Any] | None:
    """The section ood of reports/evaluate.json; None where no class is kept aside.

    inside, outside: ``scores`` of the test tiles and of the tiles kept aside, classes: the class of each of those.
    """
    names = np.asarray(classes)
    if not len(names):
        return None

    def separated(score: str, chosen: Flags) -> dict[str, Interval]:
        rng = np.random.default_rng(settings.seed)
        return separation(inside[score], outside[score][chosen], settings.confidence, settings.bootstrap, rng)

    found = {score: separated(score, np.ones(len(names), dtype=bool)) for score in inside}
    best = max(found, key=lambda score: found[score]["auroc"]["value"] or 0.0)
    counted = dict(zip(*np.unique(names, return_counts=True), strict=True))
    return {
        "n": len(names),
        "classes": {str(name): int(count) for name, count in counted.items()},
        "scores": found,
        "best": best,
        "by_class": {str(name): separated(best, names == name)["auroc"] for name in counted},
    }


def separation(
    inside: Floats, outside: Floats, confidence: float, resamples: int, rng: np.random.Generator
) -> dict[str, Interval]:
    """AUROC, and the share of tiles outside that pass where 95 % of those inside do (FPR95), by the bootstrap.

    AUROC is the share of pairs in the right order, ties counted as half. Both sets of tiles are resampled.
    """
    n, m = len(inside), len(outside)
    ranked = np.sort(inside)
    lower, upper = np.searchsorted(ranked, outside, "left"), np.searchsorted(ranked, outside, "right")

    def measured(weights: Floats, others: Floats) -> tuple[float, float]:
        """The same from how often each tile is drawn: (n,) as in ``ranked``, (m,) as in ``outside``."""
        below = np.concatenate([[0.0], np.cumsum(weights)])
        limit = ranked[np.searchsorted(below[1:], (1 - _RECALL) * n + 1e-9, side="right")]
        return 1 - others @ (below[lower] + below[upper]) / (2 * n * m), others @ (outside >= limit) / m

    def drawn(count: int) -> Floats:
        return np.bincount(rng.integers(0, count, count), minlength=count).astype(np.float64)

    auroc, fpr = measured(np.ones(n), np.ones(m))
    resampled = np.array([measured(drawn(n), drawn(m)) for _ in range(resamples)])
    kept_out = percentile(1 - fpr, 1 - resampled[:, 1], confidence, m)
    assert kept_out["low"] is not None and kept_out["high"] is not None
    return {
        "auroc": percentile(auroc, resampled[:, 0], confidence, 2 * min(n, m)),
        "fpr95": interval(fpr, 1 - kept_out["high"], 1 - kept_out["low"]),
    }


def _joined(answers: Answers, last: Floats32) -> Floats:
    """(n, D) statistics of the middle stages beside principal components of the last."""
    return np.hstack([answers.statistics, _WEIGHT * unit(answers.features) @ last], dtype=np.float64)


def _divided(joined: Floats, triangle: Floats) -> Floats:
    white: Floats = solve_triangular(triangle, joined.T, lower=True, check_finite=False).T
    return white


def _refuse_no_number(*arrays: npt.NDArray[Any]) -> None:
    if not all(np.isfinite(values).all() for values in arrays):
        raise UserError("the model predicts values that are not numbers: train it again with a lower train.lr")
