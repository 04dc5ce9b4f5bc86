"""All checks of one training, what they remember, and what is done about it."""

import copy
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.model.classifier import Classifier
from landuse.params import Collapse
from landuse.tiles.batches import Batches
from landuse.training.epochs import steps
from landuse.training.guards import epoch as after
from landuse.training.guards import start
from landuse.training.guards.findings import SEVERITY, Collapsed, Finding, rounded

_GO_ON = "('dvc exp run -S collapse.action=warn' goes on from the last good state anyway)"


@dataclass(frozen=True)
class EpochFacts:
    """What an epoch leaves.

    row: of the history. predicted: labels of the validation tiles in order, (n,). gradient_norm: of all gradients, in
    the last step before clipping.
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

        Raises:
            Collapsed: something is wrong, and the action is fail, or stop: there is nothing to keep yet.
        """
        found = start.check(model, train, val, self.classes)
        self._memory.baselines = start.baseline_accuracies(train, val)
        self._memory.true_share = float(np.bincount(val.targets).max() / len(val.targets))
        self._note(found, epoch=0)

    def after_epoch(self, model: Classifier, train: Batches, val: Batches, facts: EpochFacts) -> None:
        """Check what an epoch has come to; leaves no trace in the network.

        Raises:
            Collapsed: training cannot succeed, and the action is fail.
        """
        s, row = self.settings, facts.row
        told = after.predictions(val.targets, facts.predicted, len(self.classes), s)
        self._count("one_class", bool(told["one_class"]))
        self._count("chance", bool(told["chance"]))
        self._memory.val_losses = [*self._memory.val_losses, float(row["val_loss"])][-1 - after.STALLED_EPOCHS :]
        gap = after.eval_gap(model, train, self._memory.streaks["gap"], s)
        self._count("gap", not gap.measured["gap"] <= s.eval_gap)
        epochs, at_chance = self._memory.streaks["one_class"], self._memory.streaks["chance"]
        found = [
            after.numbers(row, facts.gradient_norm, bool(told["chance"]), s),
            after.one_class(model, val, told, epochs, after.stale_share(model, epochs * steps(train)), s),
            after.learning(self._memory.val_losses, at_chance, after.stale_share(model, at_chance * steps(train))),
            gap,
        ]
        self._note(found, row["epoch"])

    def at_end(self, best_row: dict[str, Any]) -> None:
        """Compare the kept epoch with the baselines.

        Raises:
            Collapsed: it does not beat them, ``gate`` is on, and the action is fail.
        """
        found = after.baseline(best_row["val_accuracy"], self._memory.baselines, self._memory.true_share, self.settings)
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

    def _count(self, name: str, again: bool) -> None:
        self._memory.streaks[name] = self._memory.streaks[name] + 1 if again else 0

    def _note(self, found: list[Finding], epoch: int) -> None:
        """Remember, print what got worse, and act on collapse."""
        worse = []
        for finding in found:
            known = self._memory.checks.get(finding.check, {"verdict": "ok"})["verdict"]
            got_worse = SEVERITY[finding.verdict] > SEVERITY[known]
            if got_worse or known == "ok":
                self._memory.checks[finding.check] = finding.as_json(epoch)
            if got_worse:
                worse.append(finding)
        fatal = [finding for finding in worse if finding.verdict == "collapse"]
        action = self.settings.action
        ends = bool(fatal) and (action == "fail" or (action == "stop" and epoch == 0))
        for finding in worse:
            if not (ends and finding is fatal[0]):
                print(_line(finding, epoch), flush=True)
        if ends:
            raise Collapsed(f"{_line(fatal[0], epoch)} {_GO_ON}")


def _line(finding: Finding, epoch: int) -> str:
    when = f"epoch {epoch}" if epoch else "before training"
    return f"{finding.verdict} ({finding.check}), {when}: {finding.cause}"
