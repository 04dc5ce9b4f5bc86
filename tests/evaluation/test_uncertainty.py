"""What is fitted on validation tiles and measured on test tiles: the whole, and the bad input it must bear."""

import json

import numpy as np
import pytest
from conftest import DEFAULTS

from landuse import params
from landuse.core.errors import UserError
from landuse.evaluation import uncertainty
from landuse.evaluation.scaling import Scaling
from landuse.spec.model import Network

SETTINGS = params.read(DEFAULTS / "params.yaml").evaluate
NAMES = ["a", "b", "c"]
MEMBERS: list[Network] = [{"backbone": "a", "seed": 42, "phase": None, "identity": "i", "weights": "w"}]


def part(count: int, seed: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits three times too large, as float32, and targets."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(count, classes))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = np.minimum((p.cumsum(1) < rng.random((count, 1))).sum(1), classes - 1)
    return (3 * logits).astype(np.float32), targets


def test_an_overconfident_model_is_mended_and_keeps_its_promises() -> None:
    fitted = uncertainty.fit(*part(3000, 0), SETTINGS, MEMBERS)
    assert Scaling.of(fitted) == Scaling(pytest.approx(3, rel=0.1))
    found = uncertainty.measure(*part(3000, 1), NAMES, fitted, SETTINGS)
    before, after = found["calibration"]["before"], found["calibration"]["after"]
    assert found["calibration"]["scaled"] and found["calibration"]["temperature"] == fitted.temperature
    assert after["ece"]["high"] < before["ece"]["low"] and after["ece"]["low"] == 0
    assert after["nll"]["high"] < before["nll"]["low"]
    assert after["brier"]["value"] < before["brier"]["value"]
    for name in ("abstention", "conformal"):
        assert found[name]["coverage"]["value"] == pytest.approx(found[name]["coverage_asked"], abs=0.015)
    assert found == uncertainty.measure(*part(3000, 1), NAMES, fitted, SETTINGS)


def test_it_can_be_written_and_read_again() -> None:
    fitted = uncertainty.fit(*part(50, 0), SETTINGS, MEMBERS)
    assert fitted.conformal_quantile is None  # 0.99 needs 99 tiles
    text = json.dumps(
        [fitted.model_dump(), uncertainty.measure(*part(80, 1), NAMES, fitted, SETTINGS)], allow_nan=False
    )
    assert uncertainty.Calibration(**json.loads(text)[0]) == fitted


def test_a_setting_decides_instead_of_the_data() -> None:
    plain = uncertainty.fit(*part(400, 0), SETTINGS.model_copy(update={"scaling": "none"}), MEMBERS)
    assert Scaling.of(plain) == Scaling() and plain.reason == "evaluate.scaling is none"
    found = uncertainty.measure(*part(400, 1), NAMES, plain, SETTINGS)["calibration"]
    assert not found["scaled"] and found["before"]["nll"] == found["after"]["nll"]
    bent = uncertainty.fit(*part(400, 0), SETTINGS.model_copy(update={"scaling": "power"}), MEMBERS)
    assert bent.power != 1


@pytest.mark.parametrize("classes", [2, 85])
def test_one_tile_of_each_class_and_equal_predictions(classes: int) -> None:
    names, targets = [str(i) for i in range(classes)], np.arange(classes)
    for logits in (np.zeros((classes, classes), np.float32), 5 * np.eye(classes, dtype=np.float32)):
        fitted = uncertainty.fit(logits, targets, SETTINGS, MEMBERS)
        found = uncertainty.measure(logits, targets, names, fitted, SETTINGS)
        json.dumps(found, allow_nan=False)
        assert found["conformal"]["sizes"] == {str(classes): classes}
        assert found["abstention"]["abstained"] == 0


def test_values_that_are_no_numbers_are_refused() -> None:
    logits, targets = part(50, 0)
    fitted = uncertainty.fit(logits, targets, SETTINGS, MEMBERS)
    logits[7, 2] = np.nan
    with pytest.raises(UserError, match="not numbers"):
        uncertainty.fit(logits, targets, SETTINGS, MEMBERS)
    with pytest.raises(UserError, match="not numbers"):
        uncertainty.measure(logits, targets, NAMES, fitted, SETTINGS)
