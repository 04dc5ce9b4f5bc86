"""Statistics of tiles and trees as parts of a network: what they compute, saved and exported."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small import tiles
from trained import spec

from landuse.core.errors import UserError
from landuse.export import onnx_file
from landuse.model import saved
from landuse.model.classical import QUANTILES, Statistics, Trees
from landuse.model.classifier import Classifier
from landuse.prediction.predictor import Predictor, predict
from landuse.spec.scaling import Scaling

NAMES = ("logistic", "random_forest", "gradient_boosting")
# two rounds of one tree: a stump on feature 1 at 0.5, whose left side asks feature 0 at -1; and a lone leaf
STUMPS = {
    "roots": torch.tensor([[0], [4]], dtype=torch.int32),
    "feature": torch.tensor([1, 0, 0, 0, 0], dtype=torch.int32),
    "threshold": torch.tensor([0.5, -1.0, torch.inf, torch.inf, torch.inf]),
    "child": torch.tensor([1, 4, 2, 3, 2, 2, 3, 3, 4, 4], dtype=torch.int32),
    "value": torch.tensor([[0.1, 0.4], [0.3, 0.2], [0.5, 0.0]]),
    "depth": torch.tensor([2], dtype=torch.int32),
}


def test_statistics_are_means_deviations_and_pixels_at_quantiles() -> None:
    pixels = torch.randn(3, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    found = Statistics(2)(pixels.contiguous(memory_format=torch.channels_last)).numpy().reshape(3, 7, 2)
    flat = pixels.flatten(2).numpy().astype(np.float64)
    assert np.allclose(found[:, 0], flat.mean(2), atol=1e-6)
    assert np.allclose(found[:, 1], flat.std(2), atol=1e-6)
    some = pixels[:, :, ::2, ::2].flatten(2).numpy()
    for at, q in enumerate(QUANTILES, start=2):
        assert np.array_equal(found[:, at], np.quantile(some, q, axis=2, method="nearest"))


def test_standardised_statistics_of_the_training_tiles_have_mean_0_and_deviation_1() -> None:
    statistics = Statistics(1)
    pixels = (
        torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        * torch.linspace(1, 2, 50)[:, None, None, None]
    )
    known = statistics.standardise(statistics(pixels))
    assert torch.equal(known, statistics(pixels))
    assert known.mean(0).abs().max() < 1e-5
    assert (known.std(0, correction=0) - 1).abs().max() < 1e-5


def test_a_statistic_that_all_tiles_share_is_left_as_it_is() -> None:
    statistics = Statistics(1)
    known = statistics.standardise(statistics(torch.full((4, 1, 8, 8), 0.1)))
    assert known.abs().max() < 1e-6
    assert torch.isfinite(statistics(torch.randn(2, 1, 8, 8))).all()


def test_trees_add_what_their_leaves_say() -> None:
    given = torch.tensor([[-1.0, 0.5], [-0.9, 0.5], [0.0, 0.6]])  # at a threshold a tile goes to the left
    sums, mean = Trees(mean=False), Trees(mean=True)
    sums.load_state_dict(STUMPS)
    mean.load_state_dict(STUMPS)
    expected = torch.tensor([[0.6, 0.4], [0.8, 0.2], [1.0, 0.0]])
    assert torch.allclose(sums(given), expected)
    assert torch.allclose(mean(given).softmax(1), expected, atol=1e-6)
    assert torch.isfinite(mean(given)).all()  # a probability of 0 has a logarithm all the same


def model(name: str) -> Classifier:
    torch.manual_seed(0)
    made = saved.build(spec(name, size=16, input_size=16, head={"hidden": None, "dropout": 0.0}))
    if name != "logistic":
        made.head.load_state_dict(STUMPS)
    return made.eval()


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_restored_it_answers_the_same(tmp_path: Path, name: str) -> None:
    own = spec(name, size=16, input_size=16, head={"hidden": None, "dropout": 0.0})
    saved.save(model(name), own, tmp_path / "model")
    restored, read = saved.load(tmp_path / "model")
    pixels, _ = next(tiles()[0].in_order())
    assert read == own
    assert torch.equal(restored(pixels), model(name)(pixels))


@pytest.mark.parametrize("broken", ["depth", "value"])
def test_trees_of_which_a_tensor_is_missing_are_refused(broken: str) -> None:
    with pytest.raises(RuntimeError, match=broken):
        Trees(mean=True).load_state_dict({name: of for name, of in STUMPS.items() if name != broken})


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("views", [1, 8])
def test_answers_and_the_onnx_file_agree_to_the_last_statistic(name: str, views: int) -> None:
    own, part = model(name), tiles()[0]
    answers = predict([own], views, part.images, part.rows, part.targets, part.device)
    assert answers.features.shape == (len(part.rows), 21)
    assert np.array_equal(answers.statistics, answers.features)  # there is no middle stage
    described = spec(name, size=16, input_size=16)
    content = onnx_file.export(Predictor([own], views, part.device), described, Scaling(1.3), 20)
    found = onnx_file.predict(content, part.images, part.rows, 7)
    expected = np.exp(Scaling(1.3).log_probabilities(answers.pooled()))
    assert np.array_equal(found.features, answers.features)
    assert np.abs(found.probabilities - expected).max() < 1e-6


def test_a_misspelt_name_is_told_the_right_one() -> None:
    with pytest.raises(UserError, match="did you mean 'random_forest'"):
        saved.build(spec("random_forrest"))
