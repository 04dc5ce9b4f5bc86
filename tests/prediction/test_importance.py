"""A model that looks at one band owes all to it, and nothing to the others."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from landuse import sensors
from landuse.evaluation import bands
from landuse.prediction import importance, stage
from landuse.spec.model import ModelSpec

ROWS = np.arange(20, 120)


class OneBand(nn.Module):
    """Stands for the networks: the label is 1 where the third band is bright."""

    def __init__(self, *_: Any) -> None:
        super().__init__()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        bright = pixels[:, 2].mean(dim=(1, 2)) - 500
        logits = torch.stack([-bright, bright], dim=1)
        return logits[:, None, None], logits, logits


def test_a_model_of_one_band_loses_by_that_band_alone(monkeypatch: Any) -> None:
    monkeypatch.setattr(importance, "Predictor", OneBand)
    images = np.random.default_rng(0).integers(1, 1000, (120, 4, 4, 5), dtype=np.uint16)
    targets = np.arange(120) % 2
    images[..., 2] = 200 + 600 * targets[:, None, None]
    asked = (images, ROWS, 42, torch.device("cpu"))
    found = importance.permuted([], *asked)
    assert found["permuted"].shape == (5, 3, 100)
    assert (found["plain"] == targets[ROWS]).all()
    again = importance.permuted([], *asked)
    assert all((found[name] == again[name]).all() for name in found)
    settings: Any = SimpleNamespace(confidence=0.95, bootstrap=200, seed=42)
    measured = bands.section({"targets": targets[ROWS]} | found, "abcde", 2, settings)
    assert (measured["tiles"], measured["repeats"], measured["accuracy"]["value"]) == (100, 3, 1.0)
    for name, lost in measured["lost"].items():
        for metric in ("accuracy", "macro_f1"):
            low, value, high = (lost[metric][end] for end in ("low", "value", "high"))
            assert low < value < high
            if name == "c":  # a coin decides
                assert low > 0.3 and high < 0.7
            else:
                assert value == 0.0 and -0.05 < low < 0 < high < 0.05


@pytest.mark.parametrize(
    ("bands", "dtype", "rgb", "measured"),
    [
        (["B04", "B03", "B02"], "uint8", [0, 1, 2], False),
        (["B04", "B03", "B02"], "uint16", [0, 1, 2], True),
        (["B02", "B03", "B04"], "uint8", [2, 1, 0], True),
        (["B04", "B03", "B02", "B08"], "uint8", [0, 1, 2], True),
        (["B8A", "B11", "B12"], "uint8", None, True),
    ],
)
def test_bands_are_asked_about_where_they_are_not_rgb(bands: list[str], dtype: str, rgb: Any, measured: bool) -> None:
    assert stage._is_rgb(ModelSpec.model_construct(bands=bands, dtype=dtype, rgb=rgb)) == (not measured)
    assert sensors.is_rgb(bands, dtype) == (not measured)


def test_a_band_is_dealt_and_the_others_stay(monkeypatch: Any) -> None:
    seen: list[np.ndarray[Any, Any]] = []

    class Watching(OneBand):
        def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            seen.append(pixels.numpy())
            return super().forward(pixels)

    monkeypatch.setattr(importance, "Predictor", Watching)
    images = np.random.default_rng(0).integers(1, 1000, (130, 2, 2, 3), dtype=np.uint16)
    importance.permuted([], images, np.arange(130), 1, torch.device("cpu"))
    whole = np.concatenate(seen).reshape(10, 130, 3, 2, 2)  # as they are, then three deals of each band
    assert (whole[0] == np.moveaxis(images, 3, 1)).all()
    for number, dealt in enumerate(whole[1:]):
        band = number // 3
        others = [other for other in range(3) if other != band]
        assert (dealt[:, others] == whole[0][:, others]).all()
        assert (dealt[:, band] != whole[0][:, band]).any()
        assert (np.sort(dealt[:, band, 0, 0]) == np.sort(whole[0][:, band, 0, 0])).all()
