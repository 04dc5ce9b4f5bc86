"""Augmentation of whole batches, in the stored unit: each tile by ``DRAWS`` random numbers of its own, in any batch."""

from landuse.training.augment.batch import apply, mix
from landuse.training.augment.draws import DRAWS

__all__ = ["DRAWS", "apply", "mix"]
