"""The whole network: its preprocessing, its heads, and freezing that freezes through every call of train()."""

import copy
from functools import cache
from itertools import pairwise, product

import pytest
import torch
from torch import nn

from landuse.model import backbones
from landuse.model.backbones import STAGES
from landuse.model.classifier import Classifier
from landuse.params import Head

PLAIN = Head(hidden=None, dropout=0.0)


def classifier(name: str, head: Head = PLAIN, pooling: str = "avg", classes: int = 3, size: int = 32) -> Classifier:
    backbone = backbones.build(name, 3, pooling=pooling)
    return Classifier(backbone, head, classes, [127.0] * 3, [127.0] * 3, size)


drawn = cache(classifier)  # for tests that copy it: drawing the weights takes longer than a step of training


def stages_upto(freeze: str) -> tuple[str, ...]:
    return () if freeze == "none" else STAGES if freeze == "backbone" else STAGES[: STAGES.index(freeze) + 1]


def moved_by_training(model: Classifier) -> dict[str, bool]:
    """Train a step, after calls of train() and eval(); tell which tensors and buffers changed a bit."""
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    model.train()
    model.eval()
    model.train()
    model.train()
    nn.functional.cross_entropy(model(torch.rand(4, 3, 32, 32) * 255), torch.arange(4) % 3).backward()
    optimizer.step()
    return {name: not torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items()}


def norms(model: Classifier) -> dict[str, nn.BatchNorm2d]:
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}


@pytest.mark.parametrize(
    ("name", "upto", "bn"),
    [
        ("efficientnet_lite0", "layer2", "eval"),
        *product(
            ["resnet18", "test_efficientnet", "cnn_95k"],
            ["none", "stem", "layer2", "backbone"],
            ["eval", "adapt", "train"],
        ),
    ],
)
def test_frozen_means_frozen(name: str, upto: str, bn: str) -> None:
    """What moves, to the bit: all that learns, and of the frozen stages what ``bn`` lets move and nothing else."""
    torch.manual_seed(0)
    model = copy.deepcopy(drawn(name))
    model.freeze(upto, bn)  # type: ignore[arg-type]
    moved = moved_by_training(model)
    frozen = stages_upto(upto)
    of_norms = {f"{norm}.{tensor}": tensor for norm, module in norms(model).items() for tensor in module.state_dict()}
    affine, statistics = ("weight", "bias"), ("running_mean", "running_var", "num_batches_tracked")
    allowed = {"eval": (), "adapt": statistics, "train": affine + statistics}[bn]
    checked = 0
    for tensor in (t for t in moved if t not in ("mean", "std")):
        if tensor in of_norms:
            stage = model.stage_of(f"{tensor.rpartition('.')[0]}.weight")
            expected = stage not in frozen or of_norms[tensor] in allowed
        else:
            expected = model.stage_of(tensor) not in frozen
        assert moved[tensor] == expected, tensor
        checked += 1
    assert checked == len(moved) - 2
    assert moved["head.1.weight"]


@pytest.mark.parametrize("bn", ["eval", "adapt", "train"])
def test_dropout_and_stochastic_depth_of_frozen_stages_rest(bn: str) -> None:
    model = classifier("efficientnet_b0", Head(hidden=8, dropout=0.3, hidden_dropout=0.15))
    model.freeze("layer3", bn)  # type: ignore[arg-type]
    model.eval().train()
    frozen, learning = ([m for part in parts for m in part.modules()] for parts in split_at_layer4(model))
    at_work = {type(m).__name__ for m in frozen if m.training}
    assert at_work == (set() if bn == "eval" else {"BatchNorm2d"})
    assert {"StochasticDepth", "BatchNorm2d"} <= {type(m).__name__ for m in frozen}
    assert all(m.training for m in learning)
    assert all(m.training for m in model.head.modules())


def split_at_layer4(model: Classifier) -> tuple[nn.Sequential, nn.Sequential]:
    blocks = model.backbone.features  # 6 is the first of layer4
    return blocks[:6], blocks[6:]


