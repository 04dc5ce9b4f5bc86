"""Views, members and their pooling: the mean probability, exactly, whatever the shape it comes in."""

import itertools

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax
from torch import Tensor
from trained import network, pixels, spec

from landuse import params
from landuse.model.classifier import Classifier
from landuse.prediction.predictor import predict, seen
from landuse.spec.answers import Answers, pool
from landuse.training import augment
from landuse.training.frozen.views import views as views_of

CPU = torch.device("cpu")
SPEC = spec()
IMAGES = pixels(SPEC, 90)


def members() -> list[Classifier]:
    """Two networks of other kinds, for the same tiles."""
    return [network(SPEC), network(spec("cnn_54k", head={"hidden": None, "dropout": 0.0}))]


def asked(networks: list[Classifier], views: int, rows: np.ndarray, images: np.ndarray = IMAGES) -> Answers:
    return predict(networks, views, images, rows, np.zeros_like(rows), CPU)


def given(rows: np.ndarray) -> Tensor:
    return torch.from_numpy(IMAGES[rows]).permute(0, 3, 1, 2).float()


def test_views_are_the_eight_symmetries_the_tile_itself_first() -> None:
    tile = torch.arange(48.0).view(1, 3, 4, 4)
    views = seen(tile, 8).split(1)
    assert torch.equal(views[0], tile)
    turned = [x.rot90(k, (2, 3)) for x in (tile, tile.flip(3)) for k in range(4)]
    as_sets = [{tuple(view.flatten().tolist()) for view in of} for of in (views, turned)]
    assert as_sets[0] == as_sets[1]
    assert len(as_sets[0]) == 8


def test_views_are_those_of_training() -> None:
    tile = torch.arange(48).to(torch.uint8).view(1, 3, 4, 4)
    flips = views_of(params.Augment(dihedral=True), None, 0)
    assert flips is not None and flips.count == 8
    numbers = flips.numbers(np.zeros(8, dtype=np.int64), np.arange(8))
    learnt = augment.apply(params.Augment(dihedral=True), tile.expand(8, 3, 4, 4), torch.from_numpy(numbers), rgb=True)
    ours = seen(tile, 8).flatten(1).tolist()
    assert sorted(ours) == sorted(learnt.to(torch.uint8).flatten(1).tolist())


def test_pooled_probabilities_are_the_mean_and_energy_the_mean_energy() -> None:
    every = np.random.default_rng(0).normal(0, 5, (50, 3, 8, 4))
    pooled = pool(every, logsumexp)
    assert np.allclose(pool(torch.from_numpy(every), torch.logsumexp).numpy(), pooled, atol=1e-12)
    assert np.allclose(softmax(pooled, axis=1), softmax(every, axis=3).mean(axis=(1, 2)), atol=1e-12)
    assert np.allclose(logsumexp(pooled, axis=1), logsumexp(every, axis=3).mean(axis=(1, 2)))


def test_a_lone_answer_is_not_touched_and_equal_answers_stay_what_they_are() -> None:
    lone = torch.randn(5, 1, 1, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pool(lone, torch.logsumexp), lone[:, 0, 0])
    assert torch.allclose(pool(lone.expand(5, 2, 8, 3), torch.logsumexp), lone[:, 0, 0], atol=1e-6)


def test_pooling_survives_extreme_logits_and_tells_of_nan() -> None:
    every = torch.tensor([[[[1e4, 0.0], [0.0, 1e4]]], [[[-1e4, -1e4], [-1e4, -1e4]]], [[[torch.nan, 0], [0, 0]]]])
    shares = pool(every, torch.logsumexp).softmax(1)
    assert np.array_equal(softmax(pool(every.numpy(), logsumexp), axis=1), shares.numpy(), equal_nan=True)
    assert shares[:2].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert shares[2].isnan().all()


def test_one_network_and_view_answers_as_the_classifier_does() -> None:
    model = network(SPEC)
    rows = np.arange(70)  # more than a batch
    answers = asked([model], 1, rows)
    with torch.inference_mode():
        logits, features = model(given(rows)).numpy(), model.features(given(rows)).numpy()
    assert np.allclose(answers.pooled(), logits, atol=1e-5)
    assert np.allclose(answers.features, features, atol=1e-5)
    assert answers.pooled().dtype == answers.features.dtype == np.float32


