"""Groups of experiments that differ in nothing but the seed, named by what sets them apart."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from landuse.comparison.experiments import Experiment


@dataclass(frozen=True)
class Group:
    """Experiments with the same settings, one a seed. name: as ``-S`` takes it, ``train.freeze=none ...``."""

    name: str
    members: tuple[Experiment, ...]

    def values(self, metric: str) -> list[float]:
        """One value a seed, where it was measured."""
        return [member.metrics[metric] for member in self.members if metric in member.metrics]

    def mean(self, metric: str) -> float:
        """Mean over seeds; NaN where nothing was measured."""
        values = self.values(metric)
        return float(np.mean(values)) if values else np.nan

    def deviation(self, metric: str) -> float:
        """Standard deviation over seeds (n - 1); NaN for fewer than two."""
        values = self.values(metric)
        return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def group(experiments: Sequence[Experiment]) -> tuple[list[Group], int]:
    """Return the groups, and how many experiments repeat one with the same settings and seed (the first counts)."""
    sets: dict[frozenset[tuple[str, str]], dict[str, Experiment]] = defaultdict(dict)
    for experiment in experiments:
        sets[frozenset(experiment.settings.items())].setdefault(experiment.seed, experiment)
    members = [tuple(of_seed.values()) for of_seed in sets.values()]
    names = _names([each[0] for each in members])
    groups = [Group(name, each) for name, each in zip(names, members, strict=True)]
    return groups, len(experiments) - sum(map(len, members))


def _names(experiments: Sequence[Experiment]) -> list[str]:
    changed = _changed([experiment.settings for experiment in experiments])
    names = [" ".join(f"{k}={e.settings[k]}" for k in changed if k in e.settings) or e.name for e in experiments]
    count = Counter(names)
    return [name if count[name] == 1 else f"{name} ({e.name})" for name, e in zip(names, experiments, strict=True)]


def _changed(settings: Iterable[Mapping[str, str]]) -> list[str]:
    """Keys with several values. One that only some have follows from another choice, as a recipe's own settings do."""
    values: dict[str, set[str]] = defaultdict(set)
    for each in settings:
        for key, value in each.items():
            values[key].add(value)
    return sorted(key for key, found in values.items() if len(found) > 1)
