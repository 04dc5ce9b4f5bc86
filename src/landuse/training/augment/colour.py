"""torchvision's ColorJitter for a whole batch, each tile with factors of its own, in a fixed order, which is faster.

Of other bands than RGB only what light could do: one factor of brightness for all bands, as of the sun's height, and
contrast around each band's own mean, as of haze. Saturation and hue would make spectra that no land has.
"""

import torch
from torch import Tensor

from landuse.params import Augment
from landuse.training.augment import draws as d


def jitter(settings: Augment, x: Tensor, draws: Tensor, rgb: bool, top: float) -> Tensor:
    """Change brightness, contrast and, of RGB tiles, saturation and hue; top: the largest value there is."""

    def factor(column: int, strength: float) -> Tensor:
        return (1 + (draws[:, column] * 2 - 1) * strength).view(-1, 1, 1, 1)

    # clamped in place: each is a new tensor already, and a fresh one of this size costs page faults
    if settings.brightness:
        x = (x * factor(d.BRIGHTNESS, settings.brightness)).clamp_(0, top)
    if settings.contrast:
        mean = (_grey(x) if rgb else x).mean(dim=(2, 3), keepdim=True)
        x = torch.lerp(mean, x, factor(d.CONTRAST, settings.contrast)).clamp_(0, top)
    if settings.saturation and rgb:
        x = torch.lerp(_grey(x), x, factor(d.SATURATION, settings.saturation)).clamp_(0, top)
    if settings.hue and rgb:
        x = turn_hue(x, (draws[:, d.HUE] * 2 - 1) * settings.hue)
    return x


def turn_hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of RGB tiles (B, 3, H, W) by shares of the circle (B,); saturation and value of HSV stay."""
    value, _ = x.max(dim=1)
    chroma = value - x.amin(dim=1)
    red, green, blue = x.unbind(1)
    divisor = torch.where(chroma == 0, 1.0, chroma)
    sixth = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixth = sixth + 6 * turn.view(-1, 1, 1)
    # https://en.wikipedia.org/wiki/HSL_and_HSV#HSV_to_RGB_alternative
    place = (torch.tensor([5.0, 3.0, 1.0], device=x.device).view(1, 3, 1, 1) + sixth[:, None]).remainder(6)
    drop = torch.minimum(place, 4 - place).clamp(0, 1)
    return value[:, None] - chroma[:, None] * drop


def _grey(x: Tensor) -> Tensor:
    """Luma of ITU-R BT.601, as torchvision and Pillow have it."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)
    return (x * weights).sum(dim=1, keepdim=True)
