"""How sure the model is: fitted on validation tiles, measured on test tiles."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse import params
from landuse.evaluation import abstention, calibration, conformal, scaling
from landuse.evaluation.scaling import Scaling

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Calibration:
    """What travels with the model: models/calibration.json, and in model.json after the export.

    temperature, power: see ``scaling``; 1 and 1 change nothing. reason: of the choice of them.
    abstention_threshold: no answer where the largest calibrated probability is below it; 0: always an answer.
    conformal_quantile: a label is in the set where 1 - its probability is at most this; None: every label is.
    """

    temperature: float
    power: float
    reason: str
    coverage: float
    abstention_threshold: float
    conformal_method: str
    conformal_coverage: float
    conformal_quantile: float | None

    @property
    def scaling(self) -> Scaling:
        return Scaling(self.temperature, self.power)


def fit(
    logits: npt.NDArray[Any], targets: Ints, settings: params.Evaluate, coordinates: Floats | None = None
) -> Calibration:
    """Choose everything on validation tiles.

    Args:
        logits: (n, classes).
        targets: (n,) below ``classes``.
        settings: of the evaluate stage.
        coordinates: as ``scaling.choose`` takes them.

    Raises:
        UserError: a logit is not a finite number.
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
    )


def measure(
    logits: npt.NDArray[Any], targets: Ints, names: list[str], fitted: Calibration, settings: params.Evaluate
) -> dict[str, dict[str, Any]]:
    """The sections calibration, abstention and conformal of reports/evaluate.json, on the test tiles.

    logits: (n, classes), not scaled; names: of the classes.
    """
    log_p = fitted.scaling.log_probabilities(logits)
    probabilities, right = np.exp(log_p), log_p.argmax(axis=1) == targets

    def measures(scaled: Scaling) -> dict[str, Any]:
        found = scaled.log_probabilities(logits)
        rng = np.random.default_rng(settings.seed)  # the same draws before and after
        return calibration.measures(found, targets, settings.confidence, settings.bootstrap, rng)

    return {
        "calibration": {
            "temperature": fitted.temperature,
            "power": fitted.power,
            "scaled": fitted.scaling != Scaling(),
            "reason": fitted.reason,
            "before": measures(Scaling()),
            "after": measures(fitted.scaling),
            "bins": calibration.BINS,
        },
        "abstention": abstention.section(
            probabilities.max(axis=1), right, fitted.abstention_threshold, fitted.coverage, settings.confidence
        ),
        "conformal": conformal.section(
            probabilities, targets, names, fitted.conformal_quantile, fitted.conformal_coverage, settings.confidence
        ),
    }
