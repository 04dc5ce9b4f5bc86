"""The network over large windows: of a tile it gives the tile's answer, and it says where it cannot be made."""

import numpy as np
import onnxruntime
import pytest
import torch
from trained import TEMPERATURE, layer_bands, network, pixels, spec

from landuse.core.errors import UserError
from landuse.export import dense
from landuse.model import saved
from landuse.prediction.predictor import Predictor, calibrated
from landuse.spec.answers import pool
from landuse.spec.model import ModelSpec
from landuse.spec.scaling import Scaling

SCALING = Scaling(TEMPERATURE)
NDVI = [("B04", "B04"), ("NDVI", "(B08 - B04) / (B08 + B04)")]  # two channels of 13 bands


def predictor(described: ModelSpec, members: int = 1) -> Predictor:
    return Predictor([network(described)] * members, 1, torch.device("cpu"))


def of_tiles(networks: Predictor, tiles: np.ndarray) -> np.ndarray:
    """(n, classes) probabilities as model.onnx gives them."""
    with torch.no_grad():
        logits, *_ = networks.eval()(torch.from_numpy(tiles).permute(0, 3, 1, 2).float())
    return calibrated(pool(logits, torch.logsumexp), SCALING).numpy()


@pytest.mark.parametrize(
    ("described", "members"),
    [
        (spec(size=64, input_size=64), 1),
        (spec(bands=13, size=64, input_size=64, pooling="gem"), 2),
        (spec(bands=13, size=64, input_size=64, input_adapter="inflate", rgb=[3, 2, 1]), 1),
        (spec(bands=13, size=64, input_size=64, input_adapter="select_rgb", rgb=[3, 2, 1]), 1),
        (spec(size=64, input_size=128), 1),  # resized by the same factor
        (spec(bands=13, size=64, input_size=64, channels=NDVI, mean=[900.0, 0.2], std=[300.0, 0.3]), 1),
        pytest.param(spec("efficientnet_lite0", 3, 64, 64), 1, marks=pytest.mark.long),
    ],
)
def test_of_a_tile_it_gives_the_answer_to_the_tile(described: ModelSpec, members: int) -> None:
    networks, tiles = predictor(described, members), pixels(described, 6)
    made = dense.dense(networks, 64, SCALING)
    assert made is not None
    with torch.no_grad():
        found = [made(torch.from_numpy(tile[None]))[0, 0].numpy() for tile in tiles]
    expected = of_tiles(networks, tiles)
    assert np.ptp(expected[:, 0]) > 0.1
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.long
def test_the_file_gives_every_window_what_the_network_gives_it() -> None:
    described = spec()
    networks, tiles = predictor(described), pixels(described, 5)
    content = dense.convert(networks, described, SCALING, 20)
    session = onnxruntime.InferenceSession(content)
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.shape, given.type, answer.shape) == ([1, 256, 256, 3], "tensor(uint8)", [8, 8, 2])
    assert session.get_modelmeta().custom_metadata_map["identity"] == described.identity
    dense.check(content, networks, SCALING, tiles, 1e-4)
    with pytest.raises(UserError, match=r"dense\.onnx does not agree with the network: largest probability difference"):
        dense.check(content, networks, Scaling(2 * TEMPERATURE), tiles, 1e-4)


@pytest.mark.parametrize(
    "described",
    [
        spec("vit_tiny_patch16_224", size=32, input_size=224),  # no pooling of maps
        spec("efficientnet_b0", size=32, input_size=32),  # squeeze and excitation
        spec("resnet18", size=64, input_size=224),  # a stride of 64 / 7 pixels
        spec(bands=13, layers=layer_bands("B8A"), fusion="late"),  # two poolings
    ],
)
def test_a_network_without_dense_form_has_an_empty_file(described: ModelSpec) -> None:
    networks = Predictor([saved.build(described)], 1, torch.device("cpu"))
    assert dense.convert(networks, described, SCALING, 20) == b""
