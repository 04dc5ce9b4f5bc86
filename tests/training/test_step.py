"""One step: accumulation, clipping, SAM, precision."""

from pathlib import Path

import pytest
import torch
from small import CPU, load, network, same, tiles
from torch.nn import functional as F

from landuse import params
from landuse.core.errors import UserError
from landuse.model.classifier import Classifier
from landuse.training import precision
from landuse.training.step import Stepper

PLAIN = {"freeze": "backbone", "optimizer": "sgd", "lr": 0.1, "weight_decay": 0.0, "scheduler": "constant"}
QUIET = {"head": {"hidden": None, "dropout": 0.0}, "loss": {"class_weights": False, "label_smoothing": 0.0}}


def stepper(p: params.Params) -> tuple[Classifier, Stepper, list[tuple[torch.Tensor, torch.Tensor]]]:
    """A network whose backbone stands still, its stepper, and four batches of 16."""
    model = network()
    model.head[0].p = 0.0
    phase = p.recipe.phases[0]
    model.freeze(phase.freeze, phase.bn)
    model.train()
    train, _ = tiles()
    return model, Stepper(model, phase, p, train), list(train.in_order())


@pytest.mark.parametrize("weighted", [False, True])
def test_batches_that_are_accumulated_make_the_step_of_one_large_batch(tmp_path: Path, weighted: bool) -> None:
    """Groups of three and a tail of one; of other sizes, and with weights that differ from batch to batch."""
    loss = {"class_weights": weighted, "label_smoothing": 0.1}
    p = load(tmp_path, [PLAIN], **(QUIET | {"loss": loss, "accumulate": 3, "ema": None}))
    model, group, batches = stepper(p)
    batches[1] = (batches[1][0][:5], batches[1][1][:5])
    for i, (pixels, targets) in enumerate(batches):
        group.batch(pixels, targets, last=i == 3)
    assert group.pending == 0

    reference = network()
    reference.head[0].p = 0.0
    reference.freeze("backbone")
    opt = torch.optim.SGD(reference.head.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    weights = group.loss.class_weights
    for part in (batches[:3], batches[3:]):
        pixels, targets = (torch.cat(list(each)) for each in zip(*part, strict=True))
        opt.zero_grad()
        F.cross_entropy(reference.train()(pixels), targets, weights, label_smoothing=0.1).backward()
        opt.step()
    for ours, theirs in zip(model.head.parameters(), reference.head.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_clipping_shortens_the_gradient_and_the_norm_is_noted_before_it(tmp_path: Path) -> None:
    still = PLAIN | {"lr": 1e-9}
    _, free, batches = stepper(load(tmp_path, [still], **QUIET))
    free.batch(*batches[0], last=True)
    model, clipped, _ = stepper(load(tmp_path, [PLAIN], **(QUIET | {"clip_norm": 0.01})))
    before = [p.clone() for p in model.head.parameters()]
    clipped.batch(*batches[0], last=True)
    assert clipped.gradient_norm == pytest.approx(free.gradient_norm)
    assert clipped.gradient_norm > 0.01
    moved = torch.cat([(a - b).flatten() for a, b in zip(model.head.parameters(), before, strict=True)])
    # the first step of Nesterov's momentum is 1.9 times the gradient
    assert float(moved.detach().norm()) == pytest.approx(0.1 * 1.9 * 0.01, rel=1e-3)


def test_sam_steps_by_the_gradient_up_the_slope(tmp_path: Path) -> None:
    p = load(
        tmp_path,
        [PLAIN | {"optimizer": "sam"}],
        {"train.optimizers.sgd.momentum": 0.0} | {"train.optimizers.sgd.nesterov": False},
        **QUIET,
    )
    model, sam, batches = stepper(p)
    sam.batch(*batches[0])

    reference = network()
    reference.head[0].p = 0.0
    reference.freeze("backbone")
    reference.train()
    weights = list(reference.head.parameters())
    pixels, targets = batches[0]
    first = torch.autograd.grad(F.cross_entropy(reference(pixels), targets), weights)
    norm = torch.sqrt(sum((g**2).sum() for g in first))
    with torch.no_grad():
        for weight, gradient in zip(weights, first, strict=True):
            weight += 0.05 * gradient / norm
    second = torch.autograd.grad(F.cross_entropy(reference(pixels), targets), weights)
    with torch.no_grad():
        for weight, up, gradient in zip(weights, first, second, strict=True):
            weight -= 0.05 * up / norm + 0.1 * gradient
    for ours, theirs in zip(model.head.parameters(), weights, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_sam_moves_batchnorm_statistics_once(tmp_path: Path) -> None:
    counts = {}
    for kind in ("sgd", "sam"):
        model, step, batches = stepper(load(tmp_path, [PLAIN | {"freeze": "none", "optimizer": kind}], **QUIET))
        step.batch(*batches[0])
        counts[kind] = {k: v for k, v in model.state_dict().items() if "running" in k}
    assert same(counts["sgd"], counts["sam"])


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_half_precision_learns_much_the_same(tmp_path: Path, name: str) -> None:
    found = {}
    for kind in ("fp32", name):
        model, step, batches = stepper(load(tmp_path, [PLAIN | {"lr": 0.01}], {"train.precision": kind}, **QUIET))
        for pixels, targets in batches:
            total, _, _ = step.batch(pixels, targets)
            assert total.dtype == torch.float32
        found[kind] = torch.cat([p.detach().flatten() for p in model.head.parameters()])
        assert found[kind].dtype == torch.float32
    assert not torch.equal(found["fp32"], found[name])
    assert torch.allclose(found["fp32"], found[name], atol=0.02)
    assert precision.scaler(name, CPU).is_enabled() == (name == "fp16")


def test_a_precision_that_the_device_lacks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel for it")

    p, model, (train, _) = load(tmp_path, [PLAIN], {"train.precision": "fp16"}), network(), tiles()
    monkeypatch.setattr(precision.F, "conv2d", fail)
    with pytest.raises(UserError, match=r"train\.precision fp16 does not work on this cpu.*fp32"):
        Stepper(model, p.recipe.phases[0], p, train)


def test_more_accumulation_than_an_epoch_has_batches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"accumulate of recipe fast is 9, but an epoch has 4 batches"):
        stepper(load(tmp_path, [PLAIN], accumulate=9))


def test_sam_with_a_gradient_scaler_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="bf16 or fp32"):
        stepper(load(tmp_path, [PLAIN | {"optimizer": "sam"}], {"train.precision": "fp16"}))
