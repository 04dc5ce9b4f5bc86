"""The file for Deepness keeps the contract of that plugin, and answers as the model does."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from trained import TEMPERATURE, network, pixels, spec

from landuse.export import deepness, onnx_file
from landuse.prediction.predictor import Predictor
from landuse.spec.model import ModelSpec
from landuse.spec.scaling import Scaling


def exported(described: ModelSpec) -> bytes:
    predictor = Predictor([network(described)], 1, torch.device("cpu"))
    return onnx_file.export(predictor, described, Scaling(TEMPERATURE), 20)


@pytest.fixture(scope="module")
def of_13_bands() -> tuple[ModelSpec, bytes]:
    """A model of tiles of 48 pixels, and its ONNX file."""
    described = spec("test_resnet", 13, 48, 48)
    return described, exported(described)


def test_it_is_what_the_plugin_asks_for(of_13_bands: tuple[ModelSpec, bytes]) -> None:
    described, whole = of_13_bands
    content = deepness.convert(whole, described.model_copy(update={"ground_resolution": 10.0}))
    proto = onnx.load_from_string(content)
    assert [entry.version for entry in proto.opset_import if not entry.domain] == [17]
    assert proto.ir_version == 8
    session = onnxruntime.InferenceSession(content)
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.type, given.shape[1:], isinstance(given.shape[0], str)) == ("tensor(float)", [13, 48, 48], True)
    assert (answer.type, answer.shape[1:]) == ("tensor(float)", [2, 48, 48])
    told = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert told == {
        "model_type": "Segmentor",
        "class_names": {"0": "City", "1": "Farmland"},
        "resolution": 1000,
        "tile_size": 48,
        "tiles_overlap": 50,
        "standardization_mean": [0] * 13,
        "standardization_std": [1 / 255] * 13,
        "seg_thresh": 0,
        "seg_small_segment": 0,
    }


def test_every_pixel_of_a_tile_has_the_answer_to_the_tile(of_13_bands: tuple[ModelSpec, bytes]) -> None:
    assert_pixels_have_the_answer_to_their_tile(*of_13_bands)


@pytest.mark.long
def test_an_operator_newer_than_the_plugins_opset_answers_alike() -> None:
    """Gelu, which ViT has, is newer than opset 17."""
    described = spec("test_vit", 3, 64, 160)
    assert_pixels_have_the_answer_to_their_tile(described, exported(described))


def assert_pixels_have_the_answer_to_their_tile(described: ModelSpec, content: bytes) -> None:
    tiles = pixels(described, 6)
    expected = onnx_file.predict(content, tiles, np.arange(6), 6).probabilities
    converted = deepness.convert(content, described)
    maps = deepness.predict(converted, tiles)
    assert np.abs(maps - expected[:, :, None, None]).max() < 1e-5
    assert "resolution" not in onnxruntime.InferenceSession(converted).get_modelmeta().custom_metadata_map


def test_every_digital_number_gets_through_the_division_by_255() -> None:
    numbers = np.arange(2**16, dtype=np.uint16)
    divided = numbers.astype(np.float32) / np.float32(255) / np.float32(1 / 255)
    assert not np.array_equal(divided.astype(np.uint16), numbers), "cutting off would not do"
    assert np.array_equal(np.round(divided).astype(np.uint16), numbers)


def test_an_operator_that_has_no_way_down_keeps_its_opset() -> None:
    """Pad, which Swin has."""
    node = onnx.helper.make_node("Pad", ["x", "pads"], ["y"])
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "padded",
        [value("x", onnx.TensorProto.FLOAT, [1, 2])],
        [value("y", onnx.TensorProto.FLOAT, [1, 4])],
        [onnx.numpy_helper.from_array(np.array([0, 1, 0, 1]), "pads")],
    )
    proto = deepness._lowered(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]))
    assert [entry.version for entry in proto.opset_import] == [20] and proto.ir_version == 8
