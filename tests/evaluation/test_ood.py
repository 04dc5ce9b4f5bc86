"""Out-of-distribution scores and their separation against scikit-learn, scipy and torch; and where there is little."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import DEFAULTS
from scipy.spatial.distance import cdist
from sklearn import metrics as sk
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from landuse import params
from landuse.core.errors import UserError
from landuse.evaluation import ood
from landuse.spec.answers import Answers
from landuse.spec.neighbours import unit

SETTINGS = params.read(DEFAULTS / "params.yaml").evaluate
RNG = np.random.default_rng


def features(count: int, seed: int = 0, width: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = RNG(seed)
    targets = rng.integers(0, 3, count)
    mixed = rng.normal(size=(count, width)) @ RNG(99).normal(size=(width, width))
    return (mixed + 6 * np.eye(3, width)[targets]).astype(np.float32), targets


def answers(
    statistics: np.ndarray, targets: np.ndarray, last: np.ndarray | None = None, logits: np.ndarray | None = None
) -> Answers:
    """Of one network and one view. last: by default as the statistics."""
    logits = np.zeros((len(targets), 3), np.float32) if logits is None else logits
    last = statistics if last is None else last
    return Answers(np.arange(len(targets)), targets, logits[:, None, None], last, statistics)


def test_each_score_agrees_with_an_independent_implementation() -> None:
    reference, targets = features(300)
    tiles, others = features(50, seed=1)
    last, seen = features(300, seed=3, width=90)[0], features(50, seed=4, width=90)[0]
    logits = RNG(2).normal(0, 3, (50, 3)).astype(np.float32)
    space = ood.Reference.fit(answers(reference, targets, last))
    found = ood.scores(answers(tiles, others, seen, logits), space)
    theirs = torch.from_numpy(logits).double()
    assert np.exp(found["max_softmax"]) == pytest.approx(theirs.softmax(1).max(1).values.numpy())
    assert found["energy"] == pytest.approx(theirs.logsumexp(1).numpy())
    ends = [(x / np.linalg.norm(x, axis=1, keepdims=True)).astype(float) for x in (tiles, reference, seen, last)]
    components = PCA(64, svd_solver="full").fit(ends[3])
    joined, known = (
        np.hstack([middle, 0.2 * components.transform(end)]) for middle, end in ((tiles, ends[2]), (reference, ends[3]))
    )
    means = np.stack([known[targets == label].mean(0) for label in range(3)])
    covariance = LedoitWolf(assume_centered=True).fit(known - means[targets])
    distances = cdist(joined, means, "mahalanobis", VI=covariance.precision_) ** 2
    assert found["mahalanobis"] == pytest.approx(-distances.min(axis=1), rel=1e-3)
    assert found["knn"] == pytest.approx(-np.sort(cdist(*ends[:2]), axis=1)[:, 9], rel=1e-4)


def test_the_last_stage_tells_strangers_that_look_like_known_tiles_before() -> None:
    (reference, targets), (tiles, others) = features(300), features(200, seed=1)
    reference, tiles = unit(100 + reference), unit(100 + tiles)
    last, as_before = features(300, seed=3, width=90)[0], features(200, seed=4, width=90)[0]
    space = ood.Reference.fit(answers(reference, targets, last))
    known = ood.scores(answers(tiles, others, as_before), space)
    strange = ood.scores(answers(tiles, others, as_before + np.float32(40)), space)
    truth = np.repeat([1, 0], 200)
    told = {name: sk.roc_auc_score(truth, np.r_[known[name], strange[name]]) for name in ("mahalanobis", "knn")}
    assert told["mahalanobis"] > 0.85 and told["knn"] == pytest.approx(0.5)


def test_a_reconstruction_is_one_more_score_where_there_is_one() -> None:
    reference, targets = features(60)
    plain, errors = answers(reference, targets), RNG(0).random(60).astype(np.float32)
    space = ood.Reference.fit(plain)
    without, found = ood.scores(plain, space), ood.scores(replace(plain, reconstruction=errors), space)
    assert set(found) - set(without) == {"reconstruction"}
    assert found["reconstruction"].argmax() == errors.argmin()  # what is drawn well looks known


@pytest.mark.parametrize("decimals", [1, 8])
def test_auroc_and_fpr_agree_with_scikit_learn_ties_included(decimals: int) -> None:
    rng = RNG(0)
    inside, outside = rng.normal(1.5, 1, 233).round(decimals), rng.normal(0, 1, 150).round(decimals)
    known = np.r_[np.ones(233), np.zeros(150)]
    found = ood.separation(inside, outside, 0.95, 100, rng)
    fpr, tpr, _ = sk.roc_curve(known, np.r_[inside, outside], drop_intermediate=False)
    assert found["auroc"]["value"] == pytest.approx(sk.roc_auc_score(known, np.r_[inside, outside]), abs=1e-6)
    assert found["fpr95"]["value"] == pytest.approx(fpr[tpr >= 0.95].min(), abs=1e-6)


@pytest.mark.long
def test_intervals_are_those_of_the_plain_bootstrap() -> None:
    rng = RNG(0)
    inside, outside = rng.normal(1.5, 1, 200), rng.normal(0, 1, 120)
    found = ood.separation(inside, outside, 0.95, 2000, rng)
    known, plain = np.r_[np.ones(200), np.zeros(120)], []
    for _ in range(500):
        score = np.r_[rng.choice(inside, 200), rng.choice(outside, 120)]
        fpr, tpr, _ = sk.roc_curve(known, score, drop_intermediate=False)
        plain.append((sk.roc_auc_score(known, score), fpr[tpr >= 0.95].min()))
    ends = np.quantile(plain, [0.025, 0.975], axis=0)
    assert (found["auroc"]["low"], found["auroc"]["high"]) == pytest.approx(ends[:, 0], abs=0.01)
    assert (found["fpr95"]["low"], found["fpr95"]["high"]) == pytest.approx(ends[:, 1], abs=0.05)


def test_a_perfect_separation_does_not_claim_certainty() -> None:
    found = ood.separation(np.arange(10.0) + 10, np.arange(5.0), 0.95, 200, RNG(0))
    assert found["auroc"]["value"] == 1 and found["auroc"]["low"] < 0.8
    assert found["fpr95"]["value"] == 0 == found["fpr95"]["low"] and found["fpr95"]["high"] > 0.4


def test_equal_scores_tell_nothing() -> None:
    found = ood.separation(np.ones(30), np.ones(20), 0.95, 100, RNG(0))
    assert found["auroc"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert found["fpr95"]["value"] == 1


def test_the_section_names_the_best_score_and_each_class() -> None:
    inside = {"max_softmax": np.arange(40.0), "knn": np.arange(40.0) + 30}
    outside = {"max_softmax": np.arange(20.0), "knn": np.r_[np.arange(10.0), np.full(10, 50.0)]}
    classes = ["Lake"] * 10 + ["Forest"] * 10
    found = ood.section(inside, outside, classes, SETTINGS)
    assert found is not None
    assert (found["n"], found["classes"], found["best"]) == (20, {"Forest": 10, "Lake": 10}, "max_softmax")
    areas = {name: found["scores"][name]["auroc"]["value"] for name in inside}
    assert areas["max_softmax"] > areas["knn"]
    assert set(found["by_class"]) == {"Forest", "Lake"}
    assert found["by_class"]["Lake"]["value"] > found["by_class"]["Forest"]["value"]
    assert found == ood.section(inside, outside, classes, SETTINGS)


def test_without_tiles_kept_aside_there_is_no_section() -> None:
    none = {"knn": np.empty(0)}
    assert ood.section({"knn": np.ones(3)}, none, [], SETTINGS) is None


def test_little_to_refer_to_gives_finite_scores() -> None:
    """One tile a label leaves no covariance; features that never vary none in their direction."""
    for reference, targets in (
        (features(3)[0], np.arange(3)),
        (np.hstack([features(60)[0], np.zeros((60, 5), np.float32)]), features(60)[1]),
        (np.zeros((30, 4), np.float32), np.arange(30) % 3),
    ):
        plain = answers(reference, targets)
        found = ood.scores(plain, ood.Reference.fit(plain))
        assert all(np.isfinite(values).all() for values in found.values())


def test_values_that_are_no_numbers_are_refused() -> None:
    reference, targets = features(30)
    plain = answers(reference, targets)
    space = ood.Reference.fit(plain)
    broken = reference.copy()
    broken[4, 2] = np.nan
    for call in (
        lambda: ood.Reference.fit(answers(broken, targets, reference)),
        lambda: ood.Reference.fit(answers(reference, targets, broken)),
        lambda: ood.scores(answers(broken, targets, reference), space),
        lambda: ood.scores(answers(reference, targets, broken), space),
        lambda: ood.scores(replace(plain, logits=plain.logits + np.float32(np.inf)), space),
    ):
        with pytest.raises(UserError, match="not numbers"):
            call()
