"""Scaling of logits, fitted on validation tiles, so that a probability means what it says.

Logits ``z`` become ``-(max(z) - z) ** power / temperature``: the order of the labels stays. With a power of 1 this is
temperature scaling (Guo et al. 2017, ICML). One temperature cannot undo label smoothing or mixup: they bound the gap
between logits, so that what is almost certain and what is certain lie close together. A power above 1 pulls them
apart; it makes a two-parameter member of the order-preserving maps of Rahimi et al. (2020, NeurIPS).

Both minimise the negative log-likelihood in double precision, with half a tile added that is wrong (as Platt 1999
softens his targets): else a validation part without an error would drive the temperature to 0, and certainty.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import log_softmax
from scipy.stats import t as student
from sklearn.cluster import KMeans

from landuse.core.arrays import Floats, Ints
from landuse.core.geography import PLACE, on_the_sphere
from landuse.params.deliverables import Scaler
from landuse.spec.scaling import Scaling, scaled
from landuse.spec.scaling import gaps as all_gaps

_TEMPERATURES, _POWERS = (0.02, 50.0), (0.25, 4.0)  # bounds of the search, far beyond what networks need
_FOLDS = 5
_RIVALS: tuple[Scaler, ...] = ("temperature", "power")  # the simpler one first


def fit(logits: npt.NDArray[Any], targets: Ints, scaler: Scaler) -> Scaling:
    """Fit to tiles that the network did not learn from. logits: (n, classes); targets: (n,) below ``classes``.

    Raises UserError: a logit is not a finite number.
    """
    gaps = all_gaps(logits)
    if scaler == "none":
        return Scaling()
    log_gaps = np.log(gaps, out=np.zeros_like(gaps), where=gaps > 0)
    softened = 0.5 / (len(gaps) + 1)
    wanted = np.full(gaps.shape, softened / (gaps.shape[1] - 1))
    wanted[np.arange(len(gaps)), targets] = 1 - softened

    def loss(at: Floats) -> tuple[float, Floats]:
        temperature, power = np.exp(at)
        log_p = scaled(gaps, temperature, power)
        pull = (np.exp(log_p) - wanted) * gaps**power / temperature  # of a logit, times the logit's size
        slopes = np.array([pull.sum(), -(pull * log_gaps).sum() * power])
        return float(-(wanted * log_p).sum() / len(gaps)), slopes / len(gaps)

    bounds = [_TEMPERATURES, _POWERS if scaler == "power" else (1.0, 1.0)]
    found = minimize(
        loss, np.zeros(2), jac=True, method="L-BFGS-B", bounds=np.log(bounds), options={"ftol": 1e-13, "gtol": 1e-8}
    )
    return Scaling(*(round(float(value), 6) for value in np.exp(found.x)))


def choose(
    logits: npt.NDArray[Any], targets: Ints, coordinates: Floats | None, confidence: float, seed: int
) -> tuple[Scaling, str]:
    """Choose no scaling, temperature scaling or that with a power, on validation tiles alone; and say why.

    Each is fitted on four fifths and judged by the negative log-likelihood of the rest. The simpler one stays unless
    the interval of the other's gain (Student's t) lies above 0. Where coordinates are known, the fifths are regions
    (k-means, as Brenning 2012 for spatial cross-validation) and each counts as one observation: what does not carry
    over from four regions to the fifth is no good elsewhere either. Without them each tile is an observation.

    coordinates: (n, 2) latitude and longitude in degrees, not used where one is NaN; None also where the test tiles
        lie among these, so that nothing has to carry over.
    """
    if len(targets) < _FOLDS:
        return Scaling(), f"none: {len(targets)} validation tiles are too few to tell"
    regions, places = None, pd.DataFrame(coordinates, columns=PLACE)
    if len(places.drop_duplicates()) >= _FOLDS and not places.isna().any(axis=None):
        regions = KMeans(_FOLDS, n_init=10, random_state=seed).fit_predict(on_the_sphere(places))
    folds = np.random.default_rng(seed).permutation(len(targets)) % _FOLDS if regions is None else regions
    chosen: Scaler = "none"
    kept = nll(log_softmax(logits.astype(np.float64), axis=1), targets)
    found = []
    for rival in _RIVALS:
        held_out = np.empty(len(targets))
        for fold in range(_FOLDS):
            rest, part = folds != fold, folds == fold
            held_out[part] = nll(fit(logits[rest], targets[rest], rival).log_probabilities(logits[part]), targets[part])
        gain = kept - held_out
        units = gain if regions is None else np.array([gain[regions == region].mean() for region in range(_FOLDS)])
        half = student.ppf((1 + confidence) / 2, len(units) - 1) * units.std(ddof=1) / np.sqrt(len(units))
        low, high = units.mean() - half, units.mean() + half
        found.append(f"{rival} lowers it by {units.mean():.4f} ({low:.4f} to {high:.4f})")
        if low > 0:
            chosen, kept = rival, held_out
    where = "in parts of validation left out" if regions is None else "in regions of validation left out"
    return fit(logits, targets, chosen), f"{chosen}: NLL {where}: {', '.join(found)}"


def nll(log_p: Floats, targets: Ints) -> Floats:
    """Negative log-likelihood of every tile, (n,)."""
    return -log_p[np.arange(len(targets)), targets]
