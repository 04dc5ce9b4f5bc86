"""Groups of experiments that differ in nothing but the seed or the fold, named by what sets them apart."""

import statistics  # exact: equal values have no spread
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from landuse.comparison.experiments import Experiment
from landuse.evaluation.pairs import mean_interval


@dataclass(frozen=True)
class Group:
    """Experiments with the same settings, one a seed and fold. name: as ``-S`` takes it, ``train.freeze=none ...``."""

    name: str
    members: tuple[Experiment, ...]

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
        if self.folds:
            measured = [member for member in self.members if metric in member.metrics]
            of_fold = ([m.metrics[metric] for m in measured if m.fold == fold] for fold in self.folds)
            return [statistics.mean(values) for values in of_fold if values]
        return [member.metrics[metric] for member in self.members if metric in member.metrics]

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

        Ends that no metric can reach are cut off: below 0, and above 1 for shares.
        """
        if self.over(metric) == "tiles":
            first = self.members[0].metrics
            return first.get(f"{metric}.low", np.nan), first.get(f"{metric}.high", np.nan)
        low, high = mean_interval(self.values(metric), self.overlap)
        return max(low, 0.0), high if metric == "nll" else min(high, 1.0)


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
    """Name each by the settings that set it apart. otherwise: what to call those that nothing does."""
    changed = _changed(settings)
    found = [" ".join(f"{key}={each[key]}" for key in changed if key in each) for each in settings]
    found = [name or other for name, other in zip(found, otherwise, strict=True)]
    count = Counter(found)
    return [name if count[name] == 1 else f"{name} ({other})" for name, other in zip(found, otherwise, strict=True)]


def _changed(settings: Iterable[Mapping[str, str]]) -> list[str]:
    """Keys with several values. One that only some have follows from another choice, as a recipe's own settings do."""
    values: dict[str, set[str]] = defaultdict(set)
    for each in settings:
        for key, value in each.items():
            values[key].add(value)
    return sorted(key for key, found in values.items() if len(found) > 1)
