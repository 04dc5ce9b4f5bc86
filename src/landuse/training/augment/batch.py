"""All that is done to a batch: each tile by itself, then tiles with each other."""

import torch
from torch import Tensor
from torchvision.transforms import v2

from landuse.params import Augment
from landuse.training.augment import colour, geometry, patches


def apply(settings: Augment, pixels: Tensor, draws: Tensor, rgb: bool | None, layers: int = 0) -> Tensor:
    """Augment a batch: flips and turns, one resampling, colour, RandAugment, an erased box.

    pixels: (B, C, H, W), channels-last, in the stored dtype. draws: (B, DRAWS) in [0, 1), on the same device. rgb: red,
    green and blue in 0..255; else any bands, up to what their dtype holds (floats: 65535). layers: how many of the last
    channels are no light, so that their values stay. Returned is float32. Raises UserError where RandAugment gets tiles
    that are not RGB.
    """
    assert rgb is not None, "whoever augments must say whether tiles are RGB"
    x = geometry.flip(settings, pixels, draws).float()  # flips move bytes, and floats are four
    x = geometry.resample(settings, x, draws)
    bands, top = x.shape[1] - layers, 255.0 if rgb or pixels.dtype == torch.uint8 else 65535.0
    light = colour.jitter(settings, x[:, :bands], draws, rgb, top)
    x = torch.cat([light, x[:, bands:]], dim=1) if layers else light
    x = patches.rand_augment(settings, x, draws, rgb)
    return patches.erase(settings, x, draws)


def mix(settings: Augment, pixels: Tensor, targets: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Mix each tile with its neighbour by mixup (Zhang et al. 2017) or cutmix (Yun et al. 2019), or by one of both.

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
