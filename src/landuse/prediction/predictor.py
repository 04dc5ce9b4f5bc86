"""Answers of an ensemble from several views of a tile, and the one answer that they come to.

That answer is the mean probability over members and views (deep ensembles: Lakshminarayanan et al. 2017). It is given
as logits, so that a temperature can divide it after pooling, which calibrates better than scaling each answer before
(Rahaman and Thiery 2021).
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from tqdm import tqdm

from landuse.model.classifier import Classifier
from landuse.params import Freeze
from landuse.tiles.batches import Batches

_ROWS = 64  # tiles times views that a network gets at once: the fastest on a CPU, where more leave its cache
_Floats = npt.NDArray[np.float32]


class Predictor(nn.Module):
    """Networks for the same classes, each of which sees every view. views: 1, or the 8 flips and turns."""

    def __init__(self, members: Sequence[Classifier], views: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.views = views

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Answer (N, C, H, W) float pixel values as stored.

        Returns:
            (N, members, views, classes) logits, and (N, F) pooled features of the first member's first view.
        """
        count = pixels.shape[0]
        if self.views > 1:
            pixels = torch.cat(dihedral(pixels)).contiguous(memory_format=torch.channels_last)
        pooled = [member.pooled(pixels) for member in self._networks()]
        logits = [member.head(own) for member, own in zip(self._networks(), pooled, strict=True)]
        every = torch.stack([own.unflatten(0, (self.views, count)) for own in logits])
        return every.permute(2, 0, 1, 3), pooled[0][:count]

    def _networks(self) -> list[Classifier]:
        return list(self.members)  # type: ignore[arg-type]


def dihedral(pixels: Tensor) -> list[Tensor]:
    """(N, C, S, S) -> its eight symmetries, the tiles themselves first: no pixel changes its value."""
    turned = (pixels, pixels.transpose(2, 3))
    return [x.flip(axes) if axes else x for x in turned for axes in ((), (3,), (2,), (2, 3))]


def pool(logits: Tensor) -> Tensor:
    """(N, members, views, classes) logits -> (N, classes) whose softmax is the mean probability.

    A lone answer stays as it is. Probabilities leave a constant of each tile's logits open: it is chosen so that
    ``logsumexp`` of the result, the energy score of Liu et al. 2020, is the mean over the answers.
    """
    each = logits.flatten(1, 2)
    if each.shape[1] == 1:
        return each[:, 0]
    energy = each.logsumexp(2, keepdim=True)
    return (each - energy).logsumexp(1) - math.log(each.shape[1]) + energy.mean(1)


def calibrated(logits: Tensor, temperature: float, power: float) -> Tensor:
    """(N, classes) pooled logits -> (N, classes) probabilities; ``landuse.evaluation.scaling`` says why so."""
    if power == 1:
        return torch.softmax(logits / temperature, dim=1)
    gaps = logits.amax(dim=1, keepdim=True) - logits
    return torch.softmax(-(gaps**power) / temperature, dim=1)


@dataclass(frozen=True)
class Answers:
    """What a predictor says of n tiles.

    every: (n, members, views, classes) logits. features: (n, F), pooled, of the first member's first view.
    """

    every: _Floats
    features: _Floats

    def logits(self, members: slice = slice(None), views: slice = slice(None)) -> _Floats:
        """(n, classes) of all answers, or of some: ``members=slice(1)`` is the trained network alone."""
        pooled: _Floats = pool(torch.from_numpy(self.every[:, members, views])).numpy()
        return pooled


def predict(
    predictor: Predictor, images: npt.NDArray[np.generic], rows: npt.NDArray[np.int64], device: torch.device
) -> Answers:
    """Run a predictor, in float32.

    images: (N, H, W, C) of the whole store. rows: (n,) of the tiles to predict, in order.
    """
    folded = copy.deepcopy(predictor).eval().to(device).to(memory_format=torch.channels_last)
    for member in folded._networks():
        member.freeze("backbone")  # folds BatchNorm into convolutions: twice as fast, equal but for rounding
    batches = Batches(images, rows, np.zeros_like(rows), max(1, _ROWS // predictor.views), device)
    with torch.inference_mode():
        parts = [tuple(part.float().cpu() for part in folded(pixels)) for pixels in _batches(batches, "predict")]
    every, features = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Answers(every, features)


def stage_statistics(
    model: Classifier, images: npt.NDArray[np.generic], rows: npt.NDArray[np.int64], stage: Freeze, device: torch.device
) -> _Floats | None:
    """Mean and deviation over each map that comes out of a stage, (n, 2 x maps); None where no cut is after it."""
    trunk = copy.deepcopy(model).eval().to(device).to(memory_format=torch.channels_last)
    trunk.freeze(stage)
    if trunk.halves is None:
        return None
    batches = Batches(images, rows, np.zeros_like(rows), _ROWS, device)
    with torch.inference_mode():
        maps = (trunk.trunk(pixels).values.float().flatten(2) for pixels in _batches(batches, stage))
        parts = [torch.cat([x.mean(2), x.std(2, correction=0)], dim=1).cpu() for x in maps]
    return torch.cat(parts).numpy()


def _batches(batches: Batches, title: str) -> Iterator[Tensor]:
    bar = tqdm(batches.in_order(), total=len(batches), desc=title, unit="batch", disable=None, leave=False)
    return (pixels for pixels, _ in bar)
