"""Two results on the same test tiles: the verdict in words, the tiles that changed, and what cannot be paired."""

import re
from dataclasses import replace

import numpy as np
import pytest
from compared import experiment, predictions
from scipy import stats
from sklearn.metrics import log_loss

from landuse.comparison import pair, pair_report
from landuse.comparison.pair import Pair
from landuse.comparison.predictions import Predictions
from landuse.core.errors import UserError


def paired(fixed: int, broken: int, tiles: int = 400, sure: tuple[float, float] = (0.9, 0.9), **settings: str) -> Pair:
    """The second gets so many tiles right that the first gets wrong, and the other way round."""
    first, second = np.ones(tiles, bool), np.ones(tiles, bool)
    first[:fixed], second[fixed : fixed + broken] = False, False
    a, b = (predictions(right, p) for right, p in zip((first, second), sure, strict=True))
    before, after = experiment("main", accuracy=first.mean()), experiment("wide", accuracy=second.mean(), **settings)
    return pair.compare(replace(a, experiment=before), replace(b, experiment=after))


def words(found: Pair) -> str:
    return " ".join(pair_report.verdict(found))


def test_a_clear_gain_is_better_and_a_clear_loss_is_worse() -> None:
    better, worse = paired(30, 5), paired(5, 30)
    assert words(better).startswith(
        "wide is better than main Of 400 test tiles, wide gets 30 right that main gets wrong, and 5 wrong that main "
        "gets right. Were both equally good, chance would split them as unevenly less than once in 1,000 tests "
    )
    assert f"p = {stats.binomtest(5, 35).pvalue:.2g}" in words(better)
    assert words(worse).startswith("main is better than wide")
    assert better.verdicts["accuracy"] == better.verdicts["macro_f1"] == "better"
    assert worse.verdicts["accuracy"] == "worse"
    assert better.differences["accuracy"].value == pytest.approx(25 / 400)


def test_where_nothing_can_be_told_it_says_what_could_have_been() -> None:
    found = paired(12, 9)
    said = words(found)
    assert said.startswith("No difference can be told")
    assert "in 66 of 100 tests (McNemar's exact test, p = 0.66)" in said
    assert (
        f"a true difference of {100 * found.detectable:.2f} points in accuracy would be found 80 times in 100" in said
    )
    assert 0.03 < found.detectable < 0.05
    assert "too few to show any difference" in words(paired(1, 0, tiles=4))


def test_equal_predictions_are_no_difference_but_their_probabilities_may_differ() -> None:
    same = paired(0, 0)
    assert words(same) == "No difference Both predict the same label for all 400 test tiles."
    assert same.tiles.empty
    assert "Changed tiles" not in pair_report.text(same, markdown=True)
    surer = paired(0, 0, sure=(0.8, 0.95))
    assert words(surer).endswith("By its probabilities (NLL), wide is better.")


def test_nll_is_that_of_scikit_learn_and_lower_is_better() -> None:
    found = paired(20, 20, sure=(0.99, 0.8))
    for side in (found.first, found.second):
        assert side.metrics["nll"] == pytest.approx(log_loss(side.truth, side.probabilities))
    gap = found.second.metrics["nll"] - found.first.metrics["nll"]
    assert found.differences["nll"].value == pytest.approx(gap)
    certain = predictions([1, 0, 1], 1.0)
    assert certain.losses == pytest.approx([0, -np.log(np.finfo(float).eps), 0])
    assert paired(0, 0, sure=(0.95, 0.8)).verdicts["nll"] == "worse"


def test_changed_tiles_are_listed_with_broken_ones_first() -> None:
    found = paired(3, 2)
    assert list(found.tiles["change"]) == ["broken"] * 2 + ["fixed"] * 3
    assert list(found.tiles["file"]) == ["City/4.jpg", "Farmland/3.jpg", "City/0.jpg", "City/2.jpg", "Farmland/1.jpg"]
    first = found.tiles.iloc[0]
    assert (first["truth"], first["first"], first["second"]) == ("City", "City", "Farmland")
    assert first["second_probability"] == pytest.approx(0.9)


def test_markdown_is_ready_for_a_pull_request() -> None:
    shown = pair_report.text(paired(30, 5, train__freeze="none"), markdown=True)
    assert shown.startswith("## wide against main\n\n**wide is better than main.** Of 400")
    assert re.search(
        r"\| accuracy % +\| +92.50 \| +98.75 \| +\+6.25 \| +\+[34]\.\d\d to \+[89]\.\d\d \| better +\|", shown
    )
    assert "### Changed tiles: 30 fixed, 5 broken" in shown
    assert re.search(r"\| City +\| +200 \| +15 \| +3 \| +\+12 \|", shown)
    assert re.search(r"\| train.freeze \| - +\| none +\|", shown)
    assert "<details><summary>15 of 35 changed tiles" in shown
    assert shown.count("| fixed ") == 10
    assert shown.count("| broken ") == 5


def test_a_terminal_gets_lines_of_120_characters() -> None:
    shown = pair_report.text(paired(30, 5, model__weights="w" * 90), markdown=False)
    assert max(map(len, shown.splitlines())) <= 120
    assert "WIDE IS BETTER THAN MAIN" in shown
    assert "another seed moves both" in shown


def test_a_change_of_seed_alone_is_called_that() -> None:
    found = paired(12, 9)
    other = replace(found.second, experiment=replace(found.second.experiment, seed="2"))
    shown = pair_report.text(pair.compare(found.first, other), markdown=False)
    assert "only the seed differs: this is how far two trainings" in shown


def refused(first: Predictions, second: Predictions) -> str:
    with pytest.raises(UserError) as raised:
        pair.compare(first, second)
    return str(raised.value)


def test_other_tiles_labels_or_truths_are_refused_with_a_count() -> None:
    main = predictions([1] * 10, of=experiment(split__seed="42"))
    fewer = predictions([1] * 8, of=experiment("wide", split__seed="43"))
    assert refused(main, fewer) == (
        "'main' and 'wide' cannot be paired: their test tiles differ, 2 of 10 are in the first alone and 0 of 8 in the "
        "second alone (split.seed 42 and 43); evaluate both on one split"
    )
    labels = predictions([1] * 10, labels=("Farm", "Town"), of=experiment("wide"))
    assert "their labels differ, City, Farmland in the first alone, Farm, Town in the second" in refused(main, labels)
    more = replace(main, experiment=experiment("wide"), labels=("City", "Farmland", *"abcdefgh"))
    assert refused(main, more).endswith("none in the first alone, a, b, c, d, e, ... in the second")
    truth = main.truth.copy()
    truth[:3] = 1 - truth[:3]
    relabelled = replace(main, experiment=experiment("wide"), truth=truth)
    assert "3 of their 10 test tiles have another true label" in refused(main, relabelled)


def test_one_tile_a_class_and_a_missing_class_decide_nothing() -> None:
    found = paired(1, 0, tiles=2)
    assert set(found.verdicts.values()) == {"tie"}
    assert "too few tiles" in pair_report.text(found, markdown=False)
    a, b = predictions([1, 1, 1, 1]), predictions([1, 0, 1, 0])
    only = np.array([0, 2])
    one_class = [
        replace(p, tiles=p.tiles.iloc[only], truth=p.truth[only], predicted=p.predicted[only],
                probabilities=p.probabilities[only]) for p in (a, b)]  # fmt: skip
    found = pair.compare(*(replace(p, experiment=experiment(name)) for name, p in zip("ab", one_class, strict=True)))
    assert found.differences["macro_f1"].value == 0
