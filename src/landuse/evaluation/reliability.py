"""Calibration: of the tiles that are given a probability of 0.9, nine in ten should be right.

ECE (expected calibration error, Naeini et al. 2015, AAAI) is the mean over bins of |accuracy - mean confidence|,
weighted by tiles; bins hold equally many tiles (Nixon et al. 2019), tiles of equal confidence stay together. Binning
hides what cancels within a bin: the true error is larger (Kumar et al. 2019, NeurIPS). Chance moves every bin: also a
perfectly calibrated model shows more than 0. Resampling adds that chance a second time, so percentiles of resampled
ECEs lie too high. The interval here is ECE +- q instead, q the quantile of what chance may have moved: by the triangle
inequality the error of these bins is inside at least as often as stated.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.random import Generator

from landuse.core.arrays import Floats, Ints
from landuse.evaluation.metrics import Interval, interval, wilson
from landuse.evaluation.scaling import nll
from landuse.spec.scaling import Scaling

BINS = 15  # as Guo et al. 2017


def brier(log_p: Floats, targets: Ints) -> Floats:
    """Brier's (1950) score of every tile, (n,): squared differences over all labels; 0 to 2."""
    missed = np.exp(log_p)
    missed[np.arange(len(targets)), targets] -= 1
    squares: Floats = (missed**2).sum(axis=1)
    return squares


def measures(log_p: Floats, targets: Ints, confidence: float, resamples: int, rng: Generator) -> dict[str, Interval]:
    """ECE, mean NLL (nats) and mean Brier score with intervals; those of the means are the bootstrap's percentiles."""
    tiles = np.stack([nll(log_p, targets), brier(log_p, targets)])
    means = np.stack([tiles[:, rng.integers(0, len(targets), len(targets))].mean(axis=1) for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    value = tiles.mean(axis=1)
    return {
        "ece": _ece(log_p, targets, confidence, resamples, rng),
        "nll": interval(value[0], low[0], high[0]),
        "brier": interval(value[1], low[1], high[1]),
    }


def reliability(log_p: Floats, targets: Ints, confidence: float) -> pd.DataFrame:
    """One row a bin: mean confidence, accuracy, count, and Wilson's interval (low, high) of the accuracy."""
    said, right, count = _bins(log_p, targets)
    ends = [wilson(round(k * n), n, confidence) for k, n in zip(right, count.tolist(), strict=True)]
    table = pd.DataFrame({"confidence": said, "accuracy": right, "count": count})
    return table.join(pd.DataFrame(ends)[["low", "high"]])


def before_and_after(logits: npt.NDArray[Any], targets: Ints, scaling: Scaling, confidence: float) -> pd.DataFrame:
    """plots/reliability.csv: ``reliability`` of test tiles before and after scaling, named in the column stage."""
    scalings = {"before": Scaling(), "after": scaling}
    tables = {stage: reliability(of.log_probabilities(logits), targets, confidence) for stage, of in scalings.items()}
    return pd.concat(tables, names=["stage"]).reset_index("stage").reset_index(drop=True)


def _ece(log_p: Floats, targets: Ints, confidence: float, resamples: int, rng: Generator) -> Interval:
    said, right, count = _bins(log_p, targets)
    share = count / count.sum()
    value = float(share @ np.abs(right - said))
    # how often tiles of a bin are really right is not known: of what was said and what was seen the less certain
    rate = np.where(np.abs(right - 0.5) < np.abs(said - 0.5), right, said)
    chance = np.abs(rng.binomial(count, rate, size=(resamples, len(count))) / count - rate) @ share
    reach = float(np.quantile(chance, confidence))
    return interval(value, max(0.0, value - reach), min(1.0, value + reach))


def _bins(log_p: Floats, targets: Ints) -> tuple[Floats, Floats, Ints]:
    """Mean confidence, accuracy and number of tiles of every bin that is not empty."""
    said = np.exp(log_p.max(axis=1))
    edges = np.quantile(said, np.linspace(0, 1, BINS + 1)[1:-1])
    number = np.unique(np.searchsorted(edges, said), return_inverse=True)[1]
    count = np.bincount(number)
    right = np.bincount(number, log_p.argmax(axis=1) == targets)
    return np.bincount(number, said) / count, right / count, count
