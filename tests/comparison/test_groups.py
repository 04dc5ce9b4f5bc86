"""Groups of experiments: what belongs together, and what it is called."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from compared import experiment as two_labels
from compared import made, predictions, settings_group
from statsmodels.stats.weightstats import DescrStatsW

from landuse.comparison import groups
from landuse.comparison.experiments import Experiment, Unreadable
from landuse.comparison.groups import Group, alike, difference_in_task, group, read
from landuse.comparison.predictions import Predictions

KFOLD = {"split__method": "kfold", "split__folds": "5"}


def experiment(name: str, seed: int, accuracy: float = 0.9, **settings: str) -> Experiment:
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return made(name, seed, "", dotted, {"accuracy": accuracy})


def test_experiments_that_differ_only_in_the_seed_are_one_group_with_mean_and_deviation() -> None:
    found, repeated = group(
        [
            experiment("a", 1, 0.90, train__freeze="none", train__lr="0.1"),
            experiment("b", 2, 0.94, train__freeze="none", train__lr="0.1"),
            experiment("c", 1, 0.80, train__freeze="layer3", train__lr="0.1"),
        ]
    )
    assert [each.name for each in found] == ["train.freeze=none", "train.freeze=layer3"]
    assert repeated == 0
    assert found[0].mean("accuracy") == pytest.approx(0.92)
    assert found[0].deviation("accuracy") == pytest.approx(0.02 * math.sqrt(2))  # n - 1
    assert math.isnan(found[1].deviation("accuracy"))
    assert math.isnan(found[1].mean("nll"))


def test_the_same_settings_and_seed_count_once() -> None:
    found, repeated = group([experiment("main", 1, 0.9, x="1"), experiment("again", 1, 0.9, x="1")])
    assert [member.name for member in found[0].members] == ["main"]
    assert repeated == 1


@pytest.mark.parametrize(
    ("paths", "shown"),
    [
        (["/home/me/zhou-test.txt", "https://example.org/far-test.txt"], ["zhou-test.txt", "far-test.txt"]),
        (["a/test.txt", "b/test.txt"], ["a/test.txt", "b/test.txt"]),  # the file's name would not tell them apart
        (["[runs/a]", "[]"], ["[runs/a]", "[]"]),
    ],
)
def test_paths_are_named_by_their_file(paths: list[str], shown: list[str]) -> None:
    found, _ = group([experiment(path, 1, list=path) for path in paths])
    assert [each.name for each in found] == [f"list={name}" for name in shown]


def test_settings_that_follow_from_another_choice_are_not_named() -> None:
    step = {"train__recipe": "step", "recipes__step__epochs": "30"}
    found, _ = group(
        [
            experiment("a", 1, **step),
            experiment("b", 1, train__recipe="fast", recipes__fast__epochs="8"),
            experiment("c", 1, train__recipe="fast", recipes__fast__epochs="9"),
        ]
    )
    assert [each.name for each in found] == [
        "train.recipe=step",
        "recipes.fast.epochs=8 train.recipe=fast",
        "recipes.fast.epochs=9 train.recipe=fast",
    ]


def test_changed_code_sets_experiments_apart() -> None:
    found, _ = group([experiment("a", 1, src="aaaaaaa"), experiment("b", 2, src="bbbbbbb")])
    assert [each.name for each in found] == ["src=aaaaaaa", "src=bbbbbbb"]


def test_one_group_has_the_name_of_its_first_experiment_and_names_are_unique() -> None:
    alone, _ = group([experiment("sunny-pie", 1, x="1"), experiment("later", 2, x="1")])
    assert [each.name for each in alone] == ["sunny-pie"]
    same, _ = group([experiment("a", 1, x="1", y="1"), experiment("b", 1, x="1"), experiment("c", 1, x="2")])
    assert [each.name for each in same] == ["x=1 (a)", "x=1 (b)", "x=2"]


def test_folds_are_one_group_whose_values_are_means_over_seeds() -> None:
    def fold(number: int, seed: int, accuracy: float, **settings: str) -> Experiment:
        known = {"split.method": "kfold", "split.folds": "3", **settings}
        return made(f"{number}-{seed}", seed, str(number), known, {"accuracy": accuracy})

    both = [fold(i, seed, 0.9 + i / 100 + seed / 1000) for i in range(3) for seed in (1, 3)]
    (found,), repeated = group([*both, fold(2, 3, 0.5)])
    assert (found.folds, found.seeds, found.overlap, repeated) == (("0", "1", "2"), 2, 0.5, 1)
    assert found.values("accuracy") == pytest.approx([0.902, 0.912, 0.922])
    assert found.over("accuracy") == "folds"
    half = 4.302653 * 0.01 * (1 / 3 + 1 / 2) ** 0.5
    assert found.interval("accuracy") == pytest.approx((0.912 - half, 0.912 + half), abs=1e-6)
    single, _ = group([fold(1, 1, 0.9), fold(1, 2, 0.92)])
    assert (single[0].folds, single[0].over("accuracy")) == ((), "seeds")


def test_one_seed_has_the_interval_over_tiles_and_several_students() -> None:
    def seed(number: int, accuracy: float) -> Experiment:
        measured = {"accuracy": accuracy, "accuracy.low": 0.85, "accuracy.high": 0.95}
        return made(str(number), number, "", {}, measured)

    (one,), _ = group([seed(1, 0.9)])
    assert (one.over("accuracy"), one.interval("accuracy")) == ("tiles", (0.85, 0.95))
    (two,), _ = group([seed(1, 0.90), seed(2, 0.91)])
    assert two.over("accuracy") == "seeds"
    assert two.interval("accuracy") == pytest.approx((0.905 - 12.7062 * 0.005, 0.905 + 12.7062 * 0.005), abs=1e-6)
    (alike,), _ = group([seed(1, 0.9), seed(2, 0.9)])  # no spread is no certainty
    assert alike.interval("accuracy") == (0.85, 0.95)


def of_fold(fold: int, tiles: int = 20) -> Predictions:
    """Tiles of their own, all predicted right."""
    made = predictions(np.ones(tiles))
    index = pd.Index([f"{fold}-{name}" for name in made.tiles.index])
    return replace(made, tiles=made.tiles.set_index(index))


def folds(accuracies: list[float], first: int = 0) -> Group:
    members = [two_labels(str(i), 1, str(i + first), accuracy, **KFOLD) for i, accuracy in enumerate(accuracies)]
    return Group("g", tuple(members), tuple(of_fold(i + first) for i in range(len(members))))


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
    other = settings_group("city", [0.9])
    assert difference_in_task(other, settings_group("b", [0.9], tiles=10)) == "other test tiles"


def test_seeds_must_share_their_tiles_and_folds_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = Group("seeds", (two_labels("a", 1), two_labels("b", 2)))
    crossed = Group("folds", tuple(two_labels(name, 1, fold, **KFOLD) for name, fold in (("a", "0"), ("b", "1"))))
    gone = Group("gone", (two_labels("c", 1),))
    made_by = {"a": of_fold(0), "b": of_fold(1)}

    def of(each: Experiment) -> Predictions:
        if each.name not in made_by:
            raise Unreadable(f"no {each.name}")
        return made_by[each.name]

    monkeypatch.setattr(groups.predictions, "read", of)
    found, apart = read([seeds, crossed, gone])
    assert [each.name for each in found] == ["folds"]
    assert {each.group.name: each.reason for each in apart} == {
        "seeds": "its seeds were measured on different test tiles",
        "gone": "no c",
    }
