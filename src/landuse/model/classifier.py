"""The network from raw pixel values to logits; preprocessing is part of it, so nobody can forget it."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from landuse.model.backbones import STAGES, Backbone
from landuse.model.channels import Channels
from landuse.model.prefix import Cut, PrefixOutput, split
from landuse.params import Freeze, Head
from landuse.params.recipe import BatchNormMode


class Classifier(nn.Module):
    """Resize, normalise, backbone, head.

    mean, std: per channel, in the unit of the pixels as stored. input_size: pixels the backbone works at. channels:
    what is made of the stored bands first; None: the channels are the bands.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        input_size: int,
        channels: Channels | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.stages, self.classes = backbone.module, backbone.stages, classes
        self.adapter = backbone.adapter
        self.head = backbone.head or _head(head, backbone.features, classes)
        self._resting: list[nn.Module] = []
        self._frozen: set[str] = set()  # names of the backbone's parameters
        self.register_load_state_dict_post_hook(_uncut)  # type: ignore[no-untyped-call]
        self.input_size, self.channels = input_size, channels
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    @property
    def bands(self) -> int:
        """How many bands it takes."""
        return self.mean.shape[1] if self.channels is None else self.channels.bands

    def forward(self, given: Tensor | PrefixOutput) -> Tensor:
        """(N, C, H, W) float pixel values as stored, or what ``prefix`` made of them -> (N, classes) logits."""
        return self.head(self.pooled(given))  # type: ignore[no-any-return]

    def pooled(self, given: Tensor | PrefixOutput) -> Tensor:
        """Return (N, features), what the head gets, by way of the frozen prefix where the network has one."""
        if isinstance(given, Tensor) and self.cut is None:
            return self.features(given)
        assert self.cut is not None
        given = self.prefix(given) if isinstance(given, Tensor) else given
        return self.cut.rest(*(part for part in given if part is not None))  # type: ignore[no-any-return]

    @cached_property
    def cut(self) -> Cut | None:
        """The frozen prefix and the rest of the backbone, or None where there is no such cut."""
        frozen = {p for name, p in self.backbone.named_parameters() if name in self._frozen}
        return split(self.backbone, self._resting, frozen)

    @torch.no_grad()
    def prefix(self, pixels: Tensor) -> PrefixOutput:
        """(N, C, H, W) float pixel values as stored -> what the frozen prefix makes of them, where there is one."""
        assert self.cut is not None
        x = self.preprocess(pixels)
        return PrefixOutput(self.cut.run_prefix(x), x if self.cut.rest_sees_pixels else None)

    def features(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) float pixel values as stored -> (N, features), by the backbone as a whole."""
        return self.backbone(self.preprocess(pixels))  # type: ignore[no-any-return]

    def preprocess(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) float pixel values as stored -> what the backbone's weights expect."""
        x, size = self.normalise(pixels), (self.input_size, self.input_size)
        return x if x.shape[-2:] == size else F.interpolate(x, size=size, mode="bilinear", align_corners=False)

    def normalise(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) float pixel values as stored -> the channels, about 0 and of deviation 1."""
        return ((pixels if self.channels is None else self.channels(pixels)) - self.mean).div_(self.std)

    def stage_of(self, name: str) -> str:
        """Return the stage, one of STAGES or "head", of a parameter by its name in this network."""
        return self.stages[name.removeprefix("backbone.")] if name.startswith("backbone.") else "head"

    def freeze(self, upto: Freeze, bn: BatchNormMode = "eval", adapter_learns: bool = False) -> None:
        """Freeze the backbone's stages up to and including ``upto``; everything else learns.

        "layer4" and "backbone" are the same: the head alone learns, and the branch of late fusion, which belongs to it.
        adapter_learns: as does what came without weights in the stem, to see other bands than RGB.
        bn: BatchNorm of the frozen stages. eval: nothing of it moves. adapt: its statistics follow the tiles.
            train: its scale and shift learn too.
        """
        stages = STAGES[: ("none", *STAGES, "backbone").index(upto)]
        _uncut(self)
        learns = self.adapter if adapter_learns else frozenset()
        self._frozen = {n for n, _ in self.backbone.named_parameters() if self.stages[n] in stages and n not in learns}
        frozen = {p for name, p in self.backbone.named_parameters() if name in self._frozen}
        for parameter in self.parameters():
            parameter.requires_grad_(parameter not in frozen)
        self._resting = []
        for module in _without_others(self.backbone, frozen):
            if bn == "eval" or not isinstance(module, _BatchNorm):
                self._resting.append(module)
            else:
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(bn == "train")
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Frozen means frozen: the modules of frozen stages stay in eval mode, BatchNorm as ``freeze`` was told.

        ``requires_grad=False`` alone leaves BatchNorm statistics and dropout moving; ``eval()`` ends with ``train()``.
        """
        super().train(mode)
        for module in self._resting:
            module.training = False
        return self

    def __getstate__(self) -> dict[str, Any]:
        """A copy cuts itself: a cut is of one network's modules."""
        return {name: value for name, value in self.__dict__.items() if name != "cut"}


def _uncut(model: Classifier, *_: object) -> None:
    """Forget the cut, because weights or freezing changed."""
    model.__dict__.pop("cut", None)


def _without_others(network: nn.Module, parameters: set[nn.Parameter]) -> list[nn.Module]:
    """Return the modules that hold some of these parameters and no others, with all that is inside them."""
    whole = [module for module in network.modules() if (own := set(module.parameters())) and own <= parameters]
    return list(dict.fromkeys(inner for module in whole for inner in module.modules()))


def _head(head: Head, features: int, classes: int) -> nn.Sequential:
    if head.hidden is None:
        return nn.Sequential(nn.Dropout(head.dropout), nn.Linear(features, classes))
    hidden = (nn.Linear(features, head.hidden), nn.ReLU(), nn.Dropout(head.hidden_dropout))
    return nn.Sequential(nn.Dropout(head.dropout), *hidden, nn.Linear(head.hidden, classes))
