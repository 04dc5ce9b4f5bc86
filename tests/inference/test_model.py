"""The Python interface to an exported model."""

from pathlib import Path

import numpy as np
import pytest
from exported import write_model

from landuse.core.errors import UserError
from landuse.inference import Model


@pytest.fixture
def model(tmp_path: Path) -> Model:
    write_model(tmp_path / "export")
    return Model.load(tmp_path / "export", threads=1)


def test_a_bright_tile_is_city_and_a_dark_one_farmland(model: Model) -> None:
    tiles = np.full((2, 64, 64, 3), 40, dtype=np.uint8)
    tiles[1] = 220
    answers = model.predict(tiles)
    assert answers.labels.tolist() == ["Farmland", "City"]
    assert answers.probabilities.sum(axis=1) == pytest.approx(1)
    assert not answers.abstained.any()


def test_a_tile_between_the_two_is_unsure(model: Model) -> None:
    answers = model.predict(np.full((1, 64, 64, 3), 128, dtype=np.uint8))
    assert answers.abstained[0] and answers.entropy[0] == pytest.approx(1, abs=0.01) and answers.sets[0].all()


@pytest.mark.parametrize(
    ("shape", "dtype", "told"),
    [
        ((1, 64, 64, 4), "uint8", "bands B04, B03, B02"),
        ((1, 64, 64, 3), "uint16", "takes uint8"),
        ((64, 64, 3), "uint8", "takes"),
    ],
)
def test_what_the_model_does_not_take_is_refused(model: Model, shape: tuple[int, ...], dtype: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        model.predict(np.zeros(shape, dtype=dtype))
