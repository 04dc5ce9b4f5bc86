"""torchvision's ColorJitter for a whole batch, each tile with factors of its own, in a fixed order, which is faster."""

import torch
from torch import Tensor

from landuse.params import Augment
from landuse.training.augment import draws as d


def jitter(settings: Augment, x: Tensor, draws: Tensor, rgb: bool, top: float) -> Tensor:
    """Change brightness, contrast, saturation (the spread of the bands around their mean) and, of RGB tiles, hue.

    top: the largest value there is.
    """

    def factor(column: int, strength: float) -> Tensor:
        return (1 + (draws[:, column] * 2 - 1) * strength).view(-1, 1, 1, 1)

    # clamped in place: each is a new tensor already, and a fresh one of this size costs page faults
    if settings.brightness:
        x = (x * factor(d.BRIGHTNESS, settings.brightness)).clamp_(0, top)
    if settings.contrast:
        mean = _grey(x, rgb).mean(dim=(2, 3), keepdim=True)
        x = torch.lerp(mean, x, factor(d.CONTRAST, settings.contrast)).clamp_(0, top)
    if settings.saturation:
        x = torch.lerp(_grey(x, rgb), x, factor(d.SATURATION, settings.saturation)).clamp_(0, top)
    if settings.hue and rgb:  # other bands have none
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


def _grey(x: Tensor, rgb: bool) -> Tensor:
    """Luma of ITU-R BT.601 for RGB, as torchvision and Pillow have it; the plain mean for other bands."""
    if not rgb:
        return x.mean(dim=1, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)
    return (x * weights).sum(dim=1, keepdim=True)
