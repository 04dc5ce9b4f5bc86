"""From params and data on disk to a network."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import trained
from conftest import ROOT
from small import load

from landuse.core.errors import UserError
from landuse.model import backbones, saved
from landuse.params import Augment
from landuse.training.epochs import shuffled
from landuse.training.guards import probe
from landuse.training.loop import Loop
from landuse.training.prepare import prepare
from landuse.training.step import Stepper


def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int | None], refused: int = 0) -> list[int]:
    """Prepare a training whose phases have these input sizes; return the sizes at which the network was run.

    refused: a size at which it does not work.
    """
    trained.build(tmp_path, trained.spec(), count=24, tests=2)
    for name in ("src", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    run: list[int] = []
    original = backbones.features_at

    def counting(network: Any, name: str, channels: int, size: int) -> int:
        run.append(size)
        if size == refused:
            raise UserError("it does not work at this size")
        return original(network, name, channels, size)

    monkeypatch.setattr(backbones, "features_at", counting)
    changes = {"model.backbone": "cnn_54k", "model.weights": "none", "model.input_size": 64}
    prepare(load(tmp_path, [{"input_size": size} for size in sizes], changes))
    return run


def test_the_network_is_tried_once_at_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(ready(tmp_path, monkeypatch, [32, 64, 32, None])) == [32, 64]


def test_a_size_that_does_not_work_is_told_with_its_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"phase p1 of the recipe has an input_size of 24 px"):
        ready(tmp_path, monkeypatch, [64, 24, 24, None], refused=24)


def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bands: int) -> None:
    """Stand in a folder with a few tiles of the first bands."""
    trained.build(tmp_path, trained.spec(bands=bands), count=24, tests=2)
    for name in ("src", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("learns", [True, False])
def test_more_bands_inflate_the_stem_which_learns_where_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, learns: bool
) -> None:
    workspace(tmp_path, monkeypatch, 13)
    changes = {"model.backbone": "test_resnet", "model.weights": "none", "model.input_size": 32}
    changes |= {"model.input_adapter": "inflate", "model.adapter_learns": learns}
    p = load(tmp_path, [{"freeze": "layer3"}], changes)
    made = prepare(p)
    assert (made.spec.input_adapter, made.spec.rgb) == ("inflate", [3, 2, 1])
    model = Loop(made.model, made.train, made.val, p, lambda *_: None).model
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name in learning if model.stage_of(name) == "stem"} == (
        {"backbone.conv1.0.others.weight"} if learns else set()
    )
    assert (model.cut is None) == learns


@pytest.mark.parametrize("freeze", ["backbone", "none"])
def test_an_epoch_has_the_batches_that_the_recipe_asks_for_and_a_probe_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freeze: str
) -> None:
    workspace(tmp_path, monkeypatch, 3)
    taken: list[int] = []
    batch = Stepper.batch
    monkeypatch.setattr(
        Stepper, "batch", lambda *given, **named: (taken.append(len(given[2])), batch(*given, **named))[1]
    )
    changes = {"model.backbone": "test_resnet", "model.weights": "none", "model.input_size": 32}
    p = load(tmp_path, [{"freeze": freeze, "epochs": 2}], changes, least_batches=7)
    made = prepare(p)
    assert len(made.train.rows) < 7 * 16
    Loop(made.model, made.train, made.val, p, lambda *_: None).run()
    assert taken == [16] * 14
    assert len(list(shuffled(probe.sample(made.train), 0, 1, Augment()))) == 1


def with_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    """Stand in a folder with a few tiles of six bands, the last of which are layers."""
    workspace(tmp_path, monkeypatch, 6)
    file = tmp_path / "data/tiles/dataset.json"
    info = json.loads(file.read_text())
    info["bands"][6 - len(names) :] = names
    file.write_text(json.dumps(info | {"layers": trained.layer_bands(*names)}))


MODEL = {"model.backbone": "test_resnet", "model.weights": "none", "model.input_size": 32}
MODEL |= {"model.input_adapter": "inflate"}


@pytest.mark.parametrize("freeze", ["backbone", "none"])
def test_late_fusion_trains_a_branch_for_the_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freeze: str
) -> None:
    with_layers(tmp_path, monkeypatch, ["ndvi", "dem"])
    changes = MODEL | {"model.fusion": "late", "model.adapter_learns": False}
    p = load(tmp_path, [{"freeze": freeze, "epochs": 2}], changes)
    made = prepare(p)
    assert made.spec.fusion == "late"
    assert [layer["name"] for layer in made.spec.layers or ()] == made.spec.bands[4:] == ["ndvi", "dem"]
    assert (made.spec.rgb, len(made.spec.mean)) == ([3, 2, 1], 6)
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    Loop(made.model, made.train, made.val, p, lambda *_: None, cache=made.cache).run()
    moved = {name for name, tensor in made.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name for name in before if name.startswith("backbone.branch.")} <= moved
    assert any(name.startswith("backbone.spectral.") for name in moved) == (freeze == "none")
    saved.save(made.model, made.spec, tmp_path / "kept")
    restored, _ = saved.load(tmp_path / "kept")
    pixels = next(iter(made.val.in_order()))[0]
    with torch.no_grad():
        torch.testing.assert_close(restored(pixels), made.model.eval()(pixels))


def test_early_fusion_sees_layers_as_channels_that_start_at_zero(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_layers(tmp_path, monkeypatch, ["dem"])
    made = prepare(load(tmp_path, [{}], MODEL))
    assert made.spec.fusion == "early"
    model, (pixels, _) = made.model.eval(), next(iter(made.val.in_order()))
    changed = pixels.clone()
    changed[:, 5] += 500
    with torch.no_grad():
        assert torch.equal(model(changed), model(pixels))


def test_late_fusion_without_layers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(tmp_path, monkeypatch, 13)
    with pytest.raises(UserError, match=r"model\.fusion is 'late', but the tiles have no layers: .*-S data\.layers="):
        prepare(load(tmp_path, [{}], MODEL | {"model.fusion": "late"}))


def test_who_asks_for_rgb_is_told_that_it_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(tmp_path, monkeypatch, 2)
    with pytest.raises(UserError, match=r"'select_rgb', but red, green and blue are not all .* \(B01, B02\)"):
        prepare(load(tmp_path, [{}], {"model.weights": "none", "model.input_adapter": "select_rgb"}))
