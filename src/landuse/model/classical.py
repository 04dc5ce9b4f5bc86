"""Classical models as parts of the usual network: statistics of a tile as its backbone, decision trees as its head.

What scikit-learn has fitted (``training.classical``) lies here as tensors, so that saving, calibration, export and maps
are those of networks. Logistic regression needs nothing of its own: it is the linear head.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
PER_CHANNEL = 2 + len(QUANTILES)
_SORTED = 32  # pixels a side that quantiles are taken from: sorting all of 64 x 64 takes four times as long
_LEAST = 1e-6  # deviation of a statistic over tiles, in deviations of pixels: less is rounding
_FLOOR = 1e-7  # a label that no tree has seen in its leaf may be right all the same


class Statistics(nn.Module):
    """(N, C, H, W) -> (N, 7 C): mean, deviation and quantiles of each channel, about 0 and of deviation 1 over tiles.

    Means are taken in float64 and quantiles are values of pixels, not between two: wherever this runs, a tile gets the
    same float32 numbers, and falls on the same side of every threshold of a tree.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(PER_CHANNEL * channels))
        self.register_buffer("std", torch.ones(PER_CHANNEL * channels))

    def forward(self, x: Tensor) -> Tensor:
        step = -(-x.shape[2] // _SORTED)
        wide = x.double().flatten(2)
        mean = wide.mean(2)
        deviation = (wide - mean.unsqueeze(2)).square().mean(2).sqrt()
        ordered = x[:, :, ::step, ::step].flatten(2).sort(dim=2).values
        places = [round(q * (ordered.shape[2] - 1)) for q in QUANTILES]
        found = [mean.float(), deviation.float(), *(ordered[:, :, at] for at in places)]
        return (torch.cat(found, dim=1) - self.mean) / self.std

    @torch.no_grad()
    def standardise(self, statistics: Tensor) -> Tensor:
        """Take mean and deviation of (n, 7 C) statistics of training tiles; return these as ``forward`` now does."""
        wide = statistics.double()
        std = wide.std(0, correction=0)
        self.mean.copy_(wide.mean(0))
        self.std.copy_(torch.where(std > _LEAST, std, 1.0))
        return (statistics - self.mean) / self.std


class Trees(nn.Module):
    """Decision trees: (N, F) -> (N, classes) sums of what their leaves say.

    Nodes of all trees have one numbering. A tile at node i goes to ``child[2 i]`` where its ``feature[i]`` is at most
    ``threshold[i]``, else to ``child[2 i + 1]``. Leaves lead to themselves, and are the last ones: ``value`` is
    theirs. Leaves that say the same are one.

    roots: (rounds, trees of a round); value: (leaves, V). A round's trees give V sums each, for all classes together.
    depth: steps to the deepest leaf.

    mean: the sums are probabilities, whose logarithms are the logits.
    """

    roots: Tensor
    feature: Tensor
    threshold: Tensor
    child: Tensor
    value: Tensor
    depth: Tensor

    def __init__(self, mean: bool) -> None:
        super().__init__()
        self._mean, self._steps = mean, 0
        for name in ("roots", "feature", "child", "depth"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int32))
        for name in ("threshold", "value"):
            self.register_buffer(name, torch.zeros(0))
        self.register_load_state_dict_pre_hook(_resize)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        rounds, trees = self.roots.shape
        node = self.roots.flatten().expand(x.shape[0], -1)
        for _ in range(self._steps):
            flat = node.flatten()
            feature, threshold = (of.index_select(0, flat).view(node.shape) for of in (self.feature, self.threshold))
            beyond = (x.gather(1, feature.long()) > threshold).to(node.dtype)
            node = self.child.index_select(0, (2 * node + beyond).flatten()).view(node.shape)
        leaf = node.flatten() - (len(self.feature) - len(self.value))
        said = self.value.index_select(0, leaf).view(x.shape[0], rounds, trees * self.value.shape[1])
        total = said.double().sum(1).float()
        return total.clamp(min=_FLOOR).log() if self._mean else total


def _resize(trees: Any, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Make room for tensors of whatever size a file holds."""
    for name, own in list(trees.named_buffers()):
        if prefix + name in state:
            setattr(trees, name, own.new_empty(state[prefix + name].shape))
    trees._steps = int(state.get(prefix + "depth", 0))
