"""Optimisers and schedules."""

import math
from pathlib import Path

import pytest
import torch
from small import load, network
from torch import nn

from landuse.training.optim import optimizer, schedule


def test_the_optimiser_holds_what_learns_and_spares_norms_and_biases_the_decay(tmp_path: Path) -> None:
    p = load(tmp_path, [{"freeze": "layer3", "weight_decay": 0.05}])
    model = network()
    model.freeze("layer3")
    opt = optimizer(model, p.recipe.phases[0], p.train.optimizers)
    held = [id(parameter) for group in opt.param_groups for parameter in group["params"]]
    assert len(set(held)) == len(held)
    assert set(held) == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    for group in opt.param_groups:
        assert {parameter.ndim > 1 for parameter in group["params"]} == {group["weight_decay"] > 0}


def rates(model: nn.Module, opt: torch.optim.Optimizer) -> dict[str, float]:
    """The learning rate of each parameter by its name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(p)]: group["lr"] for group in opt.param_groups for p in group["params"]}


@pytest.mark.parametrize(
    ("factors", "head", "layer4", "layer2", "stem"),
    [
        ({}, 1.0, 1.0, 1.0, 1.0),
        ({"lr_factors": {"backbone": 0.1}}, 1.0, 0.1, 0.1, 0.1),
        ({"lr_factors": {"backbone": 0.1, "layer4": 0.5}}, 1.0, 0.5, 0.1, 0.1),
        ({"lr_decay": 0.5}, 1.0, 0.5, 0.125, 1 / 32),
    ],
)
def test_stages_have_learning_rates_of_their_own(
    tmp_path: Path, factors: dict[str, object], head: float, layer4: float, layer2: float, stem: float
) -> None:
    p = load(tmp_path, [{"lr": 0.01, **factors}])
    model = network()
    model.freeze("none")
    opt = optimizer(model, p.recipe.phases[0], p.train.optimizers)
    found = rates(model, opt)
    assert opt.param_groups[0]["lr"] == 0.01
    expected = {"head": head, "layer4": layer4, "layer2": layer2, "stem": stem}
    for name, rate in found.items():
        stage = model.stage_of(name)
        if stage in expected:
            assert rate == pytest.approx(0.01 * expected[stage]), name


@pytest.mark.parametrize(
    ("name", "kind"),
    [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD), ("sam", torch.optim.SGD)],
)
def test_optimisers_by_name(tmp_path: Path, name: str, kind: type) -> None:
    p = load(tmp_path, [{"optimizer": name}])
    model = network()
    opt = optimizer(model, p.recipe.phases[0], p.train.optimizers)
    assert type(opt) is kind
    if kind is torch.optim.SGD:
        assert opt.defaults["momentum"] == 0.9
        assert opt.defaults["nesterov"]
    else:
        assert opt.defaults["betas"] == (0.9, 0.999)


CHANGES = {
    "train.schedulers.step.step_size": 2,
    "train.schedulers.exponential.gamma": 0.5,
    "train.schedulers.warm_restarts.period": 2,
    "train.schedulers.warm_restarts.factor": 1,
}


def walk(tmp_path: Path, name: str, changes: dict[str, object]) -> list[list[float]]:
    """The learning rates of two groups (0.5 and 0.05) before each of 4 x 5 steps, and after the last."""
    p = load(tmp_path, [{"epochs": 4, "lr": 0.5, "scheduler": name}], CHANGES | changes)
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.5, 0.05)]
    opt = torch.optim.SGD(groups, lr=0.5)
    plan = schedule(opt, p.recipe.phases[0], p.train.schedulers, steps_per_epoch=5)
    seen = [[group["lr"] for group in opt.param_groups]]
    for _ in range(4):
        for step in range(5):
            opt.step()
            plan.after_step()
            if step == 4:
                plan.after_epoch(1.0)
            seen.append([group["lr"] for group in opt.param_groups])
    return seen


def cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1.0] * 21),
        ("step", [1.0] * 10 + [0.1] * 10 + [0.01]),
        ("exponential", [0.5 ** (i // 5) for i in range(21)]),
        ("linear", [1 - i / 20 for i in range(21)]),
        ("cosine", [cosine(i / 20) for i in range(21)]),
        ("warm_restarts", [cosine(i % 10 / 10) for i in range(21)]),
    ],
)
def test_schedules_follow_their_formula_in_every_group(tmp_path: Path, name: str, expected: list[float]) -> None:
    for (head, backbone), factor in zip(walk(tmp_path, name, {}), expected, strict=True):
        assert head == pytest.approx(0.5 * factor, rel=1e-6, abs=1e-12)
        assert backbone == pytest.approx(0.05 * factor, rel=1e-6, abs=1e-12)


def test_onecycle_rises_to_its_peak_and_falls(tmp_path: Path) -> None:
    seen = [head for head, _ in walk(tmp_path, "onecycle", {})]
    assert seen[0] == pytest.approx(0.5 * 0.04)
    assert max(seen) == pytest.approx(0.5, rel=1e-2)
    assert seen[-1] == pytest.approx(0.5 * 1e-4, rel=1e-3)


def test_cosine_warms_up_and_ends_at_its_share(tmp_path: Path) -> None:
    changes = {"train.schedulers.cosine.warmup": 0.25, "train.schedulers.cosine.min_factor": 0.1}
    seen = [head / 0.5 for head, _ in walk(tmp_path, "cosine", changes)]
    assert seen[:5] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert max(seen) == pytest.approx(1.0)
    assert seen[-1] == pytest.approx(0.1)


def test_plateau_waits_for_the_monitored_value(tmp_path: Path) -> None:
    p = load(tmp_path, [{"scheduler": "plateau", "monitor": "val_accuracy", "lr": 1.0}])
    opt = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    plan = schedule(opt, p.recipe.phases[0], p.train.schedulers, steps_per_epoch=1)
    for value in (0.5, 0.6, 0.6, 0.6, 0.6):
        plan.after_epoch(value)
        assert opt.param_groups[0]["lr"] == 1.0
    plan.after_epoch(0.6)
    assert opt.param_groups[0]["lr"] == pytest.approx(0.1)
