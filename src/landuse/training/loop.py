"""The training loop: phases of epochs of batches."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch import Tensor, nn, optim
from torch.nn import functional as F
from tqdm import tqdm

from landuse.batches import Batches
from landuse.errors import UserError
from landuse.model.classifier import Classifier
from landuse.model.predict import logits
from landuse.params import Params, Phase
from landuse.training.optim import Schedule, better_is_lower, optimizer, schedule

Row = dict[str, Any]  # what one epoch leaves in the history


@dataclass
class Best:
    """The best epoch of a phase by its monitor; a tie is no improvement."""

    value: float
    epoch: int
    weights: dict[str, Tensor]


def fit(
    model: Classifier, train: Batches, val: Batches, p: Params, on_epoch: Callable[[Row, float], None]
) -> tuple[list[Row], Best]:
    """Train through all phases of the recipe and leave the last phase's best weights in the model.

    on_epoch: called after every epoch with its row of the history and its training speed (tiles per second).

    Returns:
        The history, one row an epoch, and the best epoch of the last phase.
    """
    history: list[Row] = []
    for phase in p.recipe.phases:
        best = _fit_phase(model, train, val, phase, p, history, on_epoch)
        model.load_state_dict(best.weights)
    return history, best


def _fit_phase(
    model: Classifier,
    train: Batches,
    val: Batches,
    phase: Phase,
    p: Params,
    history: list[Row],
    on_epoch: Callable[[Row, float], None],
) -> Best:
    model.freeze(phase.freeze)
    opt = optimizer(model, phase)
    plan = schedule(opt, phase, p.train.schedulers, train.steps())
    loss = _loss(train, p).to(train.device)
    best: Best | None = None
    total = sum(each.epochs for each in p.recipe.phases)
    for _ in range(phase.epochs):
        epoch = len(history) + 1
        lr = opt.param_groups[0]["lr"]
        started = time.perf_counter()
        train_loss, train_accuracy = _epoch(model, train, loss, opt, plan, p, epoch, f"epoch {epoch}/{total}")
        speed = train.steps() * train.batch_size / (time.perf_counter() - started)
        row = {"epoch": epoch, "phase": phase.name, "lr": lr, "train_loss": train_loss}
        row |= {"train_accuracy": train_accuracy, **validate(model, val)}
        history.append(row)
        on_epoch(row, speed)
        value = row[phase.monitor]
        plan.after_epoch(value)
        if best is None or (value < best.value if better_is_lower(phase.monitor) else value > best.value):
            best = Best(value, epoch, {k: v.detach().clone() for k, v in model.state_dict().items()})
        if phase.patience is not None and epoch - best.epoch >= phase.patience:
            print(f"{phase.name}: {phase.monitor} has not improved for {phase.patience} epochs, stopping", flush=True)
            break
    assert best is not None  # a phase has at least one epoch
    return best


def _epoch(
    model: Classifier,
    train: Batches,
    loss_function: nn.Module,
    opt: optim.Optimizer,
    plan: Schedule,
    p: Params,
    epoch: int,
    title: str,
) -> tuple[float, float]:
    """Train for one epoch; return the mean loss and the accuracy on what it saw."""
    torch.manual_seed(p.train.seed * 100_003 + epoch)  # dropout: a function of seed and epoch alone
    model.train()
    seen, loss_sum = 0, torch.zeros((), device=train.device)
    correct = torch.zeros((), device=train.device)
    with tqdm(total=len(train.rows), desc=title, unit="tile", leave=False, disable=None) as bar:
        for step, (pixels, targets) in enumerate(train.shuffled(p.train.seed, epoch, p.recipe.augment)):
            output = model(pixels)
            loss = loss_function(output, targets)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            plan.after_batch()
            seen += len(targets)
            loss_sum += loss.detach() * len(targets)
            correct += (output.detach().argmax(1) == targets).sum()
            bar.update(len(targets))
            if step % 20 == 0 and not bar.disable:  # reading the loss waits for the device
                lr = opt.param_groups[0]["lr"]
                bar.set_postfix(loss=f"{loss_sum / seen:.3f}", acc=f"{correct / seen:.3f}", lr=f"{lr:.1e}")
    mean = loss_sum.item() / seen
    if not math.isfinite(mean):
        lr = max(phase.lr for phase in p.recipe.phases)
        raise UserError(f"the training loss is {mean} in epoch {epoch}: lower train.lr (it is {lr:g})")
    return mean, correct.item() / seen


def validate(model: Classifier, val: Batches) -> dict[str, float]:
    """Cross-entropy (unweighted, unsmoothed), accuracy and macro-F1 on the validation tiles."""
    output = torch.from_numpy(logits(model, val))
    targets = torch.from_numpy(val.targets)
    predicted = output.argmax(1).numpy()
    return {
        "val_loss": F.cross_entropy(output, targets).item(),
        "val_accuracy": float(np.mean(predicted == val.targets)),
        "val_macro_f1": float(
            f1_score(val.targets, predicted, labels=range(output.shape[1]), average="macro", zero_division=0)
        ),
    }


def _loss(train: Batches, p: Params) -> nn.CrossEntropyLoss:
    """Cross-entropy; with class weights N / (C n), counted on the training tiles."""
    settings = p.recipe.loss
    weights = None
    if settings.class_weights:
        counts = np.bincount(train.targets)
        weights = torch.tensor(len(train.targets) / (len(counts) * counts), dtype=torch.float32)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=settings.label_smoothing)
