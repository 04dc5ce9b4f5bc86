"""Where pixels go: exact flips and turns, and one resampling for everything else."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from landuse.params import Augment
from landuse.training.augment import draws as d

_LOG_RATIO = math.log(4 / 3)  # of a crop's sides, at most: as torchvision's RandomResizedCrop


def flip(settings: Augment, x: Tensor, draws: Tensor) -> Tensor:
    """Mirror, and for dihedral also transpose, each with probability 1/2: no pixel changes its value, of any dtype.

    It is one selection of pixels as bytes, nine times faster than choices (``torch.where``) between batches of floats.
    """
    across, down, diagonal = settings.hflip, settings.vflip, settings.dihedral
    if not (across or down or diagonal):
        return x
    batch, _, height, width = x.shape
    chosen = draws < 0.5
    column, row = torch.arange(width, device=x.device), torch.arange(height, device=x.device)
    if across or diagonal:
        column = torch.where(chosen[:, d.HFLIP, None], column.flip(0), column)
    if down or diagonal:
        row = torch.where(chosen[:, d.VFLIP, None], row.flip(0), row)
    column, row = column.expand(batch, width), row.expand(batch, height) * width
    if diagonal:
        turned = chosen[:, d.TRANSPOSE, None]
        column, row = torch.where(turned, row, column), torch.where(turned, column, row)
    tile = torch.arange(batch, device=x.device).view(-1, 1, 1) * (height * width)
    address = tile + row[:, :, None] + column[:, None, :]
    pixels = x.permute(0, 2, 3, 1).contiguous().view(torch.uint8)  # bytes: not every device selects every dtype
    selected = pixels.flatten(0, 2).index_select(0, address.flatten())
    return selected.view_as(pixels).view(x.dtype).permute(0, 3, 1, 2)


def resample(settings: Augment, x: Tensor, draws: Tensor) -> Tensor:
    """Crop, turn and shift in one bilinear resampling; beyond the border the tile is reflected, not black."""
    if not (settings.rotate or settings.translate or settings.crop < 1):
        return x
    area = settings.crop + draws[:, d.AREA] * (1 - settings.crop)
    ratio = torch.exp(_signed(draws[:, d.RATIO]) * _LOG_RATIO) if settings.crop < 1 else torch.ones_like(area)
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    # in units of half a side from the centre, as affine_grid has them
    left = _signed(draws[:, d.LEFT]) * (1 - width)
    top = _signed(draws[:, d.TOP]) * (1 - height)
    right_shift = _signed(draws[:, d.SHIFT_X]) * 2 * settings.translate
    down_shift = _signed(draws[:, d.SHIFT_Y]) * 2 * settings.translate
    angle = _signed(draws[:, d.ANGLE]) * math.radians(settings.rotate)
    cos, sin = angle.cos(), angle.sin()
    rows = [
        torch.stack([cos * width, -sin * height, cos * left - sin * top + right_shift], 1),
        torch.stack([sin * width, cos * height, sin * left + cos * top + down_shift], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return moved.contiguous(memory_format=torch.channels_last)  # as it came


def _signed(draw: Tensor) -> Tensor:
    """[0, 1) -> [-1, 1)."""
    return draw * 2 - 1
