"""Indices computed from stored bands: against their formulas, in the network and in the exported file."""

import numpy as np
import onnxruntime
import pytest
import torch
from trained import network, pixels, spec

from landuse import sensors
from landuse.core.formulas import limits, read
from landuse.export import onnx_file
from landuse.model.channels import Channels
from landuse.prediction.predictor import Predictor
from landuse.spec.model import ModelSpec
from landuse.spec.scaling import Scaling

CHOSEN = sensors.choose(["B04", "NDVI", "BSI", "MNDWI"])
BANDS = list(CHOSEN.bands)
assert CHOSEN.channels is not None
CHANNELS = list(CHOSEN.channels)


def described() -> ModelSpec:
    some = spec(bands=13, channels=CHANNELS, mean=[1500.0, 0.2, 0.0, 0.0], std=[700.0, 0.3, 0.3, 0.3])
    return some.model_copy(update={"bands": BANDS})


def formulas(tiles: np.ndarray, offset: float = 0) -> np.ndarray:
    """(n, 4, H, W) of (n, H, W, bands), as the literature writes them, of reflectance."""
    of = {name: (tiles[..., at] + offset) / 10_000 for at, name in enumerate(BANDS)}
    red, nir, blue, swir, green = (of[name].astype(float) for name in ("B04", "B08", "B02", "B11", "B03"))
    ndvi = (nir - red) / (nir + red)
    bsi = ((swir + red) - (nir + blue)) / ((swir + red) + (nir + blue))
    return np.stack([tiles[..., BANDS.index("B04")], ndvi, bsi, (green - swir) / (green + swir)], axis=1)


@pytest.mark.parametrize("offset", [0, -100])
def test_indices_are_those_of_the_literature(offset: float) -> None:
    tiles = np.random.default_rng(1).integers(300, 5000, (3, 8, 8, len(BANDS))).astype(np.float32)
    made = Channels(BANDS, CHANNELS, offset)(torch.from_numpy(tiles).permute(0, 3, 1, 2))
    np.testing.assert_allclose(made.numpy(), formulas(tiles, offset), rtol=1e-5, atol=1e-6)


def test_no_light_gives_a_number() -> None:
    assert not Channels(BANDS, CHANNELS, 0)(torch.zeros(1, len(BANDS), 4, 4)).any()
    negative = Channels(BANDS, CHANNELS, -1000)(torch.ones(1, len(BANDS), 4, 4))
    assert negative.abs().max() <= 1


@pytest.mark.long
def test_the_exported_file_takes_bands_and_computes_the_indices_itself() -> None:
    model = network(described())
    assert not any("channels" in name for name in model.state_dict())
    predictor, tiles = Predictor([model], 1, torch.device("cpu")), pixels(described(), 6)
    content = onnx_file.export(predictor, described(), Scaling(), 20)
    session = onnxruntime.InferenceSession(content)
    assert session.get_inputs()[0].shape[1:] == [32, 32, len(BANDS)]
    found, _ = session.run(None, {"pixels": tiles})
    seen = torch.from_numpy(((formulas(tiles) - np.reshape(described().mean, (4, 1, 1))) / 0.3).astype(np.float32))
    seen[:, 0] *= 0.3 / 700
    with torch.no_grad():
        expected = torch.softmax(model.head(model.backbone(seen)), dim=1).numpy()
    assert np.abs(found - expected).max() < 1e-4
    assert np.ptp(expected[:, 0]) > 0.1


def test_an_index_of_the_catalogue_stays_within_its_limits() -> None:
    chosen = sensors.choose(["EVI", "VARI", "AVI", "CSIwoSWIR"])  # the last is a band by another name
    assert chosen.channels is not None
    tiles = np.random.default_rng(2).integers(1, 4000, (1, 8, 8, len(chosen.bands))).astype(np.float32)
    tiles[:, :2] = 1000
    tiles[:, 0, :, chosen.bands.index("B02")] = 2000  # VARI is 0 / 0
    tiles[:, 1, :, chosen.bands.index("B04")] = 2000  # AVI is a root of less than 0,
    tiles[:, 1, :, chosen.bands.index("B02")] = 3000  # VARI something / 0
    made = Channels(chosen.bands, chosen.channels, 0)(torch.from_numpy(tiles).permute(0, 3, 1, 2)).numpy()
    reflectance = {name: tiles[..., at].astype(float) / 10_000 for at, name in enumerate(chosen.bands)}
    for at, (_, formula) in enumerate(chosen.channels[:3]):
        with np.errstate(all="ignore"):
            exact = np.nan_to_num(read(formula)(reflectance))
        np.testing.assert_allclose(made[:, at], exact.clip(*limits(formula)), rtol=1e-3, atol=1e-5)
    low, _ = limits(chosen.channels[1][1])
    assert (made[0, 1, 0] == 0).all() and (made[0, 1, 1] == np.float32(low)).all() and (made[0, 2, 1] == 0).all()
    np.testing.assert_array_equal(made[:, 3], tiles[..., chosen.bands.index("B08")])
