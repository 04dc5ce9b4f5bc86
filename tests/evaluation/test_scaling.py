"""Scaling of logits against torch, on cases with a known answer, and where there is nothing to fit."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch.nn import functional as F

from landuse.core.errors import UserError
from landuse.evaluation import scaling
from landuse.evaluation.scaling import Scaling


def drawn(count: int = 2000, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a perfectly calibrated model, and targets drawn from the probabilities that it gives."""
    rng = np.random.default_rng(seed)
    logits = 3 * rng.normal(size=(count, classes))
    cumulated = softmax(logits, axis=1).cumsum(axis=1)
    return logits, np.minimum((cumulated < rng.random((count, 1))).sum(axis=1), classes - 1)


def by_torch(logits: np.ndarray, targets: np.ndarray, with_power: bool) -> tuple[float, float]:
    """The same minimum by LBFGS and automatic differentiation; label smoothing stands for the added tile."""
    gaps = torch.from_numpy(logits.max(1, keepdims=True) - logits)
    classes = logits.shape[1]
    smoothing = 0.5 / (len(logits) + 1) * classes / (classes - 1)
    at = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([at], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        grown = torch.where(gaps > 0, gaps.clamp(min=1e-300), 0) ** at[1].exp() if with_power else gaps
        loss = F.cross_entropy(-grown / at[0].exp(), torch.from_numpy(targets), label_smoothing=smoothing)
        loss.backward()
        return loss

    optimizer.step(closure)
    return float(at[0].detach().exp()), float(at[1].detach().exp())


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("scaler", ["temperature", "power"])
def test_the_minimum_is_that_of_torch(classes: int, scaler: str) -> None:
    logits, targets = drawn(800, classes)
    found = scaling.fit(0.4 * logits, targets, scaler)
    assert (found.temperature, found.power) == pytest.approx(
        by_torch(0.4 * logits, targets, scaler == "power"), abs=1e-4
    )
    assert (found.power == 1) == (scaler == "temperature")


def test_a_known_temperature_and_power_are_found_again() -> None:
    logits, targets = drawn(20_000)
    assert scaling.fit(1.7 * logits, targets, "temperature").temperature == pytest.approx(1.7, rel=0.03)
    squeezed = -((logits.max(1, keepdims=True) - logits) ** 0.5)
    found = scaling.fit(squeezed, targets, "power")
    assert (found.temperature, found.power) == (pytest.approx(1, rel=0.05), pytest.approx(2, rel=0.05))


def test_a_power_of_one_is_temperature_scaling_and_the_order_of_labels_stays() -> None:
    logits, _ = drawn(50)
    assert Scaling(2.5).log_probabilities(logits) == pytest.approx(log_softmax(logits / 2.5, axis=1))
    assert Scaling().log_probabilities(logits.astype(np.float32)) == pytest.approx(
        log_softmax(logits, axis=1), abs=1e-5
    )
    bent = Scaling(0.8, 1.6).log_probabilities(logits)
    assert np.array_equal(bent.argsort(axis=1), logits.argsort(axis=1))
    assert np.exp(bent).sum(axis=1) == pytest.approx(1)


def test_validation_without_an_error_does_not_claim_certainty() -> None:
    targets = np.arange(108) % 2
    logits = 4.0 * np.eye(2)[targets]
    found = scaling.fit(logits, targets, "temperature")
    assert np.exp(found.log_probabilities(logits)).max() == pytest.approx(1 - 0.5 / 109, abs=1e-5)
    both = scaling.fit(np.random.default_rng(0).normal(1, 0.1, (108, 1)) * logits, targets, "power")
    assert np.exp(both.log_probabilities(logits)).max() < 0.9999


def test_where_there_is_nothing_to_tell_nothing_is_scaled() -> None:
    equal = np.full((60, 3), 0.7, dtype=np.float32)
    chosen, reason = scaling.choose(equal, np.arange(60) % 3, None, 0.95, 42)
    assert chosen == Scaling() and reason.startswith("none")
    chosen, reason = scaling.choose(equal[:3], np.arange(3), None, 0.95, 42)
    assert chosen == Scaling() and "3 validation tiles are too few" in reason


def test_the_choice_is_the_simplest_that_is_no_worse() -> None:
    logits, targets = drawn()
    assert scaling.choose(logits, targets, None, 0.95, 42)[0] == Scaling()
    chosen, reason = scaling.choose(3 * logits, targets, None, 0.95, 42)
    assert chosen.temperature == pytest.approx(3, rel=0.1) and chosen.power == 1
    assert reason.startswith("temperature: NLL in parts of validation left out")
    squeezed = -((logits.max(1, keepdims=True) - logits) ** 0.5)
    assert scaling.choose(squeezed, targets, None, 0.95, 42)[0].power == pytest.approx(2, rel=0.1)
    assert scaling.choose(squeezed, targets, None, 0.95, 42) == scaling.choose(squeezed, targets, None, 0.95, 42)


def test_what_does_not_carry_over_between_regions_is_not_scaled() -> None:
    """Some regions want a lower temperature, some a higher one: a gain for strewn tiles, none for a region left out."""
    logits, targets = drawn(1500)
    region = np.arange(1500) % 5
    mixed = logits * np.array([0.5, 2.4, 0.5, 2.4, 1.3])[region][:, None]
    places = np.array([[60.0, 10], [40, 0], [45, 30], [52, -8], [35, 20]])[region]
    places += np.random.default_rng(1).normal(0, 0.3, places.shape)
    chosen, reason = scaling.choose(mixed, targets, places, 0.95, 42)
    assert chosen == Scaling() and "in regions of validation" in reason
    assert scaling.choose(mixed, targets, None, 0.95, 42)[0] != Scaling()
    unplaced = np.where(np.arange(1500)[:, None] == 7, np.nan, places)
    assert "in parts of validation" in scaling.choose(mixed, targets, unplaced, 0.95, 42)[1]


def test_85_classes_and_one_tile_of_each() -> None:
    logits, targets = drawn(85, 85)
    targets[:] = np.arange(85)
    chosen, _ = scaling.choose(logits + 4 * np.eye(85), targets, None, 0.95, 42)
    assert np.isfinite(chosen.log_probabilities(logits)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_refused(bad: float) -> None:
    logits, targets = drawn(20)
    logits[3, 1] = bad
    with pytest.raises(UserError, match="not numbers"):
        scaling.fit(logits, targets, "temperature")
    with pytest.raises(UserError, match="not numbers"):
        Scaling().log_probabilities(logits)
