"""Erased boxes, and RandAugment."""

import math

import torch
from torch import Tensor
from torchvision.transforms import v2

from landuse.core.errors import UserError
from landuse.params import Augment
from landuse.training.augment import draws as d

_AREA = (0.02, 0.33)  # share of the tile, and ratio of the sides: as torchvision's RandomErasing
_RATIO = (0.3, 3.3)


def erase(settings: Augment, x: Tensor, draws: Tensor) -> Tensor:
    """Fill a random box of some tiles with the tile's own mean (Zhong et al. 2017); zero would be a black lake."""
    if not settings.erase:
        return x
    height, width = x.shape[2:]
    area = height * width * (_AREA[0] + draws[:, d.BOX_AREA] * (_AREA[1] - _AREA[0]))
    low, high = (math.log(ratio) for ratio in _RATIO)
    ratio = torch.exp(low + draws[:, d.BOX_RATIO] * (high - low))
    box_height = (area * ratio).sqrt().round().clamp(1, height)
    box_width = (area / ratio).sqrt().round().clamp(1, width)
    rows = _inside(draws[:, d.BOX_TOP], box_height, height)
    columns = _inside(draws[:, d.BOX_LEFT], box_width, width)
    erased = (draws[:, d.ERASED] < settings.erase).view(-1, 1, 1)
    box = (rows[:, :, None] & columns[:, None, :] & erased)[:, None]
    return torch.where(box, x.mean(dim=(2, 3), keepdim=True), x)


def _inside(place: Tensor, length: Tensor, size: int) -> Tensor:
    """(B, size): whether a pixel lies within a stretch of the given length, which lies at a random place."""
    start = (place * (size - length + 1)).floor()[:, None]
    position = torch.arange(size, device=place.device)[None]
    return (position >= start) & (position < start + length[:, None])


def rand_augment(settings: Augment, x: Tensor, draws: Tensor, rgb: bool) -> Tensor:
    """Apply torchvision's RandAugment (Cubuk et al. 2019), tile by tile, each seeded by its own draws.

    What moves in from outside has the tile's mean colour. Raises UserError where tiles are not RGB.
    """
    if settings.randaugment is None:
        return x
    if not rgb:
        raise UserError("randaugment needs RGB tiles: choose another augmentation, or set data.bands to rgb")
    tiles = x.round().to(torch.uint8).cpu()
    seeds = (draws[:, [d.SEED_HIGH, d.SEED_LOW]].double().cpu() * 2**24).long()
    done = []
    with torch.random.fork_rng(devices=[]):
        for tile, (high, low) in zip(tiles, seeds.tolist(), strict=True):
            torch.manual_seed(high * 2**24 + low)
            fill = tile.float().mean(dim=(1, 2)).tolist()
            operations = v2.RandAugment(settings.randaugment.ops, settings.randaugment.magnitude, fill=fill)
            done.append(operations(tile))
    return torch.stack(done).to(x.device, x.dtype)
