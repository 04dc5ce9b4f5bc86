"""The training loop: phases of epochs of batches, from whatever state there is to the end."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from landuse.core.errors import Interrupted, UserError
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.params import Params, Phase
from landuse.storage.cache import Cache
from landuse.storage.checkpoints import Checkpointer
from landuse.training import augment, distributed
from landuse.training.epochs import shown, shuffled, steps
from landuse.training.frozen.features import Features, sources
from landuse.training.frozen.views import views
from landuse.training.guards import EpochFacts, Guards
from landuse.training.optim import better_is_lower
from landuse.training.precision import autocast
from landuse.training.scores import measured
from landuse.training.step import Stepper

Row = dict[str, Any]  # what one epoch leaves in the history
_PLAIN = ("history", "phase_index", "epochs_in_phase", "batch", "lr", "sums", "kept")  # of a checkpoint
OnEpoch = Callable[[Row, float], None]  # gets the row and the training speed, tiles per second


@dataclass
class Best:
    """The best epoch of a phase by its monitor; a tie is no improvement."""

    value: float
    epoch: int
    weights: dict[str, Tensor]


class Loop:
    """A training in progress: all that its next batch depends on. cache: of frozen stages, which only saves time."""

    def __init__(
        self,
        model: Classifier,
        train: Batches,
        val: Batches,
        p: Params,
        on_epoch: OnEpoch,
        checkpointer: Checkpointer | None = None,
        guards: Guards | None = None,
        cache: Cache | None = None,
    ) -> None:
        self.model, self.train, self.val, self.p = model, train, val, p
        self.on_epoch, self.checkpointer, self.guards, self.cache = on_epoch, checkpointer, guards, cache
        self.recipe, self.augment, self._input_size = p.recipe, p.augment, model.input_size
        self.history: list[Row] = []
        self.phase_index, self.epochs_in_phase = 0, 0
        self.batch = 0  # batches done in the current epoch
        self.sums = torch.zeros(4, device=train.device)  # loss, its weight, correct, seen: in the current epoch
        self.lr = 0.0  # of the head, at the start of the epoch
        self.best: Best | None = None
        self.kept: dict[str, dict[str, Tensor]] = {}  # best weights of the phases that are over, by name
        self.stepper = self._start_phase()

    @property
    def phase(self) -> Phase:
        return self.recipe.phases[self.phase_index]

    def run(self) -> tuple[list[Row], Best]:
        """Train to the end and leave the last phase's best weights in the model; ``kept`` has those of earlier ones.

        Returns the history, one row an epoch, and the best epoch of the last phase.
        """
        if not self._resume() and self.guards:
            self.guards.before_training(self.model, self.train, self.val)
            self.guards.restore(distributed.on_first(self.guards.state))
        while True:
            while not self._phase_is_over():
                self._epoch()
            assert self.best is not None  # a phase has at least one epoch
            self.model.load_state_dict(self.best.weights)
            if self.phase_index + 1 == len(self.recipe.phases) or self._stopped:
                break
            if self.p.train.keep_phases:  # frozen ones are the model's own, and may learn in the next phase
                self.kept[self.phase.name] = {name: w.cpu().clone() for name, w in self.best.weights.items()}
            self.phase_index, self.epochs_in_phase, self.best = self.phase_index + 1, 0, None
            self.stepper = self._start_phase()
        if self.guards:
            self.guards.at_end(self.history[self.best.epoch - 1])
        self.best.weights = {}  # the model has them
        return self.history, self.best

    @property
    def _stopped(self) -> bool:
        return self.guards is not None and self.guards.stopped

    def _start_phase(self) -> Stepper:
        self.model.input_size = self.phase.input_size or self._input_size
        self.model.freeze(self.phase.freeze, self.phase.bn, self.p.model.adapter_learns)
        self._sources: tuple[Batches | Features, Batches | Features] | None = None
        return Stepper(self.model, self.phase, self.p, self.train)

    @property
    def sources(self) -> tuple[Batches | Features, Batches | Features]:
        """What the phase trains and validates on, made when its weights are there."""
        if self._sources is None:
            p, phase, precision = self.p, self.phase, self.stepper.precision
            own_views = views(self.augment, p.train.frozen_views, p.train.seed)
            context = partial(autocast, precision, self.train.device)
            share = distributed.share
            own_val = replace(self.val, rows=share(self.val.rows), targets=share(self.val.targets))
            self._sources = sources(self.model, self.train, own_val, self.augment, own_views, context)
            facts = {"backbone": p.model.backbone, "freeze": phase.freeze, "precision": precision}
            for source in self._sources:
                refusal = source.keep(self.cache, facts) if isinstance(source, Features) and self.cache else None
                if refusal:
                    print(f"{phase.name}: what is frozen is computed in every epoch: {refusal}", flush=True)
        return self._sources

    def _phase_is_over(self) -> bool:
        phase, best = self.phase, self.best
        if self._stopped or best is None or self.batch:
            return self._stopped
        out_of_patience = phase.patience is not None and len(self.history) - best.epoch >= phase.patience
        return out_of_patience or self.epochs_in_phase == phase.epochs

    def _epoch(self) -> None:
        epoch = len(self.history) + 1
        if self.batch == 0:
            self.lr = self.stepper.opt.param_groups[0]["lr"]
        speed = self._batches(epoch)
        train_loss, train_accuracy = (self.sums[::2] / self.sums[1::2]).tolist()
        average = self.stepper.average
        self.epochs_in_phase += 1
        with autocast(self.stepper.precision, self.train.device):
            average.after_epoch(self.epochs_in_phase, (x for x, _ in self._augmented(epoch)))
        distributed.same_buffers(self.model, average.model)
        validated, predicted = validate(average.model, self.sources[1], self.val.targets, self.stepper.precision)
        row: Row = {"epoch": epoch, "phase": self.phase.name, "lr": self.lr, "train_loss": train_loss}
        row |= {"train_accuracy": train_accuracy, **validated}
        self._refuse_nonsense(epoch, row["val_loss"])
        self.history.append(row)
        distributed.on_first(lambda: self.on_epoch(row, speed))
        self.stepper.plan.after_epoch(row[self.phase.monitor])
        self._note_best(row)
        self.batch = 0
        self.sums.zero_()
        if self.guards:
            facts = EpochFacts(row, predicted, self.stepper.gradient_norm)
            with autocast(self.stepper.precision, self.train.device):
                self.guards.after_epoch(self.model, self.train, self.val, facts)
            self.guards.restore(distributed.on_first(self.guards.state))
        self._checkpoint(epoch, f"the end of epoch {epoch}", epoch_ends=True)

    def _batches(self, epoch: int) -> float:
        """Train on the batches of an epoch that are not done yet; return the speed in tiles per second."""
        self.model.train()
        started, first, in_all = time.perf_counter(), self.batch, steps(self.train)
        total = sum(phase.epochs for phase in self.recipe.phases)
        title, tiles = f"epoch {epoch}/{total}", shown(self.train) // in_all
        hidden = distributed.rank() > 0 or None  # None: where there is no terminal
        done, all_ = first * tiles, in_all * tiles
        with tqdm(total=all_, initial=done, desc=title, unit="tile", leave=False, disable=hidden) as bar:
            for pixels, targets in self._augmented(epoch, first):
                _seed(self.p.train.seed, epoch, self.batch, self.train.device)
                pixels, targets = augment.mix(self.augment, pixels, targets, self.model.classes)
                loss, weight, output = self.stepper.batch(pixels, targets, last=self.batch + 1 == in_all)
                self.batch += 1
                if self.stepper.cold:
                    self.stepper.cold = False
                    print(f"{self.phase.name}: compiled in {time.perf_counter() - started:.0f} s", flush=True)
                    started, first = time.perf_counter(), self.batch  # the speed is that of the other batches
                self._count(loss, weight, output, targets)
                # on an accelerator, reading the loss waits for it
                look = self.batch % 20 == 0 or self.batch == in_all or self.train.device.type == "cpu"
                if look:
                    self._refuse_nonsense(epoch, self.sums[0].item())
                bar.update(tiles)
                if self.batch % 20 == 0 and not bar.disable:
                    mean, lr = (self.sums[0] / self.sums[1]).item(), self.stepper.opt.param_groups[0]["lr"]
                    bar.set_postfix(loss=f"{mean:.3f}", lr=f"{lr:.1e}")
                if (look or distributed.size() == 1) and not self.stepper.pending and self.batch < in_all:
                    self._checkpoint(epoch, f"batch {self.batch} of epoch {epoch}")
        return (in_all - first) * tiles / (time.perf_counter() - started)

    def _augmented(self, epoch: int, start: int = 0) -> Any:
        source, seed, share = self.sources[0], self.p.train.seed, (distributed.rank(), distributed.size())
        if isinstance(source, Features):
            return source.shuffled(seed, epoch, start, share)
        return shuffled(source, seed, epoch, self.augment, start, share)

    def _count(self, loss: Tensor, weight: Tensor | float, output: Tensor, targets: Tensor) -> None:
        labels = targets.argmax(1) if targets.is_floating_point() else targets
        counts = torch.zeros_like(self.sums)
        for place, count in enumerate((loss, weight, (output.argmax(1) == labels).sum(), len(labels))):
            counts[place] += count
        self.sums += distributed.total(counts)

    def _refuse_nonsense(self, epoch: int, loss: float) -> None:
        if not math.isfinite(loss):
            lr, where = max(phase.lr for phase in self.recipe.phases), f"epoch {epoch}, phase {self.phase.name}"
            raise UserError(f"the loss is not a number in {where}: lower train.lr (it is {lr:g})")

    def _note_best(self, row: Row) -> None:
        value, phase = row[self.phase.monitor], self.phase
        gain = 0.0 if self.best is None else self.best.value - value
        if self.best is None or (gain if better_is_lower(phase.monitor) else -gain) > phase.min_delta:
            frozen = {name for name, weight in self.model.named_parameters() if not weight.requires_grad}
            weights = self.stepper.average.model.state_dict()
            self.best = None  # first: twice the best weights would be the most that a training holds
            self.best = Best(value, row["epoch"], {k: v if k in frozen else v.clone() for k, v in weights.items()})
        elif phase.patience is not None and row["epoch"] - self.best.epoch == phase.patience:
            print(f"{phase.name}: {phase.monitor} has not improved for {phase.patience} epochs, stopping", flush=True)

    def _checkpoint(self, epoch: int, where: str, epoch_ends: bool = False) -> None:
        """Save, if it is time; end here, if a signal asked for it."""

        def save() -> int:
            own = self.checkpointer
            if own is None or not (own.due() or (epoch_ends and own.cheap())):
                return 0
            self._refuse_nonsense(epoch, self.sums[0].item())
            own.save(self.state())
            return own.signal

        if stop := distributed.on_first(save):
            raise Interrupted(f"stopped at {where}, state saved: the same command goes on from there", stop)

    def state(self) -> dict[str, Any]:
        """All that the next batch depends on, besides params, data and code."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "best": vars(self.best) if self.best else None,
            "model": self.model.state_dict(),
            "stepper": self.stepper.state_dict(),
            "guards": self.guards.state() if self.guards else {},
        }

    def _resume(self) -> bool:
        state = distributed.on_first(lambda: self.checkpointer.latest() if self.checkpointer else None)
        if state is None:
            return False
        if self.guards and self.guards.ends_before(state["guards"], len(state["history"]), state["batch"]):
            print(f"starting anew: with collapse.action={self.p.collapse.action} training ends earlier", flush=True)
            return False
        for name in _PLAIN:
            setattr(self, name, state[name])
        self.sums = self.sums.to(self.train.device)
        self.best = Best(**state["best"]) if state["best"] else None
        self.stepper = self._start_phase()  # of the phase it was in
        self.model.load_state_dict(state["model"])
        self.stepper.load_state_dict(state["stepper"])
        if self.guards:
            self.guards.restore(state["guards"])
        done = f"epoch {len(self.history)}" + (f" and {self.batch} batches" if self.batch else "")
        print(f"resuming: {done} done", flush=True)
        return True


def _seed(seed: int, epoch: int, batch: int, device: torch.device) -> None:
    """Make dropout and mixing a function of seed, epoch, batch and rank alone, so that a resumed run draws the same."""
    number = ((seed * 100_003 + epoch) * 1_000_003 + batch + (distributed.rank() << 40)) % 2**63
    torch.default_generator.manual_seed(number)  # torch.manual_seed is ten times slower
    if device.type == "cuda":
        torch.cuda.manual_seed(number)
    elif device.type == "mps":
        torch.mps.manual_seed(number)


def validate(
    model: Classifier, own: Batches | Features, targets: npt.NDArray[np.int64], precision: str
) -> tuple[dict[str, float], npt.NDArray[np.int64]]:
    """Return what ``measured`` says of the validation tiles, and the predictions.

    own: this rank's share of the tiles. targets: of all of them.
    """
    training = model.training
    model.eval()
    with autocast(precision, own.device), torch.inference_mode():
        part = torch.cat([model(given).float().cpu() for given, _ in own.in_order()])
    model.train(training)
    output = torch.from_numpy(distributed.joined(part.numpy()))
    return distributed.on_first(lambda: measured(output, targets)), output.argmax(1).numpy()
