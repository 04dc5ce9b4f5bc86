"""Tests and intervals: against hand-made cases, statsmodels, scipy, and the truth of simulations."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.weightstats import DescrStatsW

from landuse.comparison.significance import detectable, mcnemar, mean_difference, mean_interval


def right(first_only: int, second_only: int, both: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Whether each of two models is right, with so many tiles that one alone or both get right, and ten neither."""
    counts = [first_only, second_only, both, 10]
    return np.repeat([True, False, True, False], counts), np.repeat([False, True, True, False], counts)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 0), (6, 0), (9, 4), (3, 3), (40, 18), (150, 210)])
def test_mcnemar_is_that_of_statsmodels(first: int, second: int) -> None:
    found = mcnemar(*right(first, second))
    assert (found.first_only, found.second_only) == (first, second)
    theirs = statsmodels_mcnemar([[50, first], [second, 10]], exact=True).pvalue if first + second else 1.0
    assert found.p == pytest.approx(theirs)


def test_mcnemar_by_hand() -> None:
    assert mcnemar(*right(6, 0)).p == pytest.approx(2 / 2**6)  # all six the same way, or all the other
    assert mcnemar(*right(4, 1)).p == pytest.approx(2 * (1 + 5) / 2**5)


@pytest.mark.parametrize(("tiles", "discordant"), [(2325, 60), (400, 100), (400, 0), (60, 12)])
def test_a_detectable_difference_is_found_four_times_in_five(tiles: int, discordant: int) -> None:
    difference, rng = detectable(tiles, discordant), np.random.default_rng(5)
    share = max(discordant / tiles, difference)
    several = rng.binomial(tiles, share, 4000)
    won = rng.binomial(several, (1 + difference / share) / 2)
    p = {pair: stats.binomtest(*pair).pvalue if pair[1] else 1.0 for pair in set(zip(won, several, strict=True))}
    found = [p[pair] < 0.05 and 2 * pair[0] > pair[1] for pair in zip(won, several, strict=True)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.025)


def test_a_detectable_difference_is_near_the_formula_for_large_samples() -> None:
    """Connor (1987, Biometrics 43, 207-211); the exact test asks for somewhat more."""
    share, z = 0.08, stats.norm.ppf([0.975, 0.8])
    difference = detectable(10_000, 800)
    needed = ((z[0] * np.sqrt(share) + z[1] * np.sqrt(share - difference**2)) / difference) ** 2
    assert 0.93 * 10_000 < needed < 10_000
    assert np.isnan(detectable(5, 2))  # five tiles decide nothing
    assert detectable(2000, 60) < detectable(500, 15)


def test_the_interval_over_seeds_is_students() -> None:
    values = [0.97, 0.98, 0.984, 0.975]
    assert mean_interval(values) == pytest.approx(DescrStatsW(values).tconfint_mean())
    assert np.isnan(mean_interval([0.9])).all()


def test_the_interval_over_folds_is_that_of_nadeau_and_bengio() -> None:
    values = [0.90, 0.92, 0.91, 0.95, 0.92]  # mean 0.92, deviation sqrt(0.0014 / 4)
    half = 2.776445 * (0.0014 / 4 * (1 / 5 + 1 / 4)) ** 0.5
    assert mean_interval(values, overlap=1 / 4) == pytest.approx((0.92 - half, 0.92 + half), abs=1e-6)


def test_a_difference_of_losses_is_that_of_scipys_bootstrap() -> None:
    rng = np.random.default_rng(6)
    first, second = rng.gamma(0.3, 0.2, 2000), rng.gamma(0.3, 0.25, 2000)
    found = mean_difference(first, second)
    theirs = stats.bootstrap((first - second,), np.mean, n_resamples=5000, method="BCa", rng=7).confidence_interval
    assert found.value == pytest.approx(np.mean(first) - np.mean(second))
    assert found.low == pytest.approx(theirs.low, abs=5e-4)
    assert found.high == pytest.approx(theirs.high, abs=5e-4)
    assert found.verdict == "worse"


def test_a_difference_of_losses_holds_the_truth_with_few_and_skewed_tiles() -> None:
    rng, trials = np.random.default_rng(8), 200
    found = [mean_difference(rng.exponential(1.0, 15), np.full(15, 1.0), resamples=1000) for _ in range(trials)]
    assert 0.91 <= np.mean([each.low <= 0 <= each.high for each in found]) <= 0.99


def test_losses_of_too_few_tiles_decide_nothing() -> None:
    for losses in ([0.1], [0.1, 0.2], [0.1, 0.2, 0.1]):
        assert mean_difference(np.array(losses), np.zeros(len(losses))).verdict == "tie"
    equal = mean_difference(np.array([0.1, 0.4]), np.array([0.1, 0.4]))
    assert (equal.value, equal.low, equal.high, equal.verdict) == (0, 0, 0, "tie")
