"""Optimisers and learning-rate schedules by name, all of them torch's."""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn, optim
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from landuse import params
from landuse.model.classifier import Classifier


def optimizer(model: Classifier, phase: params.Phase, settings: params.Optimizers) -> optim.Optimizer:
    """Build a phase's optimiser over exactly the parameters that learn; for sam, the one that takes its steps.

    Stages have learning rates of their own. Norms and biases (one-dimensional) have no weight decay.
    """
    held: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = phase.weight_decay if parameter.ndim > 1 else 0.0
            held[phase.lr_of(model.stage_of(name)), decay].append(parameter)
    # the head's learning rate comes first: the history and the schedules show that of the first group
    ordered = sorted(held.items(), key=lambda item: (item[0][0] != phase.lr, *item[0]))
    groups: list[dict[str, Any]] = [{"params": own, "lr": lr, "weight_decay": decay} for (lr, decay), own in ordered]
    kind = settings.sam.base if phase.optimizer == "sam" else phase.optimizer
    if kind == "sgd":
        sgd = settings.sgd
        return optim.SGD(groups, lr=phase.lr, momentum=sgd.momentum, nesterov=sgd.nesterov, fused=True)
    betas = (settings.adam.beta1, settings.adam.beta2)
    return (optim.Adam if kind == "adam" else optim.AdamW)(groups, lr=phase.lr, betas=betas, fused=True)


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule that knows when it wants to be stepped. each_step: not only after an epoch."""

    scheduler: LRScheduler
    each_step: bool

    def after_step(self) -> None:
        if self.each_step:
            self.scheduler.step()

    def after_epoch(self, monitored: float) -> None:
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(monitored)
        elif not self.each_step:
            self.scheduler.step()


def better_is_lower(monitor: params.Monitor) -> bool:
    """Whether a monitored value improves by falling."""
    return monitor == "val_loss"


def schedule(opt: optim.Optimizer, phase: params.Phase, s: params.Schedulers, steps_per_epoch: int) -> Schedule:
    """Build a phase's schedule over its optimiser's groups, which keep the ratios of their learning rates.

    Cosine, linear, warm restarts and one-cycle move with every step, the others with every epoch.
    """
    total = phase.epochs * steps_per_epoch

    def cosine(step: int) -> float:
        warm = s.cosine.warmup * total
        if step < warm:
            return (step + 1) / (warm + 1)
        done = min(1.0, (step - warm) / (total - warm))
        return s.cosine.min_factor + (1 - s.cosine.min_factor) * (1 + math.cos(math.pi * done)) / 2

    build: dict[str, Callable[[], LRScheduler]] = {
        "constant": lambda: lr_scheduler.LambdaLR(opt, lambda _: 1.0),
        "step": lambda: lr_scheduler.StepLR(opt, s.step.step_size, gamma=s.step.gamma),
        "exponential": lambda: lr_scheduler.ExponentialLR(opt, s.exponential.gamma),
        "plateau": lambda: ReduceLROnPlateau(
            opt, "min" if better_is_lower(phase.monitor) else "max", s.plateau.factor, s.plateau.patience
        ),
        "cosine": lambda: lr_scheduler.LambdaLR(opt, cosine),
        "linear": lambda: lr_scheduler.LambdaLR(opt, lambda step: max(0.0, 1 - step / total)),
        "warm_restarts": lambda: lr_scheduler.CosineAnnealingWarmRestarts(
            opt, s.warm_restarts.period * steps_per_epoch, s.warm_restarts.factor
        ),
        "onecycle": lambda: lr_scheduler.OneCycleLR(
            opt,
            max_lr=[group["lr"] for group in opt.param_groups],
            total_steps=total + 1,  # it is stepped once more after the last batch
            pct_start=s.onecycle.warmup,
            div_factor=1 / s.onecycle.start_factor,
            final_div_factor=s.onecycle.start_factor / s.onecycle.end_factor,
            cycle_momentum=False,
        ),
    }
    each_step = phase.scheduler in ("cosine", "linear", "warm_restarts", "onecycle")
    return Schedule(build[phase.scheduler](), each_step)
