"""Mean and deviation of each channel that a network gets, in stored units."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from landuse import sensors
from landuse.core.errors import UserError
from landuse.model.backbones import Backbone
from landuse.model.channels import Channels
from landuse.params.recipe import Normalise

_FULL_RANGE = {"uint8": 255.0, "uint16": 10_000.0}  # digital numbers / 10,000 are reflectance
# percentiles that are a deviation apart from the median where values are normal: clouds and shadows are beyond
_LOW, _MIDDLE, _HIGH = 15.865525, 50.0, 84.134475
_SAMPLED = 1 << 21  # pixels that percentiles are taken from
_NUMBERS = 2750 / 254  # digital numbers that one step of EuroSAT's 8-bit RGB spans, whose 1 is 0

Numbers = tuple[list[float], list[float]]
Moments = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def normalisation(
    how: Normalise,
    backbone: Backbone,
    images: npt.NDArray[Any],
    rows: Sequence[int],
    names: Sequence[str],
    channels: Channels | None,
    layers: int = 0,
) -> Numbers:
    """Return mean and deviation of each channel, as ``normalise`` of a recipe asks for them.

    images: (N, H, W, bands) of the store. rows: of the training tiles. names: of the channels that a network sees.
    layers: so many of the last are no light: theirs are those of the training tiles, whatever the others' are.

    Raises:
        UserError: the weights know nothing of a channel, or one is constant in all training tiles.
    """
    light = len(names) - layers
    known, deviations_known = _known(how, backbone, names[:light], images.dtype.name)
    if len(known) == len(names):
        return known, deviations_known
    tiles = (_seen(images[row], channels)[..., len(known) :] for row in rows)
    mean, std = _percentiles(tiles, len(rows)) if how == "percentiles" else _moments(tiles)
    means, deviations = [round(float(m), 4) for m in mean], [round(float(s), 4) for s in std]
    if 0 in deviations:
        place = len(known) + deviations.index(0)
        key = "bands" if place < light else "layers"
        raise UserError(f"{names[place]} has one value in (nearly) all training tiles: leave it out of data.{key}")
    return known + means, deviations_known + deviations


def _known(how: Normalise, backbone: Backbone, names: Sequence[str], dtype: str) -> Numbers:
    """Return what needs no tiles to be known; empty where it does."""
    if how == "unscaled":
        once_too_often = _FULL_RANGE[dtype] * 255
        mean, std = np.resize(backbone.mean, len(names)), np.resize(backbone.std, len(names))
        return (mean * once_too_often).tolist(), (std * once_too_often).tolist()
    if how == "weights" or (how == "auto" and sensors.is_rgb(names, dtype)):
        return _of_weights(backbone, names, dtype)
    return [], []


def _of_weights(backbone: Backbone, names: Sequence[str], dtype: str) -> Numbers:
    visible = sensors.visible(names)
    if visible is None or len(names) != 3:
        raise UserError(
            f"normalise is weights, which were trained with red, green and blue alone, but the channels are "
            f"{', '.join(names)}: use -S train.normalise=tiles"
        )
    order = np.argsort(visible)  # the weights' statistics are of red, green and blue
    mean, std = ([of[at] * 255 for at in order] for of in (backbone.mean, backbone.std))
    if dtype == "uint8":
        return mean, std
    return [(m - 1.0) * _NUMBERS for m in mean], [s * _NUMBERS for s in std]


def _seen(tile: npt.NDArray[Any], channels: Channels | None) -> npt.NDArray[Any]:
    """(H, W, bands) as stored -> (H, W, channels)."""
    if channels is None:
        return tile
    pixels = torch.from_numpy(tile.astype(np.float32)).permute(2, 0, 1)[None]
    seen: npt.NDArray[np.float32] = channels(pixels)[0].permute(1, 2, 0).numpy()
    return seen


def _moments(tiles: Iterator[npt.NDArray[Any]]) -> Moments:
    found = [(np.mean(t, axis=(0, 1), dtype=np.float64), np.var(t, axis=(0, 1), dtype=np.float64)) for t in tiles]
    means, variances = (np.stack(part) for part in zip(*found, strict=True))
    variance = variances.mean(axis=0) + means.var(axis=0)  # within tiles + between tiles
    return means.mean(axis=0), np.sqrt(variance)


def _percentiles(tiles: Iterator[npt.NDArray[Any]], count: int) -> Moments:
    each = max(1, _SAMPLED // count)  # pixels of a tile
    flat = (tile.reshape(-1, tile.shape[-1]) for tile in tiles)
    some = np.concatenate([pixels[:: max(1, len(pixels) // each)] for pixels in flat])
    low, middle, high = np.percentile(some, [_LOW, _MIDDLE, _HIGH], axis=0)
    return middle, (high - low) / 2