def test_a_network_that_pools_by_a_learnt_exponent_answers_as_the_classifier_does() -> None:
    model, rows = network(spec("test_resnet", pooling="gem")), np.arange(5)
    answers = asked([model], 1, rows)
    with torch.inference_mode():
        assert np.allclose(answers.features, model.features(given(rows)).numpy(), atol=1e-4)
    assert not np.array_equal(answers.statistics, answers.features)


def test_every_answer_is_in_its_place() -> None:
    networks = members()
    rows = np.array([5, 80, 3, 3])
    answers = asked(networks, 8, rows)
    assert answers.logits.shape == (4, 2, 8, 2)
    with torch.inference_mode():
        views = seen(given(rows), 8).split(len(rows))
        for (i, model), (j, view) in itertools.product(enumerate(networks), enumerate(views)):
            assert np.allclose(answers.logits[:, i, j], model(view).numpy(), atol=1e-4)
        assert np.allclose(answers.features, networks[0].features(given(rows)).numpy(), atol=1e-5)
    first = answers.pooled(members=slice(1), views=slice(1))
    assert np.array_equal(first, answers.logits[:, 0, 0])
    mean = softmax(answers.logits[:, 1].astype(float), axis=2).mean(axis=1)
    assert np.allclose(softmax(answers.pooled(members=slice(1, 2)), axis=1), mean, atol=1e-6)


def test_eight_views_do_not_care_how_a_tile_lies() -> None:
    turned = np.ascontiguousarray(IMAGES.swapaxes(1, 2)[:, ::-1])
    rows = np.arange(5)
    for views, same in ((8, True), (1, False)):
        answers = [asked(members(), views, rows, images).pooled() for images in (IMAGES, turned)]
        assert np.allclose(*answers, atol=1e-4) == same


def test_the_same_bits_again_and_the_networks_are_left_as_they_were() -> None:
    networks, rows = members(), np.arange(30)
    before = [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in networks]
    first, second = (asked(networks, 8, rows) for _ in range(2))
    for name in ("logits", "features", "statistics"):
        assert np.array_equal(getattr(first, name), getattr(second, name))
    for model, then in zip(networks, before, strict=True):
        assert all(torch.equal(then[name], tensor) for name, tensor in model.state_dict().items())
        assert all(parameter.requires_grad for parameter in model.parameters())
        assert not model.training and model.cut is None


def test_statistics_are_of_the_maps_at_the_ends_of_two_middle_layers() -> None:
    model, rows = network(SPEC), np.arange(70)
    answers = asked([model], 1, rows)
    expected = []
    for layer, weight in ((model.backbone.layer2, 1.0), (model.backbone.layer3, 0.7)):
        maps: list[Tensor] = []
        with layer.register_forward_hook(lambda *of, maps=maps: maps.append(of[2])), torch.inference_mode():
            model(given(rows))
        flat = maps[0].flatten(2)
        own = torch.cat([flat.mean(2), flat.std(2, correction=0)], dim=1)
        expected.append(weight * own / own.norm(dim=1, keepdim=True))
    assert np.allclose(answers.statistics, torch.cat(expected, dim=1).numpy(), atol=1e-4)


def test_a_network_without_such_maps_gives_its_features_instead() -> None:
    answers = asked(members()[1:], 1, np.arange(5))
    assert np.array_equal(answers.statistics, answers.features)


def test_each_tile_crosses_each_network_once(monkeypatch: pytest.MonkeyPatch) -> None:
    networks, crossed = members(), []
    preprocess = Classifier.preprocess
    monkeypatch.setattr(Classifier, "preprocess", lambda own, x: crossed.append(len(x)) or preprocess(own, x))
    asked(networks, 1, np.arange(90))
    assert sum(crossed) == 2 * 90


@pytest.mark.parametrize("views", [1, 8])
def test_no_tiles_give_no_answers(views: int) -> None:
    answers = asked([network(SPEC)], views, np.arange(0))
    assert answers.pooled().shape == (0, 2)
    assert answers.features.shape[0] == 0
