"""Suspected label errors: planted ones are found, nothing else is needed, no data set is too small."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from landuse.report.explain import suspects


def test_planted_errors_are_found_and_ranked(predicted: Callable) -> None:
    p = predicted(count=300, classes=3, errors=0)
    planted = np.arange(0, 300, 30)
    sure = np.linspace(0.98, 0.999, 10)[:, None]  # more than is usual
    p.probabilities[planted] = np.where(np.eye(3)[p.tiles["target"][planted]] == 1, sure, (1 - sure) / 2)
    tiles = p.tiles.copy()
    tiles.loc[planted, "target"] = (tiles.loc[planted, "target"] + 1) % 3
    tiles["label"] = np.take(p.names, tiles["target"])
    found = suspects.find(tiles, p.probabilities, p.names)
    assert list(found.columns) == ["file", "class", "label", "suggested", "score"]
    assert found.index.to_list() == planted[::-1].tolist()
    assert (found["suggested"] == p.tiles.loc[found.index, "label"]).all()
    assert found["score"].is_monotonic_increasing
    shares = p.probabilities[found.index]
    own = shares[np.arange(len(shares)), tiles.loc[found.index, "target"]]
    np.testing.assert_allclose(found["score"], (own - shares.max(axis=1) + 1) / 2)  # the normalised margin


def test_by_the_definition_of_confident_learning(predicted: Callable) -> None:
    p = predicted(count=240, classes=4, errors=40)
    probabilities, targets = p.probabilities, p.tiles["target"].to_numpy()
    usual = np.array([probabilities[targets == k, k].mean() for k in range(4)])
    reached = probabilities >= usual
    best = np.where(reached, probabilities, -1).argmax(axis=1)
    expected = reached.any(axis=1) & (best != targets) & (probabilities.argmax(axis=1) != targets)
    found = suspects.find(p.tiles, probabilities, p.names)
    assert set(found.index) == set(np.flatnonzero(expected))
    assert len(found) > 5


@pytest.mark.parametrize(
    ("count", "classes"), [(1, 2), (2, 2), (4, 4), (5, 85), (200, 85)], ids=lambda number: str(number)
)
def test_few_tiles_and_labels_without_any_are_no_trouble(predicted: Callable, count: int, classes: int) -> None:
    p = predicted(count=count, classes=classes, errors=count // 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = suspects.find(p.tiles, p.probabilities, p.names)
    assert (found["label"] != found["suggested"]).all()
    assert list(found.columns) == ["file", "class", "label", "suggested", "score"]


def test_predictions_that_are_all_equal_make_nobody_suspect(predicted: Callable) -> None:
    p = predicted(count=30)
    assert suspects.find(p.tiles, np.full((30, 3), 1 / 3), p.names).empty
