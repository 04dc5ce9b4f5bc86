"""Guards against training that cannot succeed: they look before it and after each epoch, and say why.

What each of them measures, its limits and their origin: docs/collapse.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.batches import Batches
from landuse.model.classifier import Classifier
from landuse.params import Collapse
from landuse.training.guards import before, during
from landuse.training.guards.findings import SEVERITY, Collapsed, Finding, rounded

__all__ = ["Collapsed", "EpochFacts", "Guards"]

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


class Guards:
    """All checks of one training. What they remember is plain values, so that it survives a kill.

    It is the same whatever the action, so that a training may go on with another one: see ``ends_before``.
    """

    def __init__(self, settings: Collapse, classes: list[str]) -> None:
        self.settings, self.classes = settings, classes
        self._checks: dict[str, dict[str, Any]] = {}  # the worst finding of each, and the latest where all is well
        self._streaks = {"one_class": 0, "chance": 0, "gap": 0}  # epochs in a row
        self._val_losses: list[float] = []
        self._baselines: dict[str, float] = {}
        self._true_share = 0.0

    @property
    def stopped(self) -> bool:
        """Whether training is to end after this epoch and keep what there is."""
        return self.settings.action == "stop" and self._verdict == "collapse"

    @property
    def _verdict(self) -> str:
        return max((found["verdict"] for found in self._checks.values()), key=SEVERITY.__getitem__, default="ok")

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
        found = before.check(model, train, val, self.classes, self.settings)
        self._baselines = before.baseline_accuracies(train, val)
        self._true_share = float(np.bincount(val.targets).max() / len(val.targets))
        self._note(found, epoch=0)

    def after_epoch(self, model: Classifier, train: Batches, val: Batches, facts: EpochFacts) -> None:
        """Check what an epoch has come to; leaves no trace in the network.

        Raises:
            Collapsed: training cannot succeed, and the action is fail.
        """
        s, row = self.settings, facts.row
        told = during.predictions(val.targets, facts.predicted, len(self.classes), s)
        self._count("one_class", bool(told["one_class"]))
        self._count("chance", bool(told["chance"]))
        self._val_losses = [*self._val_losses, float(row["val_loss"])][-1 - s.stalled_epochs :]
        gap = during.eval_gap(model, train, self._streaks["gap"], s)
        self._count("gap", not gap.measured["gap"] <= s.eval_gap)
        epochs, at_chance = self._streaks["one_class"], self._streaks["chance"]
        found = [
            during.numbers(row, facts.gradient_norm, bool(told["chance"]), s),
            during.one_class(model, val, told, epochs, during.stale_share(model, epochs * train.steps()), s),
            during.learning(self._val_losses, at_chance, during.stale_share(model, at_chance * train.steps()), s),
            gap,
        ]
        self._note(found, row["epoch"])

    def at_end(self, best_row: dict[str, Any]) -> None:
        """Compare the kept epoch with the baselines.

        Raises:
            Collapsed: it does not beat them, ``gate`` is on, and the action is fail.
        """
        found = during.baseline(best_row["val_accuracy"], self._baselines, self._true_share, self.settings)
        self._note([found], best_row["epoch"])

    def state(self) -> dict[str, Any]:
        """All that the guards remember."""
        return {
            "checks": {name: dict(found) for name, found in self._checks.items()},
            "streaks": dict(self._streaks),
            "val_losses": list(self._val_losses),
            "baselines": dict(self._baselines),
            "true_share": self._true_share,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Remember what ``state`` returned."""
        self._true_share = state["true_share"]
        self._checks = {name: dict(found) for name, found in state["checks"].items()}
        self._streaks, self._val_losses = dict(state["streaks"]), list(state["val_losses"])
        self._baselines = dict(state["baselines"])

    def report(self) -> dict[str, Any]:
        """What reports/collapse.json holds: for each check its worst finding, or the latest where all was well."""
        return {
            "action": self.settings.action,
            "verdict": self._verdict,
            "stopped": self.stopped,
            "baselines": {name: rounded(value) for name, value in self._baselines.items()},
            "checks": dict(self._checks),
        }

    def _count(self, name: str, again: bool) -> None:
        self._streaks[name] = self._streaks[name] + 1 if again else 0

    def _note(self, found: list[Finding], epoch: int) -> None:
        """Remember, print what got worse, and act on collapse."""
        worse = []
        for finding in found:
            known = self._checks.get(finding.check, {"verdict": "ok"})["verdict"]
            got_worse = SEVERITY[finding.verdict] > SEVERITY[known]
            if got_worse or known == "ok":
                self._checks[finding.check] = finding.as_json(epoch)
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
