"""Fewer training tiles: nested, stratified, never without a label."""

import pandas as pd
import pytest

from landuse.data.splits import stratified


def training(counts: dict[str, int]) -> pd.DataFrame:
    """Tiles of classes named ``<label>-<class>``."""
    files = [f"{name}/{i}.jpg" for name, count in counts.items() for i in range(count)]
    table = pd.DataFrame({"file": files, "class": [file.split("/")[0] for file in files]})
    return table.assign(label=table["class"].str.partition("-")[0])


TRAIN = training({"City-a": 600, "City-b": 300, "Farm-a": 500})


@pytest.mark.parametrize("fraction", [0.01, 0.05, 0.1, 0.333, 0.5, 1.0])
def test_labels_and_their_classes_keep_their_proportions(fraction: float) -> None:
    kept = TRAIN.loc[stratified.subset(TRAIN, fraction, None, seed=1, draw=0)]
    assert kept["label"].value_counts().to_dict() == {"City": round(900 * fraction), "Farm": round(500 * fraction)}
    assert abs((kept["class"] == "City-a").sum() - 600 * fraction) <= 1


def test_smaller_subsets_lie_within_larger_ones() -> None:
    previous: set[int] = set()
    for fraction in (0.001, 0.01, 0.1, 0.5, 1.0):
        kept = set(stratified.subset(TRAIN, fraction, None, seed=1, draw=0))
        assert previous < kept
        previous = kept
    assert previous == set(TRAIN.index)


@pytest.mark.parametrize("shots", [1, 3, 30])
def test_shots_are_so_many_of_each_label_and_lie_within_more_of_them(shots: int) -> None:
    kept = TRAIN.loc[stratified.subset(TRAIN, 1.0, shots, seed=1, draw=0)]
    assert kept["label"].value_counts().to_dict() == {"City": shots, "Farm": shots}
    assert abs((kept["class"] == "City-a").sum() - shots * 2 / 3) <= 1
    assert set(kept.index) < set(stratified.subset(TRAIN, 1.0, shots + 1, seed=1, draw=0))


def test_shots_beyond_what_there_is_or_beyond_the_fraction_take_nothing_more() -> None:
    assert set(stratified.subset(TRAIN, 1.0, 10_000, seed=1, draw=0)) == set(TRAIN.index)
    assert set(stratified.subset(TRAIN, 0.1, 10_000, seed=1, draw=0)) == set(
        stratified.subset(TRAIN, 0.1, None, seed=1, draw=0)
    )


def test_no_fraction_is_so_small_that_a_label_vanishes() -> None:
    kept = TRAIN.loc[stratified.subset(TRAIN, 1e-9, None, seed=1, draw=0)]
    assert sorted(kept["label"]) == ["City", "Farm"]


def test_the_seed_decides_and_neither_the_order_of_rows_nor_other_labels_do() -> None:
    kept = set(stratified.subset(TRAIN, 0.1, None, seed=1, draw=0))
    assert set(stratified.subset(TRAIN.sample(frac=1, random_state=0), 0.1, None, seed=1, draw=0)) == kept
    farm = TRAIN[TRAIN["label"] == "Farm"]
    assert set(stratified.subset(farm, 0.1, None, seed=1, draw=0)) == kept & set(farm.index)
    assert set(stratified.subset(TRAIN, 0.1, None, seed=2, draw=0)) != kept
    assert set(stratified.subset(TRAIN, 0.1, None, seed=1, draw=1)) not in (kept, set(range(len(kept))))
    assert set(stratified.subset(TRAIN, 1.0, None, seed=1, draw=1)) == set(TRAIN.index)
