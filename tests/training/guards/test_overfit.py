"""What a working training must be able to do before anything else: learn one batch by heart (K4)."""

from pathlib import Path

import pytest
import torch
from healthy import pretrained
from small import load, tiles
from torch.nn import functional as F

from landuse import params
from landuse.training.optim import optimizer


def phase(tmp_path: Path, freeze: str) -> tuple[params.Phase, params.Optimizers]:
    p = load(tmp_path, [{"freeze": freeze, "lr": 3e-3, "optimizer": "adam", "weight_decay": 0.0}])
    return p.recipe.phases[0], p.train.optimizers


@pytest.mark.parametrize("freeze", ["none", "layer3"])
def test_one_batch_is_learnt_by_heart(tmp_path: Path, freeze: params.Freeze) -> None:
    model = pretrained(freeze)
    opt = optimizer(model, *phase(tmp_path, freeze))
    pixels, targets = next(tiles()[0].in_order())
    for _ in range(150):
        loss = F.cross_entropy(model(pixels), targets)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if loss.item() < 0.05:
            break
    assert loss.item() < 0.05


@pytest.mark.parametrize("freeze", ["none", "layer2", "backbone"])
def test_steps_move_all_that_learns_and_nothing_else(tmp_path: Path, freeze: params.Freeze) -> None:
    model = pretrained(freeze)
    opt = optimizer(model, *phase(tmp_path, freeze))
    held = {id(p) for group in opt.param_groups for p in group["params"]}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pixels, targets = next(tiles()[0].in_order())
    model.train()
    for _ in range(2):  # timm's residual branches end in a zero, behind which nothing moves in a first step
        F.cross_entropy(model(pixels), targets).backward()
        opt.step()
    learnt = {name for name, p in model.named_parameters() if p.requires_grad}
    frozen = {name.rpartition(".")[0] for name, p in model.named_parameters() if not p.requires_grad}
    for name, tensor in model.state_dict().items():
        moved = not torch.equal(tensor, before[name])
        if name in learnt:
            assert moved, name
        elif name.rpartition(".")[0] in frozen or name in ("mean", "std"):
            assert not moved, name
        else:  # BatchNorm statistics of what learns
            assert moved, name
