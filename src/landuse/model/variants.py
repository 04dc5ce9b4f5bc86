"""Variants of a convolutional network for small tiles: a stem that keeps the resolution, and GeM pooling."""

from typing import Any

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import Tensor, nn

from landuse.core.errors import UserError


class GeM(nn.Module):
    """Generalised mean over space, (mean x^p)^(1/p): (N, C, H, W) -> (N, C, 1, 1) float32; p is learnt.

    Radenovic et al. 2018, https://arxiv.org/abs/1711.02512; values below 1e-6 count as 1e-6, as there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor([3.0]))

    def forward(self, x: Tensor) -> Tensor:
        raised = x.float().clamp(min=1e-6).pow(self.p)  # half precision has no 1e-6 cubed
        return raised.mean(dim=(-2, -1), keepdim=True).pow(1 / self.p)


def small_stem(network: Any, name: str) -> None:
    """Give the first convolution stride 1, and a ResNet no max-pool, or raise UserError where there is no such stem."""
    remedy = "choose model.stem=standard, or a convolutional backbone such as resnet18"
    conv_name, conv = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if "patch_embed" in conv_name or conv.kernel_size[0] <= conv.stride[0] > 1:
        raise UserError(f"model.stem is 'small', but {name} cuts the picture into patches: {remedy}")
    if conv.stride == (1, 1):
        raise UserError(f"model.stem is 'small', but the first convolution of {name} has stride 1 already: {remedy}")
    conv.stride = (1, 1)
    if hasattr(network, "maxpool"):
        network.maxpool = nn.Identity()


def gem_pooling(network: nn.Module, name: str) -> str:
    """Replace the one global average pooling, or raise UserError. Return the parameter name of GeM's exponent."""
    # torchvision's stands at the root; timm's is wrapped, anywhere
    wrapped = [f"{n}.pool" for n, m in network.named_modules() if isinstance(m, SelectAdaptivePool2d)]
    places = [n for n in ("avgpool", *wrapped) if n in dict(network.named_modules())]
    pools = [n for n in places if isinstance(network.get_submodule(n), nn.AdaptiveAvgPool2d)]
    if len(pools) != 1:
        remedy = "choose model.pooling=avg, or a ResNet, EfficientNet, MobileNet or another convolutional backbone"
        raise UserError(f"model.pooling is 'gem', but {name} does not end in one global average pooling: {remedy}")
    network.set_submodule(pools[0], GeM())
    return f"{pools[0]}.p"
