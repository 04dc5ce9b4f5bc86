"""Groups with predictions: folds are compared fold by fold, and only with the same folds."""

import numpy as np
import pandas as pd
import pytest
from compared import experiment, measured, predictions
from statsmodels.stats.weightstats import DescrStatsW

from landuse.comparison.groups import Group
from landuse.comparison.measured import Measured, alike, difference_in_task, read
from landuse.comparison.predictions import Predictions, Unreadable

KFOLD = {"split__method": "kfold", "split__folds": "5"}


def of_fold(fold: int, tiles: int = 20) -> Predictions:
    """Tiles of their own, all predicted right."""
    made = predictions(np.ones(tiles))
    index = pd.Index([f"{fold}-{name}" for name in made.tiles.index])
    return Predictions(made.tiles.set_index(index), made.labels, made.truth, made.predicted, made.probabilities)


def folds(accuracies: list[float], first: int = 0) -> Measured:
    members = [experiment(str(i), 1, str(i + first), accuracy, **KFOLD) for i, accuracy in enumerate(accuracies)]
    return Measured(Group("g", tuple(members)), tuple(of_fold(i + first) for i in range(len(members))))


def test_groups_with_the_same_folds_are_compared_fold_by_fold() -> None:
    ours, theirs = [0.91, 0.93, 0.90, 0.95, 0.92], [0.90, 0.91, 0.90, 0.93, 0.90]
    first, second = folds(ours), folds(theirs)
    assert first.task == second.task
    assert first.tiles == 100
    found = first.minus(second)["accuracy"]
    gaps = np.subtract(ours, theirs)
    uncorrected = DescrStatsW(gaps).tconfint_mean()
    assert found.value == pytest.approx(gaps.mean())
    factor = ((1 / 5 + 1 / 4) / (1 / 5)) ** 0.5  # Nadeau and Bengio: 1/k + test/training tiles instead of 1/k
    assert found.high - found.value == pytest.approx(factor * (uncorrected[1] - gaps.mean()))
    assert uncorrected[0] > 0  # overlapping folds claim more than they know
    assert found.verdict == "tie"
    assert first.minus(first)["macro_f1"].verdict == "tie"


def test_other_folds_cannot_be_compared() -> None:
    all_folds, some = folds([0.9] * 5), folds([0.9] * 3)
    assert all_folds.task != some.task
    assert difference_in_task(some, all_folds) == "other test tiles: other folds"
    assert alike([some, all_folds, folds([0.8] * 5)])[0] is all_folds
    other = measured("city", [0.9])
    assert difference_in_task(other, measured("b", [0.9], tiles=10)) == "other test tiles"


class Shelf:
    """What a reader of the cache would return."""

    def __init__(self, by_name: dict[str, Predictions]) -> None:
        self._by_name = by_name

    def read(self, experiment: object) -> Predictions:
        name = experiment.name  # type: ignore[attr-defined]
        if name not in self._by_name:
            raise Unreadable(f"no {name}")
        return self._by_name[name]


def test_seeds_must_share_their_tiles_and_folds_need_not() -> None:
    seeds = Group("seeds", (experiment("a", 1), experiment("b", 2)))
    crossed = Group("folds", tuple(experiment(name, 1, fold, **KFOLD) for name, fold in (("a", "0"), ("b", "1"))))
    gone = Group("gone", (experiment("c", 1),))
    shelf = Shelf({"a": of_fold(0), "b": of_fold(1)})
    found, apart = read([seeds, crossed, gone], shelf)  # type: ignore[arg-type]
    assert [each.group.name for each in found] == ["folds"]
    assert {each.group.name: each.reason for each in apart} == {
        "seeds": "its seeds were measured on different test tiles",
        "gone": "no c",
    }
