"""Groups of experiments that differ in nothing but the seed or the fold, named by what sets them apart."""

import statistics  # exact: equal values have no spread
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import numpy as np
from tqdm import tqdm

from landuse.comparison import predictions
from landuse.comparison.experiments import BAR, GAIN, Experiment, Unreadable
from landuse.comparison.predictions import Predictions
from landuse.comparison.significance import mean_interval
from landuse.evaluation.pairs import Difference, differences


@dataclass(frozen=True)
class Group:
    """Experiments with the same settings, one a seed and fold.

    name: as ``-S`` takes it, ``train.freeze=none ...``. predictions: of each member, once they are read: in each fold
    all for the same test tiles.
    """

    name: str
    members: tuple[Experiment, ...]
    predictions: tuple[Predictions, ...] = ()

    @property
    def settings(self) -> Mapping[str, str]:
        """What all members were made with."""
        return self.members[0].settings

    @property
    def seeds(self) -> int:
        """How many different ones."""
        return len({member.seed for member in self.members})

    @property
    def folds(self) -> tuple[str, ...]:
        """The folds of a cross-validation; empty for any other split, and for a single fold."""
        found = {member.fold for member in self.members}
        return tuple(sorted(found, key=int)) if len(found) > 1 else ()

    @property
    def overlap(self) -> float:
        """Test tiles / tiles learnt from, which validation tiles are too; 0 for anything but a cross-validation."""
        return 1 / (int(self.settings["split.folds"]) - 1) if self.folds else 0.0

    def values(self, metric: str) -> list[float]:
        """One value a seed, where it was measured; in a cross-validation one a fold, each the mean over its seeds."""
        measured = [member for member in self.members if metric in member.metrics]
        if self.folds:
            of_fold = ([m.metrics[metric] for m in measured if m.fold == fold] for fold in self.folds)
            return [statistics.mean(values) for values in of_fold if values]
        return [member.metrics[metric] for member in measured]

    def mean(self, metric: str) -> float:
        """Mean over seeds or folds; NaN where nothing was measured."""
        values = self.values(metric)
        return statistics.mean(values) if values else np.nan

    def deviation(self, metric: str) -> float:
        """Standard deviation over seeds or folds (n - 1); NaN for fewer than two."""
        values = self.values(metric)
        return statistics.stdev(values) if len(values) > 1 else np.nan

    def over(self, metric: str) -> str:
        """What an interval is over: ``folds``, ``seeds``, or the test ``tiles`` where repetition shows no spread."""
        repeated = self.deviation(metric) > 0
        return "tiles" if not repeated else "folds" if self.folds else "seeds"

    def interval(self, metric: str) -> tuple[float, float]:
        """Interval of the mean over seeds or folds, else that over tiles; NaN where there is neither.

        Ends that no metric can reach are cut off: below 0 but for gains, and above 1 for shares.
        """
        if self.over(metric) == "tiles":
            first = self.members[0].metrics
            return first.get(f"{metric}.low", np.nan), first.get(f"{metric}.high", np.nan)
        low, high = mean_interval(self.values(metric), self.overlap)
        return low if metric == GAIN else max(low, 0.0), high if metric == "nll" else min(high, 1.0)

    @property
    def task(self) -> frozenset[tuple[object, ...]]:
        """Equal for groups that can be compared; one element a fold, unless its seeds had different test tiles."""
        return frozenset((m.fold, *p.task) for m, p in zip(self.members, self.predictions, strict=True))

    @property
    def tiles(self) -> int:
        """Test tiles, those of all folds together."""
        of_fold = {m.fold: len(p.truth) for m, p in zip(self.members, self.predictions, strict=True)}
        return sum(of_fold.values())

    def minus(self, other: "Group") -> dict[str, Difference]:
        """Differences in accuracy and macro-F1 over tiles and seeds; in a cross-validation over the folds."""
        if self.folds:
            gaps = {m: np.subtract(self.values(m), other.values(m)) for m in ("accuracy", "macro_f1")}
            return {m: Difference(float(gap.mean()), *mean_interval(gap, self.overlap)) for m, gap in gaps.items()}
        common = self.predictions[0]
        ours, theirs = (np.stack([p.predicted for p in each.predictions]) for each in (self, other))
        return differences(common.truth, ours, theirs, len(common.labels))


