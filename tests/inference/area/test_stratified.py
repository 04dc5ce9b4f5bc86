"""Areas from a labelled sample, beside a published example and in simulations in which the truth is known."""

import numpy as np
import pytest

from landuse.inference.area import stratified
from landuse.inference.area.correction import corrected
from landuse.inference.area.drawing import allocated
from landuse.inference.area.stratified import Labelled


def of_counts(sizes: list[int], counts: list[list[int]]) -> Labelled:
    """A sample without probabilities. counts: (strata, labels)."""
    table = np.array(counts)
    stratum = np.repeat(np.arange(len(table)), table.sum(axis=1))
    labels = np.concatenate([np.repeat(np.arange(len(row)), row) for row in table])
    none = np.zeros((len(labels), len(sizes)))
    return Labelled(np.array(sizes), stratum, labels, none, np.zeros((len(sizes), len(sizes))))


def test_the_example_of_olofsson_et_al_2014() -> None:
    """Table 8 and section 5: deforestation, forest gain, stable forest, stable non-forest; pixels of 0.09 ha."""
    counts = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    sample = of_counts([200_000, 150_000, 3_200_000, 6_450_000], counts)
    total = 10_000_000 * 0.09
    found = [stratified.estimate(sample, label, seed=0)[0] for label in range(4)]
    assert [one.share * total for one in found] == pytest.approx([21_158, 11_686, 285_770, 581_386], abs=1)
    assert [1.96 * one.error * total for one in found] == pytest.approx([6_158, 3_756, 15_510, 16_282], rel=1e-3)
    users = [stratified.users(sample, label) for label in range(4)]
    assert [one.share for one in users] == pytest.approx([0.88, 0.73, 0.93, 0.96], abs=0.005)
    assert [1.96 * one.error for one in users] == pytest.approx([0.07, 0.10, 0.04, 0.02], abs=0.005)
    producers = [stratified.producers(sample, label) for label in range(4)]
    assert [one.share for one in producers] == pytest.approx([0.75, 0.85, 0.93, 0.96], abs=0.005)
    assert [1.96 * one.error for one in producers] == pytest.approx([0.21, 0.25, 0.03, 0.02], abs=0.006)  # eq. 7
    overall = stratified.overall(sample, 4)
    assert (overall.share, 1.96 * overall.error) == pytest.approx((0.95, 0.02), abs=0.005)


def test_a_balanced_test_is_no_sample_of_a_map_where_a_class_is_rare() -> None:
    cells, right = 1_000_000, np.array([[980, 20], [20, 980]])  # 5 % City; the model errs in 2 % of either
    counted = np.array([0.05 * 0.98 + 0.95 * 0.02, 0.05 * 0.02 + 0.95 * 0.98]) * cells
    wrong = stratified.estimate(of_counts([int(n) for n in counted.round()], right.tolist()), 0, seed=0)[0].share
    inverted = corrected(counted.round().astype(int)[None], right, 100 / cells, seed=0)[0]["hectares"]
    assert (counted[0] / cells, wrong, inverted) == pytest.approx((0.068, 0.085, 5.0), abs=5e-4)


class Land:
    """Cells of a map, their true labels, and a model that tells City from Farmland by one number."""

    def __init__(self, seed: int, city: float, apart: float, cells: int = 20_000) -> None:
        rng = np.random.default_rng(seed)
        self.city = (rng.random(cells) < city).astype(int)
        evidence = rng.normal((self.city - 0.5) * apart)
        probability = 1 / (1 + np.exp(-apart * evidence))
        self.probabilities = np.stack([probability, 1 - probability])
        sure = self.probabilities.max(axis=0) > 0.9
        self.stratum = np.where(sure, (probability < 0.5).astype(int), 2)
        self.sizes = np.bincount(self.stratum, minlength=3)
        self.means = np.stack([self.probabilities[:, self.stratum == h].mean(axis=1) for h in range(3)])

    def sample(self, rng: np.random.Generator, size: int = 200) -> Labelled:
        counts = allocated(self.sizes, size)
        drawn = [rng.choice(np.flatnonzero(self.stratum == h), n, replace=False) for h, n in enumerate(counts)]
        cells = np.concatenate(drawn)
        labels = 1 - self.city[cells]
        return Labelled(self.sizes, self.stratum[cells], labels, self.probabilities[:, cells].T, self.means)


@pytest.mark.parametrize("city", [0.02, 0.05, 0.1, 0.2, 0.4])
@pytest.mark.long
def test_intervals_hold_the_truth_and_probabilities_narrow_them(city: float) -> None:
    land, rng = Land(1, city, apart=3), np.random.default_rng(2)
    held, widths, off = np.zeros((200, 2)), np.zeros((200, 2)), np.zeros((200, 2))
    truth = land.city.mean()
    for run in range(200):
        for way, one in enumerate(stratified.estimate(land.sample(rng), 0, seed=run)):
            held[run, way] = one.low <= truth <= one.high
            widths[run, way], off[run, way] = one.high - one.low, one.share - truth
    assert ((held.mean(axis=0) >= 0.93) & (held.mean(axis=0) <= 0.975)).all(), held.mean(axis=0)
    assert (widths[:, 1] <= widths[:, 0]).all() and widths[:, 1].mean() < 0.99 * widths[:, 0].mean()
    assert (np.abs(off.mean(axis=0)) < 4 * off.std(axis=0) / np.sqrt(200)).all()  # neither is biased
    assert (off**2).mean(axis=0)[1] < (off**2).mean(axis=0)[0]


def test_a_stratum_without_errors_is_no_proof_of_none() -> None:
    sample = of_counts([100, 9900], [[50, 0], [0, 150]])
    city, farmland = (stratified.estimate(sample, label, seed=0)[0] for label in (0, 1))
    assert (city.share, city.error) == (0.01, 0.0)
    assert 0.009 < city.low <= 0.01 and 0.015 < city.high < 0.035
    assert city.share + farmland.share == pytest.approx(1)


def test_a_stratum_that_is_labelled_whole_adds_no_error() -> None:
    one = stratified.estimate(of_counts([1, 4], [[1, 0], [1, 3]]), 0, seed=0)[0]
    assert (one.low, one.share, one.error, one.high) == pytest.approx((0.4, 0.4, 0.0, 0.4))


def test_a_class_that_is_never_mapped_has_an_area_and_no_users_accuracy() -> None:
    sample = of_counts([0, 1000], [[0, 0], [5, 95]])
    assert stratified.estimate(sample, 0, seed=0)[0].share == pytest.approx(0.05)
    assert np.isnan(stratified.users(sample, 0).share) and stratified.producers(sample, 0).share == 0
    assert np.isnan(stratified.producers(of_counts([10, 10], [[0, 5], [0, 5]]), 0).share)  # none of it is there
