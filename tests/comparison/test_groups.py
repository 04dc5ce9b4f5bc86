"""Groups of experiments: what belongs together, and what it is called."""

import math

import pytest

from landuse.comparison.experiments import Experiment
from landuse.comparison.groups import group


def experiment(name: str, seed: int, accuracy: float = 0.9, **settings: str) -> Experiment:
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return Experiment(name, str(seed), dotted, {"accuracy": accuracy}, "tiles", "predictions")


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
        return Experiment(f"{number}-{seed}", str(seed), known, {"accuracy": accuracy}, "", "", str(number))

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
        return Experiment(str(number), str(number), {}, measured, "", "")

    (one,), _ = group([seed(1, 0.9)])
    assert (one.over("accuracy"), one.interval("accuracy")) == ("tiles", (0.85, 0.95))
    (two,), _ = group([seed(1, 0.90), seed(2, 0.91)])
    assert two.over("accuracy") == "seeds"
    assert two.interval("accuracy") == pytest.approx((0.905 - 12.7062 * 0.005, 0.905 + 12.7062 * 0.005), abs=1e-6)
    (alike,), _ = group([seed(1, 0.9), seed(2, 0.9)])  # no spread is no certainty
    assert alike.interval("accuracy") == (0.85, 0.95)
