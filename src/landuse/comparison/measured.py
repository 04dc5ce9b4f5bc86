"""Groups of experiments with their predictions, and the difference between two of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landuse.comparison.groups import Group
from landuse.comparison.predictions import Predictions, Reader, Unreadable
from landuse.comparison.table import Apart
from landuse.evaluation.pairs import Difference, differences, mean_interval


@dataclass(frozen=True)
class Measured:
    """A group with the predictions of each of its members: in each fold all for the same test tiles."""

    group: Group
    predictions: tuple[Predictions, ...]

    @property
    def task(self) -> frozenset[tuple[object, ...]]:
        """Equal for groups that can be compared; one element a fold, unless its seeds had different test tiles."""
        return frozenset((m.fold, *p.task) for m, p in zip(self.group.members, self.predictions, strict=True))

    @property
    def tiles(self) -> int:
        """Test tiles, those of all folds together."""
        of_fold = {m.fold: len(p.truth) for m, p in zip(self.group.members, self.predictions, strict=True)}
        return sum(of_fold.values())

    def minus(self, other: "Measured") -> dict[str, Difference]:
        """Differences in accuracy and macro-F1 over tiles and seeds; in a cross-validation over the folds."""
        if self.group.folds:
            return {metric: _over_folds(self.group, other.group, metric) for metric in ("accuracy", "macro_f1")}
        common = self.predictions[0]
        ours, theirs = (np.stack([p.predicted for p in each.predictions]) for each in (self, other))
        return differences(common.truth, ours, theirs, len(common.labels))


def _over_folds(first: Group, second: Group, metric: str) -> Difference:
    gaps = np.subtract(first.values(metric), second.values(metric))
    return Difference(float(gaps.mean()), *mean_interval(gaps, first.overlap))


def read(groups: Sequence[Group], reader: Reader) -> tuple[list[Measured], list[Apart]]:
    """Groups with their predictions, and why the others have none."""
    measured, apart = [], []
    for each in groups:
        try:
            found = Measured(each, tuple(reader.read(member) for member in each.members))
        except Unreadable as problem:
            apart.append(Apart(each, str(problem)))
            continue
        if len(found.task) == max(len(each.folds), 1):
            measured.append(found)
        else:
            apart.append(Apart(each, "its seeds were measured on different test tiles"))
    return measured, apart


def alike(measured: Sequence[Measured]) -> list[Measured]:
    """Those that share the test tiles of most."""
    commonest = Counter(each.task for each in measured).most_common(1)
    return [each for each in measured if each.task == commonest[0][0]]


def difference_in_task(measured: Measured, reference: Measured) -> str:
    """Why two groups cannot be compared."""
    if measured.predictions[0].labels != reference.predictions[0].labels:
        return "other labels"
    return "other test tiles" + ("" if measured.group.folds == reference.group.folds else ": other folds")
