"""The random split: exact in every class, seeded, and the same whatever else is in the data."""

import hashlib

import pandas as pd
import pytest

from landuse.errors import UserError
from landuse.params import PARTS, Fractions
from landuse.splits import stratified

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
