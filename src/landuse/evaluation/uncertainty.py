"""How sure the model is: fitted on validation tiles, measured on test tiles."""

from typing import Any

import numpy as np
import numpy.typing as npt

from landuse import params
from landuse.core.arrays import Floats, Ints
from landuse.evaluation import abstention, conformal, reliability, scaling
from landuse.spec.model import Calibration, Network
from landuse.spec.scaling import Scaling


def fit(
    logits: npt.NDArray[Any],
    targets: Ints,
    settings: params.Evaluate,
    members: list[Network],
    coordinates: Floats | None = None,
) -> Calibration:
    """Choose everything on validation tiles.

    logits: (n, classes). targets: (n,) below ``classes``. members: who answers together. coordinates: as
    ``scaling.choose`` takes them.

    Raises UserError: a logit is not a finite number.
    """
    if settings.scaling == "auto":
        scaled, reason = scaling.choose(logits, targets, coordinates, settings.confidence, settings.seed)
    else:
        scaled, reason = scaling.fit(logits, targets, settings.scaling), f"evaluate.scaling is {settings.scaling}"
    probabilities = np.exp(scaled.log_probabilities(logits))
    return Calibration(
        temperature=scaled.temperature,
        power=scaled.power,
        reason=reason,
        coverage=settings.coverage,
        abstention_threshold=abstention.threshold(probabilities.max(axis=1), settings.coverage),
        conformal_method=conformal.METHOD,
        conformal_coverage=settings.conformal_coverage,
        conformal_quantile=conformal.quantile(probabilities, targets, settings.conformal_coverage),
        views=settings.views,
        members=members,
    )


def measure(
    logits: npt.NDArray[Any], targets: Ints, names: list[str], fitted: Calibration, settings: params.Evaluate
) -> dict[str, dict[str, Any]]:
    """The sections calibration, abstention and conformal of reports/evaluate.json, on the test tiles.

    logits: (n, classes), not scaled; names: of the classes.
    """
    log_p = Scaling.of(fitted).log_probabilities(logits)
    probabilities, right = np.exp(log_p), log_p.argmax(axis=1) == targets

    def measures(scaled: Scaling) -> dict[str, Any]:
        found = scaled.log_probabilities(logits)
        rng = np.random.default_rng(settings.seed)  # the same draws before and after
        return reliability.measures(found, targets, settings.confidence, settings.bootstrap, rng)

    return {
        "calibration": {
            "temperature": fitted.temperature,
            "power": fitted.power,
            "scaled": Scaling.of(fitted) != Scaling(),
            "reason": fitted.reason,
            "before": measures(Scaling()),
            "after": measures(Scaling.of(fitted)),
            "bins": reliability.BINS,
        },
        "abstention": abstention.section(
            probabilities.max(axis=1), right, fitted.abstention_threshold, fitted.coverage, settings.confidence
        ),
        "conformal": conformal.section(
            probabilities, targets, names, fitted.conformal_quantile, fitted.conformal_coverage, settings.confidence
        ),
    }
