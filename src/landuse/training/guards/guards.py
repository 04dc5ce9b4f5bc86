"""All checks of one training, what they remember, and what is done about it."""

import copy
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.model.prefix import Cut, PrefixOutput
from landuse.params import Collapse
from landuse.training.epochs import steps
from landuse.training.guards import epoch as after
from landuse.training.guards import probe, start
from landuse.training.guards.findings import SEVERITY, Collapsed, Finding, rounded

_GO_ON = "('dvc exp run -S collapse.action=warn' goes on from the last good state anyway)"


@dataclass(frozen=True)
class EpochFacts:
    """What an epoch leaves.

    row: of the history. predicted: (n,) labels of the validation tiles. gradient_norm: in the last step, unclipped.
    """

    row: dict[str, Any]
    predicted: npt.NDArray[np.int64]
    gradient_norm: float


@dataclass
class Memory:
    """What the guards remember: plain values, so that it survives a kill.

    checks: the worst finding of each, and the latest where all is well. streaks: epochs in a row.
    """

    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    streaks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("one_class", "chance", "gap"), 0))
    val_losses: list[float] = field(default_factory=list)
    baselines: dict[str, float] = field(default_factory=dict)
    true_share: float = 0.0


class Guards:
    """All checks of one training.

    What they remember is the same whatever the action, so that it may go on with another one: see ``ends_before``.
    """

    def __init__(self, settings: Collapse, classes: list[str]) -> None:
        self.settings, self.classes = settings, classes
        self._memory = Memory()
        self._shown: tuple[Cut | None, Tensor | PrefixOutput, Tensor] | None = None  # what is frozen, and see _some

    @property
    def stopped(self) -> bool:
        """Whether training is to end after this epoch and keep what there is."""
        return self.settings.action == "stop" and self._verdict == "collapse"

    @property
    def _verdict(self) -> str:
        verdicts = (found["verdict"] for found in self._memory.checks.values())
        return max(verdicts, key=SEVERITY.__getitem__, default="ok")

    def ends_before(self, state: dict[str, Any], epochs: int, batch: int) -> bool:
        """Whether a training with this action ends before it has done so many epochs and batches.

        state: what the guards of a training with any action remembered then.
        """
        collapses = [found["epoch"] for found in state["checks"].values() if found["verdict"] == "collapse"]
        if self.settings.action == "stop":
            return any(epoch == 0 or (epoch, 0) < (epochs, batch) for epoch in collapses)
        return self.settings.action == "fail" and bool(collapses)

    def before_training(self, model: Classifier, train: Batches, val: Batches) -> None:
        """Check tiles, labels, input scale, features and first loss, and measure the baselines; leaves no trace.

        Raises Collapsed where the action is fail, or stop: there is nothing to keep yet.
        """
        found = start.check(model, train, val, self.classes)
        self._memory.baselines = start.baseline_accuracies(train, val)
        self._memory.true_share = float(np.bincount(val.targets).max() / len(val.targets))
        self._note(found, epoch=0)

    def after_fit(self, val: Batches, row: dict[str, Any], predicted: npt.NDArray[np.int64]) -> None:
        """Check what a classical model, fitted at once, says of validation tiles. Raises as ``after_epoch``."""
        told = after.predictions(val.targets, predicted, len(self.classes), self.settings)
        self._note([after.one_class_fitted(told, self.settings)], row["epoch"])

    def after_epoch(self, model: Classifier, train: Batches, val: Batches, facts: EpochFacts) -> None:
        """Check what an epoch has come to; leaves no trace. Raises Collapsed where the action is fail."""
        s, row, memory = self.settings, facts.row, self._memory
        told = after.predictions(val.targets, facts.predicted, len(self.classes), s)
        gap = after.eval_gap(model, *self._some(model, train), memory.streaks["gap"], s)
        again = {name: bool(told[name]) for name in ("one_class", "chance")}
        again["gap"] = not gap.measured["gap"] <= s.eval_gap
        memory.streaks = {name: memory.streaks[name] + 1 if again[name] else 0 for name in again}
        memory.val_losses = [*memory.val_losses, float(row["val_loss"])][-1 - after.STALLED_EPOCHS :]
        epochs, at_chance = memory.streaks["one_class"], memory.streaks["chance"]
        stale = [after.stale_share(model, count * steps(train)) for count in (epochs, at_chance)]
        found = [
            after.numbers(row, facts.gradient_norm, again["chance"], s),
            after.one_class(model, val, told, epochs, stale[0], s),
            after.learning(memory.val_losses, at_chance, stale[1]),
            gap,
        ]
        self._note(found, row["epoch"])

    def at_end(self, best_row: dict[str, Any], fitted: bool = False) -> None:
        """Compare the kept epoch with the baselines. Raises Collapsed where ``gate`` is on, and the action is fail.

        fitted: at once, a classical model.
        """
        known = self._memory
        found = after.baseline(best_row["val_accuracy"], known.baselines, known.true_share, self.settings, fitted)
        self._note([found], best_row["epoch"])

    def state(self) -> dict[str, Any]:
        """A copy of all that the guards remember."""
        return asdict(self._memory)

    def restore(self, state: dict[str, Any]) -> None:
        """Remember what ``state`` returned."""
        self._memory = Memory(**copy.deepcopy(state))

    def report(self) -> dict[str, Any]:
        """What reports/collapse.json holds: for each check its worst finding, or the latest where all was well."""
        return {
            "action": self.settings.action,
            "verdict": self._verdict,
            "stopped": self.stopped,
            "baselines": {name: rounded(value) for name, value in self._memory.baselines.items()},
            "checks": dict(self._memory.checks),
        }

    def _some(self, model: Classifier, train: Batches) -> tuple[Tensor | PrefixOutput, Tensor]:
        """The same training tiles in every epoch, as the model takes them, and targets; frozen stages see them once."""
        with probe.undisturbed(model):
            cut = model.cut
            if self._shown is None or self._shown[0] is not cut:
                pixels, targets = next(probe.sample(train).in_order())
                self._shown = cut, model.prefix(pixels) if cut else pixels, targets
        return self._shown[1:]

    def _note(self, found: list[Finding], epoch: int) -> None:
        """Remember, print what got worse, and act on collapse."""
        action, when = self.settings.action, f"epoch {epoch}" if epoch else "before training"
        worse: list[tuple[str, str]] = []
        for finding in found:
            known = self._memory.checks.get(finding.check, {"verdict": "ok"})["verdict"]
            got_worse = SEVERITY[finding.verdict] > SEVERITY[known]
            if got_worse or known == "ok":
                self._memory.checks[finding.check] = finding.as_json(epoch)
            if got_worse:
                worse.append((finding.verdict, f"{finding.verdict} ({finding.check}), {when}: {finding.cause}"))
        ends = action == "fail" or (action == "stop" and epoch == 0)
        fatal = next((line for verdict, line in worse if verdict == "collapse" and ends), None)
        for _, line in worse:
            if line != fatal:
                print(line, flush=True)
        if fatal:
            raise Collapsed(f"{fatal} {_GO_ON}")
