"""Learning-rate range test: train for a hundred steps at ever higher learning rates, and see where the loss falls.

Smith 2015 (arXiv:1506.01186), with the smoothing, the end and the suggestion that fastai made customary. Nothing of
it is kept but the curve: the weights on disk and the state of a training stay as they are.
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from landuse import params
from landuse.core.arrays import Floats
from landuse.core.errors import UserError, did_you_mean
from landuse.core.files import write_csv
from landuse.report.figures.files import save_figure
from landuse.training import augment
from landuse.training.epochs import shuffled
from landuse.training.prepare import Prepared, prepare
from landuse.training.process import configure
from landuse.training.step import Stepper

CURVE = Path("plots/lr_find.csv")
PICTURE = Path("plots/lr_find.png")
LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
_BETA = 0.9  # of the smoothing: it looks back ten steps; with fastai's 0.98, fifty of the hundred would melt into one
_DIVERGED = 4.0  # smoothed loss / lowest smoothed loss so far
_SETTLING = 10  # steps until the smoothed loss is a mean of several
_LEAST_FALL = 0.05  # of the loss; less is noise
_TOLD = 10  # steps between two lines
_RAW, _SMOOTHED, _MARK = "#bbbbbb", "#4477aa", "#ee6677"  # Paul Tol's bright scheme


def run(p: params.Params, phase_name: str | None = None) -> None:
    """Run the test on a phase of the chosen recipe; write curve and picture, print a suggestion for ``train.lr``.

    The weights are those that a training starts with, in whatever phase. The learning rate is the head's; other
    stages keep their ratio to it.

    phase_name: None is the first.

    Raises UserError: there is no such phase, or the loss falls at no learning rate.
    """
    if p.recipe.fit:
        raise UserError(f"{p.model.backbone} has no learning rate to look for: it is fitted at once")
    phases = {phase.name: phase for phase in reversed(p.recipe.phases)}
    if phase_name is not None and phase_name not in phases:
        raise UserError(f"the recipe has no phase {phase_name!r}{did_you_mean(phase_name, phases)}")
    phase = phases[phase_name] if phase_name else p.recipe.phases[0]
    configure()
    ready = prepare(p)
    print(
        f"phase {phase.name} of recipe {p.train.recipe}: {ready.spec.backbone} at {ready.spec.input_size} px, frozen: "
        f"{phase.freeze}, on {ready.train.device.type}; {STEPS} steps, learning rates {LOWEST:g} to {HIGHEST:g}",
        flush=True,
    )
    curve = sweep(p, phase, ready)
    write_csv(CURVE, curve)
    lr = suggestion(curve)
    save_figure(_draw(curve, lr, phase), PICTURE)
    if lr is None:
        raise UserError(
            f"the loss falls at no learning rate (see {PICTURE}): look at the labels and at the recipe's normalise, "
            f"or test a phase in which more is trained"
        )
    highest = max(other.lr for other in p.recipe.phases)
    ratio = lr / phase.lr
    times = f"{ratio:.2g} times" if ratio >= 1 else f"1/{1 / ratio:.2g} of"
    print(f"phase {phase.name}: steepest descent at {lr:g}, {times} what it has now, {phase.lr:g}")
    print(f"curve: {PICTURE}, {CURVE}")
    print(f"try it: dvc exp run -S train.lr={_two_digits(lr * highest / phase.lr):g}")


def sweep(p: params.Params, phase: params.Phase, ready: Prepared) -> pd.DataFrame:
    """Train a phase at learning rates from 1e-7 to 10, each a constant factor above the last, until the loss explodes.

    Returns:
        Columns lr (of the head) and loss (of one step's batches, before the step), and both smoothed. A loss that is
        not finite ends the curve and is left out.
    """
    model, train = ready.model, ready.train
    model.freeze(phase.freeze, phase.bn, p.model.adapter_learns)
    model.train()
    stepper = Stepper(model, phase.model_copy(update={"scheduler": "constant"}), p, train)
    ratios = [group["lr"] / phase.lr for group in stepper.opt.param_groups]
    batches = _endless(p, ready)
    lrs, losses = [], []
    steps = np.geomspace(LOWEST, HIGHEST, STEPS).tolist()
    bar = tqdm(steps, "learning rates", unit="step", leave=False, disable=None)
    for lr in bar:
        for group, ratio in zip(stepper.opt.param_groups, ratios, strict=True):
            group["lr"] = lr * ratio
        parts = [stepper.batch(*next(batches))[:2] for _ in range(p.recipe.accumulate)]
        loss = float(sum(total for total, _ in parts)) / float(sum(weight for _, weight in parts))
        if not math.isfinite(loss):
            break
        lrs.append(lr)
        losses.append(loss)
        means = smooth(np.array(losses))
        if bar.disable and len(losses) % _TOLD == 0:  # where there is no terminal
            print(f"step {len(losses):>3}  lr {lr:.1e}  loss {means[-1]:.4f}", flush=True)
        if means[-1] > _DIVERGED * means.min():
            break
    if len(losses) <= _SETTLING + 1:
        raise UserError(
            f"the loss explodes after {len(losses)} steps, at a learning rate of {lr:.1g}: look at the labels and "
            f"at the recipe's normalise"
        )
    return smoothed(pd.DataFrame({"lr": lrs, "loss": losses}))


def smooth(series: Floats) -> Floats:
    """Exponential mean of a series up to each of its values, corrected for its start at zero as Adam's moments are."""
    return pd.Series(series).ewm(alpha=1 - _BETA).mean().to_numpy()


def smoothed(curve: pd.DataFrame) -> pd.DataFrame:
    """Add smoothed_lr and smoothed_loss to a curve of lr and loss.

    A mean of past losses lags behind. The logarithms of their learning rates are smoothed in the same way, so that
    each smoothed loss stands at the learning rates that it is the mean of, not nine steps (a factor of five) later.
    """
    lr, loss = curve["lr"].to_numpy(), curve["loss"].to_numpy()
    return curve.assign(smoothed_lr=np.exp(smooth(np.log(lr))), smoothed_loss=smooth(loss))


def suggestion(curve: pd.DataFrame) -> float | None:
    """Return the learning rate where the smoothed loss falls most per decade, to two digits; None if it does not fall.

    Looked for between the first steps, whose mean is of too few, and the lowest loss.
    """
    curve = curve.iloc[_SETTLING:]
    loss, position = curve["smoothed_loss"].to_numpy(), np.log10(curve["smoothed_lr"].to_numpy())
    lowest = int(loss.argmin())
    if loss[lowest] > (1 - _LEAST_FALL) * loss[0]:
        return None
    steepest = int(np.gradient(loss, position)[: lowest + 1].argmin())
    return _two_digits(10 ** position[steepest])


def _endless(p: params.Params, ready: Prepared) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield training batches as the training would, epoch after epoch."""
    for epoch in itertools.count(1):
        for pixels, targets in shuffled(ready.train, p.train.seed, epoch, p.augment):
            yield augment.mix(p.augment, pixels, targets, len(ready.spec.classes))


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")


def _draw(curve: pd.DataFrame, lr: float | None, phase: params.Phase) -> Figure:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axis = figure.subplots()
    axis.plot(curve["lr"], curve["loss"], color=_RAW, lw=1, marker="o", ms=2.5, label="loss of each step")
    axis.plot(curve["smoothed_lr"], curve["smoothed_loss"], color=_SMOOTHED, lw=2, label="smoothed")
    axis.axvline(phase.lr, color="0.35", lw=1, ls=":", label=f"recipe now: {phase.lr:g}")
    if lr is not None:
        axis.axvline(lr, color=_MARK, lw=1.5, ls="--", label=f"suggestion: {lr:g}")
    settled = curve["smoothed_loss"].iloc[_SETTLING:]
    low, start = min(settled.min(), curve["loss"].min()), settled.iloc[0]
    axis.set_ylim(low - 0.1 * (start - low), start + 0.8 * (start - low) + 0.05 * start)  # the explosion needs no room
    axis.set_xscale("log")
    axis.set_xlim(LOWEST, HIGHEST)
    axis.set_title(f"Learning-rate range test, phase {phase.name}", loc="left", fontsize=11)
    axis.set_xlabel("learning rate of the head")
    axis.set_ylabel("training loss")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9, loc="lower left")
    return figure
