"""The frozen prefix and the rest that learns: together they are the network, in results and in gradients."""

import copy
from typing import Any

import pytest
import torch
from timm.layers.std_conv import StdConv2d
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from landuse.model import backbones
from landuse.model.backbones import STAGES, Backbone
from landuse.model.classifier import Classifier
from landuse.params import Head
from landuse.training.averaging import moving_norms

NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("resnet18", {}),
    ("resnet18", {"pooling": "gem", "stem": "small"}),
    ("efficientnet_lite0", {}),
    ("mobilenet_v3_small", {}),
    ("test_efficientnet", {"pooling": "gem"}),
    ("densenet121", {}),
    ("convnext_atto", {}),
    ("repvgg_a0", {}),  # can be traced only if its blocks are taken whole
    ("cnn_54k", {}),
    ("cnn_95k", {}),
]
PIXELS = torch.rand(4, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 255


def classifier(backbone: Backbone) -> Classifier:
    """In float64, with BatchNorm statistics, scales and shifts that cannot be left out unnoticed."""
    torch.manual_seed(0)
    model = Classifier(backbone, Head(hidden=None, dropout=0.0), 3, [127.0] * 3, [60.0] * 3, 32)
    for norm in (module for module in model.modules() if isinstance(module, _BatchNorm)):
        norm.running_mean.normal_(0, 0.2)
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.2)
    return model.double()


def named(name: str, **variant: str) -> Classifier:
    torch.manual_seed(0)
    return classifier(backbones.build(name, 3, **variant))


def small(**layers: nn.Module) -> Classifier:
    """Layers made to order, each a stage, and the mean over space."""
    network = nn.Sequential()
    for name, layer in layers.items():
        network.add_module(name, layer)
    network.add_module("pool", nn.AdaptiveAvgPool2d(1))
    network.add_module("flatten", nn.Flatten())
    stages = {name: name.split(".")[0] for name, _ in network.named_parameters()}
    return classifier(Backbone(network, 8, stages, (0.0,) * 3, (1.0,) * 3))


def whole(model: Classifier) -> Classifier:
    """The same network, never cut until it is frozen anew."""
    double = copy.deepcopy(model)
    double._cut_is_current, double._cut = True, None
    return double


def trained(model: Classifier) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Logits in training, gradients by name, and buffers afterwards."""
    model.train()
    torch.manual_seed(2)
    logits = model(PIXELS)
    nn.functional.cross_entropy(logits, torch.arange(4) % 3).backward()
    return logits, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, dict(model.named_buffers())


def assert_the_same(first: Classifier, second: Classifier) -> None:
    logits, gradients, buffers = trained(first)
    others = trained(second)
    torch.testing.assert_close(logits, others[0])
    assert gradients.keys() == others[1].keys()
    assert buffers.keys() == others[2].keys()
    for name, tensor in (gradients | buffers).items():
        torch.testing.assert_close(tensor, (others[1] | others[2])[name], rtol=1e-7, atol=1e-9, msg=name)
    with torch.no_grad():
        torch.testing.assert_close(first.eval()(PIXELS), second.eval()(PIXELS))


@pytest.mark.long
@pytest.mark.parametrize(("name", "variant"), NETWORKS)
def test_prefix_and_rest_are_the_network_whatever_is_frozen(name: str, variant: dict[str, str]) -> None:
    model = named(name, **variant)
    names = model.state_dict().keys()
    small = name in ("test_efficientnet", "cnn_54k", "cnn_95k")
    for upto in STAGES if small else ("stem", "layer3"):
        model.freeze(upto)  # type: ignore[arg-type]
        assert model.cut is not None, upto
        assert_the_same(copy.deepcopy(model), whole(model))
    assert model.state_dict().keys() == names
    assert not set(model.children()) - {model.backbone, model.head}


@pytest.mark.parametrize("bn", ["adapt", "train"])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("resnet18", marks=pytest.mark.long),
        "test_efficientnet",
        pytest.param("repvgg_a0", marks=pytest.mark.long),
        "cnn_95k",
    ],
)
def test_moving_norms_that_move_are_not_in_the_prefix(name: str, bn: str) -> None:
    """Statistics follow the tiles, and with "train" scales and shifts have gradients, cut or not."""
    model = named(name)
    model.freeze("layer3", bn)  # type: ignore[arg-type]
    model.train()
    before = {key: tensor.clone() for key, tensor in model.named_buffers()}
    moving = {id(norm) for norm in moving_norms(model)}
    assert moving == {id(module) for module in model.modules() if isinstance(module, _BatchNorm)}
    if model.cut:
        assert not moving & {id(module) for module in model.cut.prefix.modules()}
    assert_the_same(copy.deepcopy(model), whole(model))
    trained(model)
    assert all(not torch.equal(t, before[n]) for n, t in model.named_buffers() if "running" in n)


def test_the_prefix_computes_what_is_frozen_and_nothing_learns_in_it() -> None:
    model = named("resnet18")
    model.freeze("layer3")
    assert model.cut is not None
    prefix = model.cut.prefix
    assert [n for n, _ in prefix.named_children()] == ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3"]
    assert not any(isinstance(module, _BatchNorm) for module in prefix.modules())  # all of them are folded
    assert not any(parameter.requires_grad for parameter in prefix.parameters())
    given = model.prefix(PIXELS)
    assert given.values.shape == (4, 256, 2, 2)
    torch.testing.assert_close(model.eval()(given), model(PIXELS))
    assert model.backbone.layer3[1].bn2.weight.numel() == 256  # the network keeps its own


def test_nothing_frozen_or_nothing_traceable_is_not_cut_and_still_trains() -> None:
    model = named("cnn_54k")
    model.freeze("none")
    assert model.cut is None
    torch.manual_seed(0)
    vit = Classifier(backbones.build("test_vit", 3), Head(hidden=None, dropout=0.0), 3, [0.0] * 3, [1.0] * 3, 160)
    vit.freeze("layer2")
    assert vit.cut is None
    vit.train()
    vit(torch.rand(2, 3, 160, 160)).sum().backward()
    learnt = {name for name, p in vit.named_parameters() if p.grad is not None}
    assert learnt == {n for n, p in vit.named_parameters() if p.requires_grad}
    assert 0 < len(learnt) < len(dict(vit.named_parameters()))


class Moody(nn.Sequential):
    """Computes something else in training."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (2 if self.training else 1)


