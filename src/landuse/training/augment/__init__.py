"""Augmentation of whole batches, each tile by random numbers of its own.

A tile's numbers come with it (``DRAWS`` of them, uniform), so neither the batch it is in nor a resumption can change
what happens to it. Pixels stay in the unit they are stored in.
"""

from landuse.training.augment.batch import apply, mix
from landuse.training.augment.draws import DRAWS

__all__ = ["DRAWS", "apply", "mix"]
