"""The random split: exact in every class, seeded, and the same whatever else is in the data."""

import hashlib

import pandas as pd
import pytest

from landuse.core.errors import UserError
from landuse.data.splits import stratified
from landuse.params import PARTS, Fractions

USUAL = Fractions(train=0.7, val=0.15, test=0.15)
EUROSAT = {
    "AnnualCrop": 3000,
    "Highway": 2500,
    "Industrial": 2500,
    "Pasture": 2000,
    "PermanentCrop": 2500,
    "Residential": 3000,
}


def table(counts: dict[str, int], extension: str = ".jpg") -> pd.DataFrame:
    files = [f"{name}/{name}_{i}{extension}" for name, count in counts.items() for i in range(1, count + 1)]
    return pd.DataFrame({"file": files, "class": [f.split("/")[0] for f in files]})


def part_of(known: pd.DataFrame, seed: int = 1, fractions: Fractions = USUAL) -> dict[str, str]:
    return dict(zip(known["file"], stratified.deal(known, fractions, seed), strict=True))


def test_eurosat_is_split_exactly_in_every_class() -> None:
    known = table(EUROSAT)
    parts = stratified.deal(known, USUAL, seed=42)
    assert parts.value_counts().to_dict() == {"train": 10850, "val": 2325, "test": 2325}
    by_class = pd.crosstab(known["class"], parts)
    for name, count in EUROSAT.items():
        assert by_class.loc[name, "val"] == by_class.loc[name, "test"] == {3000: 450, 2500: 375, 2000: 300}[count]


def test_the_split_is_the_same_on_every_machine_and_with_every_version() -> None:
    text = "".join(f"{file} {part}\n" for file, part in sorted(part_of(table({"Forest": 300, "2018": 41})).items()))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "82af2c8c911f908a"


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    known = table({"a": 40, "b": 60})
    assert part_of(known.sample(frac=1, random_state=0)) == part_of(known)
    assert part_of(known, seed=2) != part_of(known)


def test_a_class_is_split_alike_whatever_other_classes_are_learnt() -> None:
    of_six, of_two = part_of(table(EUROSAT)), part_of(table({"Pasture": 2000, "Highway": 2500}))
    assert of_two.items() <= of_six.items()


def test_two_classes_of_one_size_are_shuffled_differently() -> None:
    parts = stratified.deal(table({"a": 60, "b": 60}), USUAL, seed=1).to_numpy()
    assert (parts[:60] != parts[60:]).any()


def test_rgb_and_multispectral_files_of_one_tile_are_in_the_same_part() -> None:
    jpg, tif = part_of(table({"Pasture": 2000})), part_of(table({"Pasture": 2000}, ".tif"))
    assert {file.removesuffix(".jpg"): part for file, part in jpg.items()} == {
        file.removesuffix(".tif"): part for file, part in tif.items()
    }


@pytest.mark.parametrize(
    ("count", "fractions", "expected"),
    [
        (7, (0.7, 0.15, 0.15), (5, 1, 1)),  # 4.9, 1.05, 1.05
        (10, (0.7, 0.15, 0.15), (7, 1, 2)),  # 7, 1.5, 1.5: a tie
        (13, (0.7, 0.15, 0.15), (9, 2, 2)),  # 9.1, 1.95, 1.95
        (100, (0.42, 0.29, 0.29), (42, 29, 29)),  # 0.29 x 100 is 28.999999999999996
        (10, (0.8, 0.1, 0.1), (8, 1, 1)),
        (90, (0.55, 0.3, 0.15), (49, 27, 14)),  # a tie, though 0.55 x 90 is 49.50000000000001
        (11, (1 / 3, 1 / 3, 1 / 3), (3, 4, 4)),  # a tie of three: training gives way
    ],
)
def test_sizes_are_by_largest_remainder(
    count: int, fractions: tuple[float, float, float], expected: tuple[int, int, int]
) -> None:
    made = stratified.sizes(count, Fractions(**dict(zip(PARTS, fractions, strict=True))))
    assert tuple(made[part] for part in PARTS) == expected


