"""Tiles and labels of a batch mixed with each other: mixup (Zhang et al. 2017), cutmix (Yun et al. 2019)."""

import torch
from torch import Tensor
from torchvision.transforms import v2

from landuse.params import Augment


def mix(settings: Augment, pixels: Tensor, targets: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Mix each tile with its neighbour in the batch by torchvision's MixUp or CutMix; given both, by one of them.

    Draws from torch's global generator, which the training loop seeds for each batch.

    targets: (B,) int64. Returned are (B, classes) float32 shares, or the targets as they were if nothing is mixed.
    """
    kinds = []
    if settings.mixup:
        kinds.append(v2.MixUp(alpha=settings.mixup, num_classes=classes))
    if settings.cutmix:
        kinds.append(v2.CutMix(alpha=settings.cutmix, num_classes=classes))
    if not kinds:
        return pixels, targets
    mixed: tuple[Tensor, Tensor] = kinds[int(torch.randint(len(kinds), ()))](pixels, targets)
    return mixed
