"""Optimisers and learning-rate schedules by name, all of them torch's."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn, optim
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from landuse.params import Monitor, Phase, Schedulers


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule that knows when it wants to be stepped."""

    per_batch: LRScheduler | None = None
    per_epoch: LRScheduler | None = None
    on_monitor: ReduceLROnPlateau | None = None

    def after_batch(self) -> None:
        if self.per_batch:
            self.per_batch.step()

    def after_epoch(self, monitored: float) -> None:
        if self.per_epoch:
            self.per_epoch.step()
        if self.on_monitor:
            self.on_monitor.step(monitored)


def better_is_lower(monitor: Monitor) -> bool:
    """Whether a monitored value improves by falling."""
    return monitor == "val_loss"


def optimizer(model: nn.Module, phase: Phase) -> optim.Optimizer:
    """Build a phase's optimiser over exactly the parameters that learn.

    Weight decay is for the weights alone: norms and biases (one-dimensional) have none.
    """
    learning = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim > 1], "weight_decay": phase.weight_decay},
        {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if phase.optimizer == "sgd":
        return optim.SGD(groups, lr=phase.lr, momentum=0.9, nesterov=True, fused=True)
    if phase.optimizer == "adam":
        return optim.Adam(groups, lr=phase.lr, fused=True)
    return optim.AdamW(groups, lr=phase.lr, fused=True)


def schedule(opt: optim.Optimizer, phase: Phase, settings: Schedulers, steps_per_epoch: int) -> Schedule:
    """Build a phase's schedule. Cosine and one-cycle move with every batch, the others with every epoch."""
    total = phase.epochs * steps_per_epoch
    one = settings.onecycle
    build: dict[str, Callable[[], Schedule]] = {
        "constant": lambda: Schedule(),
        "step": lambda: Schedule(
            per_epoch=lr_scheduler.StepLR(opt, settings.step.step_size, gamma=settings.step.gamma)
        ),
        "cosine": lambda: Schedule(
            per_batch=lr_scheduler.CosineAnnealingLR(opt, T_max=total, eta_min=phase.lr * settings.cosine.min_factor)
        ),
        "plateau": lambda: Schedule(
            on_monitor=ReduceLROnPlateau(
                opt,
                mode="min" if better_is_lower(phase.monitor) else "max",
                factor=settings.plateau.factor,
                patience=settings.plateau.patience,
            )
        ),
        "onecycle": lambda: Schedule(
            per_batch=lr_scheduler.OneCycleLR(
                opt,
                max_lr=phase.lr,
                total_steps=total + 1,  # it is stepped once more after the last batch
                pct_start=one.warmup,
                div_factor=1 / one.start_factor,
                final_div_factor=one.start_factor / one.end_factor,
                cycle_momentum=False,
            )
        ),
    }
    return build[phase.scheduler]()