def test_sizes_add_up_and_are_within_one_of_the_fractions() -> None:
    for count in range(1, 500):
        sizes = stratified.sizes(count, USUAL)
        assert sum(sizes.values()) == count
        assert all(abs(sizes[part] - count * getattr(USUAL, part)) < 1 for part in PARTS)


def test_classes_take_turns_at_ties_so_that_the_totals_of_val_and_test_are_balanced() -> None:
    known = table({f"class{i}": 50 for i in range(40)})  # 35, 7.5, 7.5 each
    counts = stratified.deal(known, USUAL, seed=1).value_counts()
    assert counts["train"] == 1400
    assert abs(counts["val"] - counts["test"]) <= 16


def test_a_class_too_small_is_named_with_its_size_and_the_smallest_that_would_do() -> None:
    with pytest.raises(UserError, match=r"class 'b' is too small to be split: it has 4 of at least 5 tiles"):
        stratified.deal(table({"a": 40, "b": 4}), USUAL, seed=1)
    assert set(stratified.deal(table({"a": 40, "b": 5}), USUAL, seed=1)[40:]) == set(PARTS)


@pytest.mark.parametrize("shares", [(0.7, 0.15, 0.15), (0.98, 0.01, 0.01), (0.5, 0.3, 0.2), (1 / 3, 1 / 3, 1 / 3)])
def test_the_smallest_class_is_the_first_with_a_tile_in_every_part(shares: tuple[float, float, float]) -> None:
    fractions = Fractions(**dict(zip(PARTS, shares, strict=True)))
    smallest = stratified.smallest(fractions)
    assert all(stratified.sizes(smallest, fractions).values())
    assert not any(all(stratified.sizes(count, fractions).values()) for count in range(smallest))


def test_over_the_folds_every_tile_is_in_the_test_once() -> None:
    known = table({"a": 43, "b": 60, "c": 5})
    folds = [stratified.kfold(known, USUAL, 5, fold, seed=1) for fold in range(5)]
    assert (sum((parts == "test").astype(int) for parts in folds) == 1).all()
    for parts in folds:
        by_class = pd.crosstab(known["class"], parts)
        assert set(by_class["test"]) <= {1, 8, 9, 12}
        assert by_class.loc["c"].to_dict() == {"test": 1, "train": 3, "val": 1}
        assert by_class.loc["b"].to_dict() == {"test": 12, "train": 40, "val": 8}  # 48 x 0.15 / 0.85 is 8.5
    assert folds[0].ne(folds[1])[folds[0].ne("test") & folds[1].ne("test")].any()  # validation differs too


def test_folds_depend_on_the_seed_and_on_nothing_else() -> None:
    known = table({"a": 40, "b": 60})
    parts = stratified.kfold(known, USUAL, 4, 2, seed=1)
    assert stratified.kfold(known.sample(frac=1, random_state=0), USUAL, 4, 2, seed=1).loc[known.index].equals(parts)
    assert stratified.kfold(known[known["class"] == "b"], USUAL, 4, 2, seed=1).equals(parts[known["class"] == "b"])
    assert (stratified.kfold(known, USUAL, 4, 2, seed=2) != parts).any()


def test_folds_with_one_tile_more_take_turns() -> None:
    known = table({f"class{i}": 11 for i in range(40)})
    sizes = [(stratified.kfold(known, USUAL, 5, fold, seed=1) == "test").sum() for fold in range(5)]
    assert sum(sizes) == 440 and max(sizes) - min(sizes) < 20


@pytest.mark.parametrize(("folds", "enough"), [(2, 4), (3, 3), (5, 5)])
def test_a_class_too_small_for_the_folds_is_refused_in_each_and_the_smallest_that_would_do_is_not(
    folds: int, enough: int
) -> None:
    greedy = Fractions(train=0.01, val=0.98, test=0.01)
    for fold in range(folds):
        with pytest.raises(UserError, match=rf"class 'b' .* {folds} folds: it has {enough - 1} of at least {enough}"):
            stratified.kfold(table({"a": 40, "b": enough - 1}), USUAL, folds, fold, seed=1)
        for fractions in (USUAL, greedy):
            assert set(stratified.kfold(table({"b": enough}), fractions, folds, fold, seed=1)) == set(PARTS)
