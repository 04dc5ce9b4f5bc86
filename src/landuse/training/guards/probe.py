"""What the guards measure of a network on a batch, without leaving a trace in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from landuse.model.batches import Batches
from landuse.model.classifier import Classifier

TILES = 64  # of a probe: enough for stable means, few enough for any memory


def sample(batches: Batches) -> Batches:
    """Return one batch of at most 64 tiles, evenly spaced: a store is sorted by class, its first tiles are of one."""
    count = min(TILES, len(batches.rows))
    chosen = np.linspace(0, len(batches.rows) - 1, count).round().astype(np.int64)
    return replace(batches, rows=batches.rows[chosen], targets=batches.targets[chosen], batch_size=count, least=1)


@contextmanager
def undisturbed(model: Classifier) -> Iterator[list[_BatchNorm]]:
    """Leave weights, buffers, modes of all modules and random numbers as they were; inside, all is in eval mode.

    Yields:
        The BatchNorms that were in training mode, for ``batch_statistics``.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.random.fork_rng(devices=[]), torch.no_grad():  # without dropout, no accelerator draws anything
        model.eval()
        try:
            yield [module for module, mode in modes if mode and isinstance(module, _BatchNorm)]
        finally:
            for buffer, before in buffers:
                buffer.copy_(before)
            for module, mode in modes:
                module.training = mode


@contextmanager
def batch_statistics(norms: list[_BatchNorm]) -> Iterator[None]:
    """Inside ``undisturbed``: let these take the statistics of the batch, as they do in training."""
    for norm in norms:
        norm.training = True
    yield
    for norm in norms:
        norm.training = False


def fresh(model: Classifier) -> list[_BatchNorm]:
    """Return the BatchNorms that have seen nothing yet: statistics of their own mean nothing to random weights."""
    tracking = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    return [m for m in tracking if not m.running_mean.any() and bool((m.running_var == 1).all())]  # type: ignore


def diversity(features: Tensor) -> dict[str, float]:
    """How different the features of different tiles are. features: (B, F), B at least 2.

    cosine: mean over pairs of tiles. effective_rank: exp of the entropy of the uncentred spectrum, from 1 (Roy and
    Vetterli 2007). variation: mean over features of deviation / |mean|. Features that are no numbers, or all zero,
    are as good as the same.
    """
    features = features.double().cpu()
    if not features.isfinite().all() or not features.any():
        return {"cosine": 1.0, "effective_rank": 1.0, "variation": 0.0}
    count = len(features)
    unit = F.normalize(features, dim=1)
    cosine = (unit.sum(dim=0).square().sum() - unit.square().sum()) / (count * (count - 1))
    spectrum = torch.linalg.eigvalsh(unit @ unit.T).clamp(min=0)
    rank = torch.special.entr(spectrum / spectrum.sum()).sum().exp()
    mean, std = features.mean(dim=0).abs(), features.std(dim=0)
    variation = (std[mean > 0] / mean[mean > 0]).mean()
    return {"cosine": cosine.item(), "effective_rank": rank.item(), "variation": variation.item()}


def tile_dependence(logits: Tensor) -> float:
    """How much (B, classes) logits differ between tiles, relative to what they share; near 0, the tile does not matter.

    A constant added to all logits of a tile changes no prediction, so it does not count.
    """
    relative = logits.double() - logits.double().mean(dim=1, keepdim=True)
    return float(relative.std(dim=0).norm() / relative.mean(dim=0).norm().clamp(min=1e-12))
