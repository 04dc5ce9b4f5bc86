"""From logits to probabilities."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from landuse.core.errors import UserError
from landuse.spec.model import Calibration

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """Logits ``z`` become ``-(max(z) - z) ** power / temperature``; 1 and 1 change nothing."""

    temperature: float = 1.0
    power: float = 1.0

    @classmethod
    def of(cls, fitted: Calibration) -> Self:
        return cls(fitted.temperature, fitted.power)

    def log_probabilities(self, logits: npt.NDArray[Any]) -> Floats:
        """(n, classes) logits, or log mean probabilities -> (n, classes); raises UserError for what is no number."""
        return scaled(gaps(logits), self.temperature, self.power)


def gaps(logits: npt.NDArray[Any]) -> Floats:
    """How far each of (n, classes) logits is below the largest of its tile; raises UserError for what is no number."""
    if not np.isfinite(logits).all():
        raise UserError("the model predicts values that are not numbers: train it again with a lower train.lr")
    wide = logits.astype(np.float64)
    found: Floats = wide.max(axis=1, keepdims=True) - wide
    return found


def scaled(gaps: Floats, temperature: float, power: float) -> Floats:
    """Logarithms of the probabilities, (n, classes)."""
    from scipy.special import log_softmax  # whoever uses a model has no SciPy

    log_p: Floats = log_softmax(-(gaps**power) / temperature, axis=1)
    return log_p
