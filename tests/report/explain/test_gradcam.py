"""Heat maps: the formula, the place they find, the map they come from."""

import numpy as np
import pytest
import small
import torch
from torch import nn
from torch.nn import functional as F

from landuse import params
from landuse.model import backbones
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.report.explain import gradcam


def classifier(name: str, input_size: int) -> Classifier:
    backbone = backbones.build(name, 3)
    return Classifier(backbone, params.Head(hidden=None, dropout=0.0), 2, [127.0] * 3, [60.0] * 3, input_size).eval()


def in_batches(images: np.ndarray, size: int) -> Batches:
    rows = np.arange(len(images))
    return Batches(images, rows, np.zeros_like(rows), size, small.CPU)


def test_the_maps_are_those_of_the_formula() -> None:
    model = small.network().eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _, val = small.tiles(24)
    maps = gradcam.heat_maps(model, Batches(val.images, val.rows, val.targets, 5, small.CPU))
    assert maps is not None
    assert maps.shape == (8, 16, 16)
    assert small.same(before, model.state_dict())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())
    pixels = torch.cat([pixels for pixels, _ in val.in_order()])
    layer = gradcam.target_layer(model, pixels[:1])
    assert layer is not None
    kept: list[torch.Tensor] = []
    layer.register_forward_hook(lambda *seen: kept.append(seen[-1]))
    logits = model(pixels)
    gradient = torch.autograd.grad(logits.max(dim=1).values.sum(), kept[0])[0]
    heat = (gradient * kept[0]).clamp(min=0).sum(dim=1, keepdim=True)
    heat = F.interpolate((heat - heat.amin((2, 3), True)), size=(16, 16), mode="bilinear")
    expected = (heat - heat.amin((2, 3), True)) / (heat.amax((2, 3), True) - heat.amin((2, 3), True))
    np.testing.assert_allclose(maps, expected[:, 0].detach().numpy(), atol=1e-4)


def test_the_heat_is_where_the_evidence_is() -> None:
    conv = nn.Conv2d(3, 2, 1, bias=False)  # first channel: red, second: blue
    conv.weight.data = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]).view(2, 3, 1, 1)
    network = nn.Sequential(nn.AvgPool2d(4), conv, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    backbone = backbones.Backbone(network, 2, {"1.weight": "stem"}, (0.0,) * 3, (1.0,) * 3)
    model = Classifier(backbone, params.Head(hidden=None, dropout=0.0), 2, [0.0] * 3, [255.0] * 3, 32)
    linear = model.head[1]
    linear.weight.data, linear.bias.data = torch.eye(2), torch.zeros(2)
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[0, 2:10, 20:28, 0] = 255  # red, upper right; a smaller blue one, lower left
    images[0, 26:30, 2:6, 2] = 255
    images[1, 18:28, 4:14, 2] = 255  # blue, lower left
    maps = gradcam.heat_maps(model.eval(), in_batches(images, 2))
    assert maps is not None
    for heat, (rows, columns) in zip(maps, ((slice(16), slice(16, 32)), (slice(16, 32), slice(16))), strict=True):
        assert heat[rows, columns].sum() > 0.95 * heat.sum()
        assert heat.max() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    ("backbone", "input_size", "expected"),
    [
        ("efficientnet_lite0", 64, "blocks.4"),
        ("efficientnet_lite0", 128, "bn2"),  # the last map, 4 x 4
        ("efficientnet_b0", 64, "features.5"),
        ("resnet18", 64, "layer3"),
        ("cnn_54k", 64, "layer2"),
        ("cnn_95k", 64, "layer4"),
    ],
)
def test_the_map_is_the_last_one_of_at_least_4_x_4(backbone: str, input_size: int, expected: str) -> None:
    model = classifier(backbone, input_size)
    layer = gradcam.target_layer(model, torch.zeros(1, 3, 64, 64))
    names = [name for name, module in model.backbone.named_modules() if module is layer]
    assert names[0] == expected


def test_a_network_of_tokens_has_no_map() -> None:
    images = np.zeros((2, 32, 32, 3), np.uint8)
    assert gradcam.heat_maps(classifier("test_vit", 160), in_batches(images, 2)) is None
