"""Contracts between training, evaluation, export and what uses a model: free of torch."""

from landuse.spec.answers import Answers
from landuse.spec.model import VERSION, Calibration, ModelSpec, Network, OutOfDistribution

__all__ = ["VERSION", "Answers", "Calibration", "ModelSpec", "Network", "OutOfDistribution"]