@dataclass(frozen=True)
class Apart:
    """A group that cannot be compared with the others."""

    group: Group
    reason: str


def group(experiments: Sequence[Experiment]) -> tuple[list[Group], int]:
    """Return the groups, and how many experiments repeat another with the same settings, seed and fold."""
    sets: dict[frozenset[tuple[str, str]], dict[tuple[str, str], Experiment]] = defaultdict(dict)
    for experiment in experiments:
        same = sets[frozenset(experiment.settings.items())]
        same.setdefault((experiment.seed, experiment.fold), experiment)
    members = [tuple(repeated.values()) for repeated in sets.values()]
    named = names([each[0].settings for each in members], [each[0].name for each in members])
    groups = [Group(name, each) for name, each in zip(named, members, strict=True)]
    return groups, len(experiments) - sum(map(len, members))


def names(settings: Sequence[Mapping[str, str]], otherwise: Sequence[str]) -> list[str]:
    """Name each by the settings that set it apart. otherwise: what to call those that nothing does.

    A setting that only some have is not named: it follows from another choice, as a recipe's own settings do. Of paths
    and addresses the file's name is shown, where that tells them apart.
    """
    values: dict[str, set[str]] = defaultdict(set)
    for key, value in (item for each in settings for item in each.items()):
        values[key].add(value)
    changed = {key: _short(own) for key, own in sorted(values.items()) if len(own) > 1}
    found = [" ".join(f"{key}={own[each[key]]}" for key, own in changed.items() if key in each) for each in settings]
    found = [name or other for name, other in zip(found, otherwise, strict=True)]
    count = Counter(found)
    return [name if count[name] == 1 else f"{name} ({other})" for name, other in zip(found, otherwise, strict=True)]


def _short(values: Iterable[str]) -> dict[str, str]:
    short = {value: PurePosixPath(value).name if "/" in value and value[0] not in "[{" else value for value in values}
    return short if len(set(short.values())) == len(short) else {value: value for value in short}


def read(groups: Sequence[Group]) -> tuple[list[Group], list[Apart]]:
    """Groups with their predictions, and why the others have none."""
    readable, apart = [], []
    for each in tqdm(groups, "predictions", **BAR):
        try:
            found = replace(each, predictions=tuple(predictions.read(member) for member in each.members))
        except Unreadable as problem:
            apart.append(Apart(each, str(problem)))
            continue
        if len(found.task) == max(len(each.folds), 1):
            readable.append(found)
        else:
            apart.append(Apart(each, "its seeds were measured on different test tiles"))
    return readable, apart


def renamed(groups: Sequence[Group]) -> list[Group]:
    """Name each by what sets it apart from those of its own task, where no other has that name."""
    of_task: dict[frozenset[tuple[object, ...]], list[Group]] = defaultdict(list)
    for each in groups:
        of_task[each.task].append(each)
    short: dict[str, str] = {}
    for own in of_task.values():
        found = names([each.settings for each in own], [each.members[0].name for each in own])
        short |= {each.name: name for each, name in zip(own, found, strict=True)}
    count = Counter(short.values())
    return [replace(each, name=short[each.name]) if count[short[each.name]] == 1 else each for each in groups]


def alike(groups: Sequence[Group]) -> list[Group]:
    """Those that share the test tiles of most."""
    commonest = Counter(each.task for each in groups).most_common(1)
    return [each for each in groups if each.task == commonest[0][0]]


def difference_in_task(group: Group, reference: Group) -> str:
    """Why two groups cannot be compared."""
    if group.predictions[0].labels != reference.predictions[0].labels:
        return "other labels"
    return "other test tiles" + ("" if group.folds == reference.folds else ": other folds")
