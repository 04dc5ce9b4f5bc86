"""Conformal prediction sets: labels that hold the true one for a stated share of tiles.

Split conformal prediction with the score 1 - p of the true label (LAC: Sadinle, Lei and Wasserman 2019, J. Am. Stat.
Assoc. 114; Angelopoulos and Bates 2021). Whatever the model, the coverage holds on average over tiles that are like the
validation tiles; not for each label, and not elsewhere. Of methods with that promise LAC has the smallest sets on
average. A set may be empty, where no label is likely enough.
"""

from typing import Any

import numpy as np

from landuse.core.arrays import Flags, Floats, Ints
from landuse.evaluation.metrics import share

METHOD = "lac"


def quantile(probabilities: Floats, targets: Ints, coverage: float) -> float | None:
    """The score that the share ``coverage`` of validation tiles does not exceed, with the correction for their number.

    probabilities: (n, classes). It is the k-th smallest score, k = ceil((n + 1) coverage), rounded up to six places.
    None where k > n: so few tiles promise nothing less than the set of all labels.
    """
    scores = 1 - probabilities[np.arange(len(targets)), targets]
    k = int(np.ceil((len(scores) + 1) * coverage - 1e-9))
    return None if k > len(scores) else float(np.ceil(np.sort(scores)[k - 1] * 1e6) / 1e6)


def sets(probabilities: Floats, limit: float | None) -> Flags:
    """(n, classes): which labels are in the set of each tile. limit: from ``quantile``."""
    if limit is None:
        return np.ones(probabilities.shape, dtype=bool)
    inside: Flags = 1 - probabilities <= limit
    return inside


def section(
    probabilities: Floats, targets: Ints, names: list[str], limit: float | None, asked: float, confidence: float
) -> dict[str, Any]:
    """The section conformal of reports/evaluate.json. probabilities: (n, classes) of the test tiles."""
    inside = sets(probabilities, limit)
    held, sizes = inside[np.arange(len(targets)), targets], inside.sum(axis=1)
    counts = np.bincount(sizes)
    return {
        "method": METHOD if limit is not None else "all labels: too few validation tiles for the coverage asked",
        "coverage_asked": asked,
        "coverage": share(held, confidence),
        "mean_size": round(float(sizes.mean()), 6),
        "sizes": {str(size): int(count) for size, count in enumerate(counts) if count},
        "by_label": {name: share(held[targets == i], confidence) for i, name in enumerate(names)},
    }
