"""Layers beside a backbone: what early fusion starts as, and what a branch of their own does, learns and leaves."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from trained import layer_bands, network, pixels, spec

from landuse.core.errors import UserError
from landuse.model import backbones, saved
from landuse.model.adapters import Adapter, Word
from landuse.model.backbones import Backbone
from landuse.model.classifier import Classifier
from landuse.params import Head
from landuse.prediction.predictor import predict
from landuse.report.explain import gradcam
from landuse.spec.model import ModelSpec

CPU = torch.device("cpu")
RGB, LAYERS = (3, 2, 1), 2  # places of red, green and blue; of six channels the last two are layers
PIXELS = torch.randn(4, 6, 32, 32, generator=torch.Generator().manual_seed(0))


def built(name: str = "test_resnet", word: Word = "inflate", layers: int = LAYERS, size: int = 32) -> Backbone:
    torch.manual_seed(0)
    return backbones.build(name, 6, input_size=size, adapter=Adapter(word, RGB), layers=layers)


def late(name: str = "test_resnet", word: Word = "inflate") -> Classifier:
    return Classifier(built(name, word), Head(hidden=None, dropout=0.0), 3, [0.5] * 6, [2.0] * 6, 32)


def lively(model: Classifier) -> Classifier:
    """In float64, with BatchNorm statistics and filters that cannot be left out unnoticed."""
    for norm in (module for module in model.modules() if isinstance(module, _BatchNorm)):
        norm.running_mean.normal_(0, 0.2)
        norm.running_var.uniform_(0.5, 2)
    for parameter in model.adapter:
        nn.init.normal_(model.backbone.get_parameter(parameter))
    return model.double()


def described(**other: Any) -> ModelSpec:
    """A model of four bands and two layers."""
    names = ["B02", "B03", "B04", "B08", "ndvi", "dem"]
    facts: dict[str, Any] = {"bands": names, "dtype": "uint16", "layers": layer_bands("ndvi", "dem")}
    facts |= {"mean": [1500.0] * 6, "std": [700.0] * 6}
    facts |= {"fusion": "late", "input_adapter": "inflate", "rgb": [2, 1, 0]}
    return ModelSpec(**(spec().model_dump() | facts | other))


@pytest.mark.parametrize("name", ["test_resnet", "cnn_95k", "tf_mobilenetv3_small_minimal_100"])
def test_early_starts_as_the_network_that_sees_no_layers(name: str) -> None:
    alone = backbones.build(name, 4, input_size=32, adapter=Adapter("inflate", RGB)).module
    together = built(name, layers=0).module
    state = alone.state_dict()
    together.load_state_dict(
        {n: state.get(n, torch.zeros(())).expand_as(t) for n, t in together.state_dict().items() if "others" not in n},
        strict=False,
    )
    for mode in (True, False):
        assert torch.equal(together.train(mode)(PIXELS), alone.train(mode)(PIXELS[:, :4].contiguous()))


@pytest.mark.parametrize("word", ["inflate", "project", "select_rgb", "repeat"])
def test_late_joins_what_the_backbone_gives_alone_with_the_branch(word: Word) -> None:
    backbone = built(word=word)
    torch.manual_seed(0)
    alone = backbones.build("test_resnet", 4, input_size=32, adapter=Adapter(word, RGB))
    network = backbone.module.eval()
    given = network(PIXELS)
    assert given.shape == (4, backbone.features) == (4, alone.features + 128)
    assert torch.equal(given[:, : alone.features], alone.module.eval()(PIXELS[:, :4]))
    changed = PIXELS.clone()
    changed[:, 4:] += 1
    moved = (network(changed) != given).any(dim=0)
    assert not moved[: alone.features].any()
    assert moved[alone.features :].any()


@pytest.mark.parametrize("size", [8, 17, 224])
def test_it_works_at_any_size_of_tiles(size: int) -> None:
    backbone = built("cnn_95k", "scratch_stem", layers=1, size=size)
    assert backbone.module(torch.randn(2, 6, size, size)).shape == (2, 128 + 128)


def test_every_parameter_has_a_stage_and_the_branch_belongs_to_the_head() -> None:
    backbone = built()
    assert set(backbone.stages) == {name for name, _ in backbone.module.named_parameters()}
    assert {s for name, s in backbone.stages.items() if name.startswith("branch.")} == {"head"}
    assert {s for name, s in backbone.stages.items() if name.startswith("spectral.")} == set(backbones.STAGES)
    assert {backbone.stages[name] for name in backbone.adapter} == {"stem"}
    assert late().stage_of("backbone.branch.stem.0.weight") == "head"


@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("upto", ["stem", "layer2", "backbone"])
def test_of_a_frozen_backbone_nothing_moves_and_the_branch_learns(upto: Any, learns: bool) -> None:
    model = late()
    model.freeze(upto, adapter_learns=learns)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    nn.functional.cross_entropy(model.train()(PIXELS), torch.arange(4) % 3).backward()
    optimizer.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    own = {name for name in before if name.startswith("backbone.branch.")}
    assert own - changed == set()  # BatchNorm statistics, too
    frozen = backbones.STAGES[: {"stem": 1, "layer2": 3, "backbone": 5}[upto]]
    moved = {n for n in changed if n.startswith("backbone.spectral.") and model.stages.get(n[9:]) in frozen}
    assert moved == ({f"backbone.{name}" for name in model.adapter} if learns else set())
    if upto == "backbone":
        assert changed - own - moved == {"head.1.weight", "head.1.bias"}


@pytest.mark.parametrize("upto", ["stem", "layer2", "backbone"])
@pytest.mark.parametrize("word", ["inflate", "select_rgb"])
def test_the_frozen_prefix_and_the_rest_are_the_network(word: Word, upto: Any) -> None:
    model = lively(late(word=word))
    inputs = PIXELS.double()
    model.freeze(upto)
    cut = model.cut
    assert cut is not None
    assert cut.rest_sees_pixels
    assert not any("branch" in name for name, _ in cut.prefix.named_modules())
    expected = model.backbone.eval()(model.preprocess(inputs))
    torch.testing.assert_close(model.eval().pooled(inputs), expected)
    torch.testing.assert_close(model.pooled(model.prefix(inputs)), expected)
    whole = copy.deepcopy(model)
    whole.__dict__["cut"] = None
    gradients = []
    for each in (model, whole):
        nn.functional.cross_entropy(each.train()(inputs), torch.arange(4) % 3).backward()
        gradients.append({name: p.grad for name, p in each.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert any("branch" in name for name in gradients[0])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-7, atol=1e-9)
    for one, other in zip(model.buffers(), whole.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_an_adapter_that_learns_leaves_nothing_to_be_kept() -> None:
    model = late()
    model.freeze("backbone", adapter_learns=True)
    assert model.cut is None
    assert torch.isfinite(model(PIXELS)).all()


@pytest.mark.parametrize("word", ["inflate", "project", "repeat"])
def test_answers_are_the_networks_and_statistics_are_of_middle_stages(word: Word) -> None:
    """BatchNorms are folded; strangers are told by the maps of the bands, as of a network without layers."""
    of = described(input_adapter=word, rgb=None if word == "repeat" else [2, 1, 0])
    model, tiles = network(of), pixels(of, 12)
    rows = np.arange(12)
    answers = predict([model], 1, tiles, rows, np.zeros_like(rows), CPU)
    given = torch.from_numpy(tiles.astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        np.testing.assert_allclose(answers.logits[:, 0, 0], model(given).numpy(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(answers.features, model.features(given).numpy(), rtol=1e-3, atol=1e-4)
        maps: list[torch.Tensor] = []
        for stage in (model.backbone.spectral.layer2, model.backbone.spectral.layer3):  # type: ignore[union-attr]
            stage.register_forward_hook(lambda *seen: maps.append(seen[-1]))  # type: ignore[operator,union-attr]
        model(given)
    known = [torch.cat([of.mean((2, 3)), of.std((2, 3), correction=0)], dim=1) for of in maps]
    expected = torch.cat([own / own.norm(dim=1, keepdim=True) for own in known], dim=1)
    expected[:, known[0].shape[1] :] *= 0.7
    np.testing.assert_allclose(answers.statistics, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_a_saved_model_has_its_branch(tmp_path: Path) -> None:
    of = described()
    model = network(of)
    saved.save(model, of, tmp_path / "model")
    loaded, found = saved.load(tmp_path / "model")
    assert found == of
    given = torch.rand(2, 6, 32, 32) * 4000
    assert torch.equal(loaded(given), model(given))


def test_a_file_names_layers_and_fusion_only_where_there_are_layers() -> None:
    written = described().model_dump()
    assert (written["fusion"], [layer["name"] for layer in written["layers"]]) == ("late", ["ndvi", "dem"])
    older = spec().model_dump()
    assert not {"fusion", "layers"} & older.keys()
    assert ModelSpec.model_validate(older) == spec()


@pytest.mark.parametrize("layers", [None, [], layer_bands(*"abcdef")])
def test_late_fusion_of_no_layers_or_of_nothing_else_is_refused(layers: Any) -> None:
    with pytest.raises(ValueError, match=r"fusion is late, but layers are [06] of 6 channels"):
        described(layers=layers)


def test_heat_maps_are_of_the_backbone() -> None:
    model = network(described(tile_size=64, input_size=64))
    layer = gradcam.target_layer(model, torch.zeros(1, 6, 64, 64))
    (name,) = [name for name, module in model.backbone.named_modules() if module is layer]
    assert name.startswith("spectral.")


def test_a_size_that_does_not_work_is_told() -> None:
    with pytest.raises(UserError, match="test_vit does not work at 33 px"):
        built("test_vit", size=33)
