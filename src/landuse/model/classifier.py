"""The network from raw pixel values to logits; preprocessing is part of it, so nobody can forget it."""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landuse.model.backbones import STAGES, Backbone
from landuse.params import Freeze, Head


class Classifier(nn.Module):
    """Resize, normalise, backbone, head.

    mean, std: per channel, in the unit of the pixels as stored. input_size: pixels the backbone works at.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, backbone: Backbone, head: Head, classes: int, mean: Sequence[float], std: Sequence[float], input_size: int
    ) -> None:
        super().__init__()
        self.backbone = backbone.module
        self.head = _head(head, backbone.features, classes)
        self.stages = backbone.stages
        self.input_size = input_size
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) float pixel values as stored -> (N, classes) logits."""
        return self.head(self.backbone(self.preprocess(pixels)))  # type: ignore[no-any-return]

    def preprocess(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) float pixel values as stored -> what the backbone's weights expect."""
        x = (pixels - self.mean) / self.std
        if x.shape[-1] != self.input_size or x.shape[-2] != self.input_size:
            x = F.interpolate(x, size=(self.input_size, self.input_size), mode="bilinear", align_corners=False)
        return x

    def freeze(self, upto: Freeze) -> None:
        """Freeze the backbone's stages up to and including ``upto``; everything else learns.

        "layer4" and "backbone" are the same: the head alone learns.
        """
        order = ("none", *STAGES)
        frozen = STAGES[: order.index("layer4" if upto == "backbone" else upto)]
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad_(self.stages[name] not in frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Frozen means frozen: modules without a parameter that learns stay in eval mode.

        ``requires_grad=False`` alone leaves BatchNorm statistics moving.
        """
        super().train(mode)
        for module in self.modules():
            parameters = list(module.parameters())
            if parameters and not any(p.requires_grad for p in parameters):
                module.eval()
        return self


def _head(head: Head, features: int, classes: int) -> nn.Sequential:
    if head.hidden is None:
        return nn.Sequential(nn.Dropout(head.dropout), nn.Linear(features, classes))
    return nn.Sequential(
        nn.Dropout(head.dropout), nn.Linear(features, head.hidden), nn.ReLU(), nn.Linear(head.hidden, classes)
    )