def test_a_drop_inside_a_batch_norm_rests_while_the_batch_norm_adapts() -> None:
    """In timm, BatchNormAct2d holds modules of its own."""
    model = classifier("efficientnet_lite0")
    norm = model.backbone.bn1
    norm.drop = nn.Dropout(0.5)
    model.freeze("stem", "adapt")
    model.train()
    assert norm.training
    assert not norm.drop.training


def test_the_next_phase_forgets_the_last_ones_freezing() -> None:
    model = classifier("resnet18")
    model.train()
    model.freeze("backbone", "train")
    model.freeze("stem")
    assert not model.backbone.bn1.weight.requires_grad
    assert not model.backbone.bn1.training
    assert model.backbone.layer1[0].bn1.training
    model.freeze("none")
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    model.eval()
    assert not any(module.training for module in model.modules())


def test_a_copy_is_frozen_by_itself() -> None:
    """Means of the weights are kept in deep copies."""
    model = classifier("resnet18")
    model.freeze("layer1")
    double = copy.deepcopy(model)
    model.freeze("none")
    double.train()
    assert not double.backbone.layer1[0].bn1.training
    assert double.backbone.layer2[0].bn1.training
    assert model.backbone.layer1[0].bn1.training


def test_freezing_deeper_leaves_less_to_learn() -> None:
    model = classifier("cnn_54k")
    counts = []
    for upto in ("none", "stem", "layer2", "backbone"):
        model.freeze(upto)  # type: ignore[arg-type]
        counts.append(sum(p.numel() for p in model.parameters() if p.requires_grad))
    assert all(before > after for before, after in pairwise(counts))
    assert counts[-1] == 128 * 3 + 3


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_the_exponent_of_gem_learns_with_the_head(name: str) -> None:
    torch.manual_seed(0)
    model = classifier(name, pooling="gem")
    model.freeze("backbone")
    learning = [n for n, p in model.named_parameters() if p.requires_grad]
    assert [model.stage_of(n) for n in learning] == ["head"] * 3
    moved = moved_by_training(model)
    assert sorted(n for n, changed in moved.items() if changed) == sorted(learning)


def test_stages_of_parameters_by_their_names_in_the_network() -> None:
    model = classifier("resnet18", pooling="gem")
    names = ("backbone.conv1.weight", "backbone.layer3.0.bn1.bias", "backbone.avgpool.p", "head.1.weight")
    assert [model.stage_of(name) for name in names] == ["stem", "layer3", "head", "head"]
    assert {model.stage_of(name) for name, _ in model.named_parameters()} == {*STAGES, "head"}


@pytest.mark.usefixtures("undrawn")
def test_layer4_step_on_resnet50_has_the_parameters_of_document_000() -> None:
    model = classifier("resnet50", Head(hidden=512, dropout=0.3), classes=2)
    model.freeze("layer3")
    assert sum(p.numel() for p in model.parameters()) == 24_558_146
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 16_014_850


def test_the_head_of_document_003_drops_before_both_layers() -> None:
    head = classifier("resnet18", Head(hidden=512, dropout=0.3, hidden_dropout=0.15)).head
    assert [type(layer).__name__ for layer in head] == ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    assert (head[0].p, head[3].p) == (0.3, 0.15)
    assert [tuple(head[i].weight.shape) for i in (1, 4)] == [(512, 512), (3, 512)]


def test_features_are_what_the_head_gets() -> None:
    model = classifier("resnet18").eval()
    tiles = torch.rand(2, 3, 32, 32) * 255
    features = model.features(tiles)
    assert features.shape == (2, 512)
    assert torch.equal(model.head(features), model(tiles))


def test_tiles_of_another_size_are_resized_inside() -> None:
    model = classifier("resnet18", size=32).eval()
    assert model(torch.rand(2, 3, 48, 48) * 255).shape == (2, 3)
    assert model.preprocess(torch.full((1, 3, 48, 48), 127.0)).abs().max() == 0