def test_a_network_that_depends_on_its_mode_is_not_cut() -> None:
    """But a part of it that rests has one mode only."""
    model = small(stem=nn.Conv2d(3, 8, 3), layer4=nn.Conv2d(8, 8, 1))
    model.backbone.__class__ = Moody
    model.freeze("stem")
    assert model.cut is None
    model = small(stem=Moody(nn.Conv2d(3, 8, 3)), layer4=nn.Conv2d(8, 8, 1))
    model.freeze("stem")
    assert model.cut is not None
    assert_the_same(copy.deepcopy(model), whole(model))


class Branching(nn.Module):
    """Cannot be traced: which way it takes depends on the values."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return x if x.mean() > 100 else -x


@pytest.mark.parametrize("bn", ["eval", "adapt", "train"])
def test_a_block_taken_whole_is_settled_only_if_all_in_it_rests(bn: str) -> None:
    model = small(stem=Branching(), layer4=nn.Conv2d(8, 8, 1))
    model.freeze("stem", bn)  # type: ignore[arg-type]
    assert (model.cut is not None) == (bn == "eval")
    assert_the_same(copy.deepcopy(model), whole(model))


class Twice(nn.Module):
    """One convolution before two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.conv(self.first(self.conv(x))))


@pytest.mark.parametrize("block", [Twice(), nn.Sequential(StdConv2d(8, 8, 3), nn.BatchNorm2d(8))])
def test_a_norm_is_folded_only_where_it_can_be(block: nn.Module) -> None:
    """Not into a convolution that runs twice, nor into one that standardises its weights again."""
    model = small(stem=nn.Conv2d(3, 8, 3), layer1=block, layer4=nn.Conv2d(8, 8, 1))
    model.freeze("layer1")
    assert model.cut is not None
    assert_the_same(copy.deepcopy(model), whole(model))


def test_random_modules_without_weights_stay_in_the_rest() -> None:
    model = small(stem=nn.Conv2d(3, 8, 3), drop=nn.Dropout(0.5), layer4=nn.Conv2d(8, 8, 1))
    model.freeze("stem")
    assert model.cut is not None
    assert [n for n, _ in model.cut.prefix.named_children()] == ["stem"]
    model.train()
    assert not torch.equal(model(PIXELS), model(PIXELS))
    model.eval()
    assert torch.equal(model(PIXELS), model(PIXELS))


def test_other_weights_and_another_freezing_make_another_cut() -> None:
    model = named("cnn_95k")
    model.freeze("stem")
    before = model.cut
    assert model.cut is before
    other = {name: tensor + 0.1 for name, tensor in model.state_dict().items()}
    model.load_state_dict(other)
    assert model.cut is not before
    assert_the_same(copy.deepcopy(model), whole(model))
    model.freeze("layer2")
    assert_the_same(copy.deepcopy(model), whole(model))
    model.freeze("none")
    assert model.cut is None


def test_a_copy_is_cut_by_itself() -> None:
    model = named("cnn_95k")
    model.freeze("layer2")
    mine = model.cut
    assert mine is not None
    double = copy.deepcopy(model)
    assert double.cut is not None
    own = {id(p) for p in (*double.parameters(), *double.cut.prefix.parameters())}
    assert not own & {id(p) for p in (*model.parameters(), *mine.prefix.parameters(), *mine.rest.parameters())}
    with torch.no_grad():
        for parameter in double.parameters():
            parameter.add_(0.1)  # an average of weights moves so; what is frozen would not
    assert model.cut is mine
    assert_the_same(copy.deepcopy(model), whole(model))
