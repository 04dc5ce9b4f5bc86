"""Augmentation of whole batches, each tile by random numbers of its own.

A tile's numbers come with it (``DRAWS`` of them, uniform), so neither the batch it is in nor a resumption can change
what happens to it. Pixels stay in the unit they are stored in.
"""

from torch import Tensor

from landuse.augment import colour, geometry, patches
from landuse.augment.draws import DRAWS
from landuse.augment.mixing import mix
from landuse.augment.views import Views, views
from landuse.params import Augment

__all__ = ["DRAWS", "Views", "apply", "mix", "views"]


def apply(settings: Augment, pixels: Tensor, draws: Tensor) -> Tensor:
    """Augment a batch: flips and turns, one resampling, colour, RandAugment, an erased box.

    pixels: (B, C, H, W), channels-last, in the stored dtype; 3 channels are RGB in 0..255, others digital numbers in
        0..65535.
    draws: (B, DRAWS) in [0, 1), on the same device. Returned is float32.

    Raises:
        UserError: the settings need RGB and the tiles are not.
    """
    x = geometry.flip(settings, pixels, draws).float()  # flips move bytes, and floats are four
    x = geometry.resample(settings, x, draws)
    x = colour.jitter(settings, x, draws)
    x = patches.rand_augment(settings, x, draws)
    return patches.erase(settings, x, draws)
