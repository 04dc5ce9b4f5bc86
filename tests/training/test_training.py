"""Optimisers, schedules and the loop."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT
from torch import nn

from landuse import params
from landuse.batches import Batches
from landuse.errors import UserError
from landuse.model import backbones
from landuse.model.classifier import Classifier
from landuse.training import curves, loop
from landuse.training.identity import flatten, identity
from landuse.training.optim import optimizer, schedule

CPU = torch.device("cpu")


def load(tmp_path: Path, phases: list[dict[str, object]] | None = None, **recipe: object) -> params.Params:
    """The params of the repository with other phases in the recipe `fast`."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    fast = content["recipes"]["fast"]
    fast |= {"batch_size": 16, **recipe}
    if phases is not None:
        fast["phases"] = [fast["phases"][0] | {"name": f"p{i}"} | phase for i, phase in enumerate(phases)]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    return params.read(tmp_path / "params.yaml")


def tiles(count: int = 96, classes: int = 3) -> tuple[Batches, Batches]:
    """Tiles of a colour that tells their class, with noise: learnable in seconds."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % classes
    images = rng.integers(0, 120, (count, 16, 16, 3)) + 100 * (np.arange(3) == targets[:, None])[:, None, None, :]
    rows = np.arange(count)
    part = count * 2 // 3
    images = images.astype(np.uint8)
    return (
        Batches(images, rows[:part], targets[:part], 16, CPU),
        Batches(images, rows[part:], targets[part:], 16, CPU),
    )


def network(classes: int = 3) -> Classifier:
    torch.manual_seed(0)
    backbone = backbones.build("test_resnet", 3, "none")
    return Classifier(backbone, params.Head(hidden=None, dropout=0.1), classes, [127.0] * 3, [60.0] * 3, 16)


def fit(p: params.Params) -> tuple[Classifier, list[loop.Row], loop.Best]:
    model = network()
    history, best = loop.fit(model, *tiles(), p, lambda *_: None)
    return model, history, best


def test_it_learns_and_keeps_the_best_weights(tmp_path: Path) -> None:
    p = load(tmp_path, [{"epochs": 6, "lr": 0.003, "monitor": "val_loss"}])
    model, history, best = fit(p)
    assert best.value == min(row["val_loss"] for row in history)
    assert loop.validate(model, tiles()[1])["val_loss"] == pytest.approx(best.value, abs=1e-6)
    assert max(row["val_accuracy"] for row in history) > 0.8


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    p = load(tmp_path, [{"epochs": 2}])
    first, second = fit(p)[0].state_dict(), fit(p)[0].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = fit(p.model_copy(update={"train": p.train.model_copy(update={"seed": 1})}))[0].state_dict()
    assert not torch.equal(first["head.1.weight"], other["head.1.weight"])


def test_phases_follow_each_other_from_the_best_weights(tmp_path: Path) -> None:
    p = load(tmp_path, [{"freeze": "backbone", "epochs": 2, "lr": 0.01}, {"freeze": "layer2", "epochs": 3}])
    model, history, best = fit(p)
    assert [row["phase"] for row in history] == ["p0"] * 2 + ["p1"] * 3
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]
    assert best.epoch > 2
    fresh = network().state_dict()
    now = model.state_dict()
    stages = model.stages
    for name, stage in stages.items():
        same = torch.equal(fresh[f"backbone.{name}"], now[f"backbone.{name}"])
        assert same == (stage in ("stem", "layer1", "layer2")), name


def test_early_stopping_takes_a_tie_for_no_improvement(tmp_path: Path) -> None:
    """A learning rate of almost nothing changes no prediction: the accuracy stays what it is."""
    quiet = {"augment": {}, "head": {"hidden": None, "dropout": 0.0}}
    phase = {"freeze": "backbone", "epochs": 9, "lr": 1e-12, "monitor": "val_accuracy", "patience": 2}
    _, history, best = fit(load(tmp_path, [phase], **quiet))
    assert best.epoch == 1
    assert len(history) == 3


def test_a_loss_that_is_not_a_number_stops_with_a_remedy(tmp_path: Path) -> None:
    train, val = tiles()
    model = network()
    with torch.no_grad():
        model.head[1].weight.fill_(float("nan"))
    with pytest.raises(UserError, match=r"lower train\.lr"):
        loop.fit(model, train, val, load(tmp_path), lambda *_: None)


def test_the_optimiser_holds_what_learns_and_spares_norms_and_biases_the_decay(tmp_path: Path) -> None:
    p = load(tmp_path, [{"freeze": "layer3", "weight_decay": 0.05}])
    model = network()
    model.freeze("layer3")
    opt = optimizer(model, p.recipe.phases[0])
    held = {id(parameter) for group in opt.param_groups for parameter in group["params"]}
    assert held == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    for group in opt.param_groups:
        assert {parameter.ndim > 1 for parameter in group["params"]} == {group["weight_decay"] > 0}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0]),
        ("step", [1.0, 1.0, 0.1, 0.1]),
        ("cosine", [1.0, 0.853553, 0.5, 0.146447]),
        ("onecycle", [0.04, None, None, None]),
    ],
)
def test_schedules_follow_their_formula(tmp_path: Path, name: str, expected: list[float | None]) -> None:
    p = load(tmp_path, [{"epochs": 4, "lr": 0.5, "scheduler": name}])
    settings = p.train.schedulers.model_copy(
        update={"step": p.train.schedulers.step.model_copy(update={"step_size": 2})}
    )
    opt = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    plan = schedule(opt, p.recipe.phases[0], settings, steps_per_epoch=5)
    seen, all_rates = [], []
    for _ in range(4):
        seen.append(opt.param_groups[0]["lr"])
        for _ in range(5):
            all_rates.append(opt.param_groups[0]["lr"])
            opt.step()
            plan.after_batch()
        plan.after_epoch(1.0)
    for rate, factor in zip(seen, expected, strict=True):
        assert factor is None or rate == pytest.approx(0.5 * factor, rel=1e-5)
    if name == "onecycle":
        assert max(all_rates) == pytest.approx(0.5, rel=1e-2)
        assert opt.param_groups[0]["lr"] == pytest.approx(0.5 * 1e-4, rel=1e-3)
    if name == "cosine":
        assert opt.param_groups[0]["lr"] == pytest.approx(0.0, abs=1e-9)


def test_plateau_waits_for_the_monitored_value(tmp_path: Path) -> None:
    p = load(tmp_path, [{"scheduler": "plateau", "monitor": "val_accuracy", "lr": 1.0}])
    opt = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    plan = schedule(opt, p.recipe.phases[0], p.train.schedulers, steps_per_epoch=1)
    for value in (0.5, 0.6, 0.6, 0.6, 0.6):
        plan.after_epoch(value)
        assert opt.param_groups[0]["lr"] == 1.0
    plan.after_epoch(0.6)
    assert opt.param_groups[0]["lr"] == pytest.approx(0.1)


def test_class_weights_are_those_of_document_000(tmp_path: Path) -> None:
    """N / (C n) on 8,000 City and 7,500 Farmland tiles."""
    targets = np.repeat([0, 1], [8000, 7500])
    train = Batches(np.zeros((1, 1, 1, 3), np.uint8), np.zeros(15500, np.int64), targets, 64, CPU)
    weights = loop._loss(train, load(tmp_path, loss={"class_weights": True, "label_smoothing": 0.0})).weight
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.96875, 1.03333], abs=1e-5)


def test_identity_changes_with_params_data_and_code(tmp_path: Path) -> None:
    flat = flatten(load(tmp_path))
    assert flat["recipe.phases.0.optimizer"] == "adamw"
    for name in ("src/landuse", "stages"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "stages/train.py").write_text("pass")
    (tmp_path / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {"train": {"deps": ["stages/train.py", "src/landuse", "data/tiles"]}}})
    )
    base = identity(flat, "d", tmp_path)
    assert identity(flat, "d", tmp_path) == base
    assert identity(flat | {"train.seed": 1}, "d", tmp_path) != base
    assert identity(flat, "e", tmp_path) != base
    (tmp_path / "src/landuse/x.py").write_text("pass")
    assert identity(flat, "d", tmp_path) != base


def test_curves_are_drawn_in_the_same_bytes(tmp_path: Path) -> None:
    _, history, best = fit(load(tmp_path, [{"epochs": 1}, {"epochs": 2}]))
    for name in ("a.png", "b.png"):
        curves.draw(pd.DataFrame(history), best.epoch, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").stat().st_size > 20_000
