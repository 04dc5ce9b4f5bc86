"""Other bands than RGB: what a network starts as, what of it learns where the stem is frozen, and what is folded."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from trained import spec

from landuse.core.errors import UserError
from landuse.model import backbones, saved
from landuse.model.adapters import Adapter, Inflated, Word
from landuse.model.backbones import Backbone
from landuse.model.classifier import Classifier
from landuse.params import Head
from landuse.sensors import BANDS
from landuse.training.adapter import choose

ALL = (3, 2, 1)  # where B04, B03, B02 lie among EuroSAT's bands
Places = tuple[int, ...]
PIXELS = torch.randn(4, 13, 32, 32, generator=torch.Generator().manual_seed(0))
WORDS: list[Word] = ["inflate", "repeat", "project", "scratch_stem", "select_rgb"]


def built(name: str, channels: int = 13, word: Word = "inflate", rgb: Places = ALL, size: int = 32) -> Backbone:
    torch.manual_seed(0)
    return backbones.build(name, channels, input_size=size, adapter=Adapter(word, rgb))


def model(word: Word, name: str = "test_resnet") -> Classifier:
    return Classifier(built(name, word=word), Head(hidden=None, dropout=0.0), 3, [0.5] * 13, [2.0] * 13, 32)


@pytest.mark.parametrize("word", ["inflate", "project", "select_rgb"])
@pytest.mark.parametrize(
    ("name", "channels", "rgb"),
    [
        ("test_resnet", 13, ALL),
        ("test_resnet", 4, (0, 3, 1)),
        ("test_resnet", 3, (2, 1, 0)),
        ("test_resnet", 3, (0, 1, 2)),
        ("tf_mobilenetv3_small_minimal_100", 13, ALL),  # pads on one side
        ("test_nfnet", 13, ALL),  # standardises its filters
        ("test_convnext", 13, ALL),
        ("cnn_95k", 13, ALL),
    ],
)
def test_at_the_start_it_is_the_rgb_network_to_the_bit(word: Word, name: str, channels: int, rgb: Places) -> None:
    network, state = built(name, channels, word, rgb).module, torch.get_rng_state()
    alone = built(name, 3, "repeat").module
    assert torch.equal(torch.get_rng_state(), state)  # so the head starts as that of RGB
    pixels = PIXELS[:, :channels].contiguous(memory_format=torch.channels_last)
    seen = pixels[:, list(rgb)].contiguous(memory_format=torch.channels_last)
    for mode in (True, False):
        assert torch.equal(network.train(mode)(pixels), alone.train(mode)(seen))


def test_rgb_in_its_own_order_needs_no_adapter() -> None:
    for word in ("inflate", "select_rgb", "repeat"):
        backbone = built("test_resnet", 3, word, (0, 1, 2))  # type: ignore[arg-type]
        assert backbone.module.state_dict().keys() == built("test_resnet", 3, "repeat").module.state_dict().keys()
        assert not backbone.adapter


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_nfnet"])
def test_the_adapter_belongs_to_the_stem(name: str, word: Word) -> None:
    backbone = built(name, word=word, size=160 if name == "test_vit" else 32)
    assert set(backbone.stages) == {parameter for parameter, _ in backbone.module.named_parameters()}
    assert {backbone.stages[parameter] for parameter in backbone.adapter} <= {"stem"}
    assert bool(backbone.adapter) == (word in ("inflate", "project", "scratch_stem"))


def learnt(trained: Classifier) -> set[str]:
    """The backbone's weights and statistics that a step of training changed by a bit."""
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    nn.functional.cross_entropy(trained.train()(PIXELS), torch.arange(4) % 3).backward()
    optimizer.step()
    changed = {name for name, tensor in trained.state_dict().items() if not torch.equal(tensor, before[name])}
    return {name.removeprefix("backbone.") for name in changed if name.startswith("backbone.")}


@pytest.mark.parametrize("upto", ["stem", "backbone"])
@pytest.mark.parametrize("word", WORDS)
def test_of_a_frozen_stem_only_the_adapter_learns(word: Word, upto: str) -> None:
    network = model(word)
    network.freeze(upto, adapter_learns=True)  # type: ignore[arg-type]
    moved = learnt(network)
    parameters = {name for name, _ in network.backbone.named_parameters()}
    stem = {name for name in parameters if network.stages[name] == "stem"}
    assert moved & stem == network.adapter
    if upto == "backbone":
        assert moved & parameters == network.adapter
        statistics = {name.rpartition(".")[0] for name in moved - parameters}  # of norms that start anew
        assert statistics <= {name.rpartition(".")[0] for name in network.adapter}
        assert bool(statistics) == (word == "scratch_stem")


@pytest.mark.parametrize("word", WORDS)
def test_a_frozen_adapter_does_not_move(word: Word) -> None:
    network = model(word)
    network.freeze("backbone")
    assert learnt(network) == set()


