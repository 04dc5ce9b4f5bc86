"""Abstention: no answer for the tiles that the model is least certain of (selective classification, Chow 1970).

The score is the largest calibrated probability. The threshold comes from validation tiles, so the coverage on the test
tiles is about the one asked for; it is measured there, and so is the accuracy on what is kept.
"""

from typing import Any

import numpy as np
import pandas as pd

from landuse.core.arrays import Flags, Floats
from landuse.evaluation.metrics import share, wilson

SCORE = "max_probability"
_POINTS = 200  # of the curve; further points would not show


def threshold(score: Floats, coverage: float) -> float:
    """The largest threshold that keeps at least the share ``coverage`` of validation tiles, those at it included.

    Rounded down to the six places that files hold, so that what was kept stays kept. A coverage of 1 keeps every
    tile, also one less certain than any in validation: 0.
    """
    if coverage == 1:
        return 0.0
    kept = int(np.ceil(coverage * len(score) - 1e-9))  # 0.95 * 100 is a little more than 95
    return float(np.floor(np.sort(score)[len(score) - kept] * 1e6) / 1e6)


def section(score: Floats, right: Flags, limit: float, asked: float, confidence: float) -> dict[str, Any]:
    """The section abstention of reports/evaluate.json. score, right: (n,) of the test tiles; limit: the threshold."""
    kept = score >= limit
    return {
        "score": SCORE,
        "coverage_asked": asked,
        "threshold": limit,
        "coverage": share(kept, confidence),
        "accuracy": share(right[kept], confidence),
        "abstained": int((~kept).sum()),
    }


def curve(score: Floats, right: Flags, confidence: float) -> pd.DataFrame:
    """plots/abstention.csv: accuracy on what is kept, with Wilson's interval, against coverage of the test tiles.

    One row for every threshold that tells tiles apart, from the strictest to keeping all; of many 200, evenly.
    """
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.r_[np.diff(ranked) != 0, True])  # of each group of equal scores
    shown = last[np.unique(np.linspace(0, len(last) - 1, _POINTS).round().astype(np.int64))]
    hits = np.cumsum(right[order])[shown]
    ends = pd.DataFrame([wilson(int(k), int(n), confidence) for k, n in zip(hits, shown + 1, strict=True)])
    table = {"coverage": (shown + 1) / len(score), "accuracy": hits / (shown + 1)}
    return pd.DataFrame(table).join(ends[["low", "high"]]).assign(threshold=ranked[shown])