@pytest.mark.parametrize("word", WORDS)
def test_what_is_frozen_over_an_adapter_that_learns_cannot_be_kept(word: Word) -> None:
    """Neither can it be computed once, nor without a gradient."""
    network = model(word)
    network.freeze("layer2", adapter_learns=True)
    assert (network.cut is None) == bool(network.adapter)
    network.freeze("layer2", adapter_learns=False)
    assert network.cut is not None


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", ["test_resnet", "test_nfnet", "tf_mobilenetv3_small_minimal_100"])
def test_the_frozen_prefix_is_the_network(word: Word, name: str) -> None:
    network = model(word, name).double()
    for norm in (module for module in network.modules() if isinstance(module, _BatchNorm)):
        norm.running_mean.normal_(0, 0.2)
        norm.running_var.uniform_(0.5, 2)
    for parameter in network.adapter:  # zeros would hide a filter at another band
        nn.init.normal_(network.backbone.get_parameter(parameter))
    pixels = PIXELS.double()
    expected = network.eval()(pixels)
    network.freeze("layer2")
    assert network.cut is not None
    torch.testing.assert_close(network(pixels), expected)
    linear = name != "test_nfnet"
    assert any(isinstance(m, Inflated) for m in network.cut.prefix.modules()) == (word == "inflate" and not linear)
    assert any(isinstance(m, Inflated) for m in network.modules()) == (word == "inflate")


def test_a_stem_from_scratch_has_random_weights_and_the_other_stages_keep_theirs() -> None:
    rgb = built("resnet18", 3, "repeat").module.state_dict()
    rgb = {name: tensor + 1 for name, tensor in rgb.items()}
    torch.manual_seed(1)
    backbone = backbones.build(
        "resnet18", 13, load=lambda n: n.load_state_dict(rgb) and None, adapter=Adapter("scratch_stem", ALL)
    )
    own = backbone.module.state_dict()
    assert own["conv1.weight"].shape == (64, 13, 7, 7)
    assert own["conv1.weight"].mean().abs() < 0.01
    assert own["bn1.running_var"].unique().tolist() == [1.0]
    assert all(torch.equal(own[name], tensor) for name, tensor in rgb.items() if name.startswith("layer"))


@pytest.mark.parametrize("word", WORDS)
def test_a_saved_model_has_its_adapter(tmp_path: Path, word: Word) -> None:
    described = spec(bands=13, input_adapter=word, rgb=[3, 2, 1])
    network = saved.build(described).eval()
    for parameter in network.adapter:
        nn.init.normal_(network.backbone.get_parameter(parameter))
    saved.save(network, described, tmp_path / "model")
    loaded, found = saved.load(tmp_path / "model")
    assert found == described
    pixels = torch.rand(2, 13, 32, 32) * 4000
    assert torch.equal(loaded(pixels), network(pixels))


def test_a_copy_has_filters_of_its_own() -> None:
    """Means of the weights are kept in deep copies."""
    network = model("inflate").eval()
    double, before = copy.deepcopy(network), network(PIXELS)
    with torch.no_grad():
        for parameter in double.parameters():
            parameter.add_(1)
    assert torch.equal(network(PIXELS), before)


RGB, NAMES = ["B04", "B03", "B02"], ["red", "green", "blue"]


@pytest.mark.parametrize(
    ("word", "backbone", "bands", "pretrained", "expected"),
    [
        ("auto", "resnet18", BANDS, True, Adapter("inflate", (3, 2, 1))),
        ("auto", "resnet18", BANDS, False, Adapter("scratch_stem", (3, 2, 1))),
        ("auto", "cnn_54k", BANDS, True, Adapter("scratch_stem", (3, 2, 1))),
        ("auto", "resnet18", RGB, False, Adapter("inflate", (0, 1, 2))),
        ("auto", "resnet18", NAMES, True, Adapter("inflate", (0, 1, 2))),
        ("auto", "resnet18", ["B02", "B03", "B04", "B08"], True, Adapter("inflate", (2, 1, 0))),
        ("auto", "resnet18", ["B08", "B11", "B04"], True, Adapter("repeat", None)),
        ("scratch_stem", "resnet18", ["B08", "NDVI"], True, Adapter("scratch_stem", None)),
        ("project", "resnet18", RGB, True, Adapter("project", (0, 1, 2))),
    ],
)
def test_which_adapter_a_training_gets(
    word: str, backbone: str, bands: list[str], pretrained: bool, expected: Adapter
) -> None:
    assert choose(word, backbone, bands, pretrained) == expected


@pytest.mark.parametrize("word", ["inflate", "project", "select_rgb"])
def test_an_adapter_of_rgb_is_refused_where_there_is_none(word: str) -> None:
    told = rf"model.input_adapter is '{word}'.* \(B08, B04, B03\): choose repeat or scratch_stem, or add B04, B03, B02"
    with pytest.raises(UserError, match=told) as caught:
        choose(word, "resnet18", ["B08", "B04", "B03"], True)
    assert "\n" not in str(caught.value)
