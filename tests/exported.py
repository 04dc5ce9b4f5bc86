"""A model folder of a few kilobytes whose answers are known: a tile's mean brightness decides."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from landuse import sensors
from landuse.spec.model import Calibration, ModelSpec, OutOfDistribution

THRESHOLD = {"uint8": 128.0, "uint16": 1500.0}
CLASSES = ["Farmland", "City"]  # City where the mean over all bands is above the threshold


def write_model(folder: Path, bands: tuple[str, ...] = sensors.RGB, dtype: str = "uint8", size: int = 64) -> ModelSpec:
    """Write model.onnx, model.json and reference.npz. Features are the bands' means and standard deviations."""
    folder.mkdir(parents=True)
    spec = _spec(list(bands), dtype, size)
    (folder / "model.json").write_text(json.dumps(spec.model_dump()))
    onnx.save(_graph(spec), folder / "model.onnx")
    rng = np.random.default_rng(0)
    level = THRESHOLD[dtype] * rng.uniform(0.3, 1.7, (200, 1))
    features = np.hstack([level * rng.uniform(0.9, 1.1, (200, len(bands))), level * 0.1 * np.ones((200, len(bands)))])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    np.savez(folder / "reference.npz", features=features.astype(np.float32))
    return spec


def _spec(bands: list[str], dtype: str, size: int) -> ModelSpec:
    top = THRESHOLD[dtype]
    calibration = Calibration(
        temperature=1.0, power=1.0, reason="a test", coverage=0.95, abstention_threshold=0.6, conformal_method="lac",
        conformal_coverage=0.99, conformal_quantile=0.9, views=1, members=[],
    )  # fmt: skip
    return ModelSpec(
        version=3, backbone="tiny", stem="standard", pooling="avg", head={}, classes=CLASSES, bands=bands,
        units=sensors.RGB_UNITS if dtype == "uint8" else sensors.UNITS,
        radiometric_offset=None if dtype == "uint8" else 0, dtype=dtype, tile_size=size, ground_resolution=10.0,
        calibration=calibration, input_size=size, mean=[top] * len(bands), std=[top / 3] * len(bands), source="test",
        data_licence="MIT", weights="none", data_digest="d" * 64, params_digest="b" * 64, identity="1" * 64, params={},
        limits=[(top * 0.2, top * 1.9)] * len(bands), confusion=[[90, 10], [6, 94]],
        confusion_sure=[[95, 5], [2, 98]],
        ood=OutOfDistribution(neighbours=10, limit=0.2),
    )  # fmt: skip


def _graph(spec: ModelSpec) -> onnx.ModelProto:
    count, top = len(spec.bands), THRESHOLD[spec.dtype]
    pixels = {"uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16}[spec.dtype]
    weights = np.array([[0.0, 12 / (top * count)]] * count, dtype=np.float32)
    constants = {"weights": weights, "bias": np.array([0.0, -12.0], dtype=np.float32), "hw": np.array([1, 2])}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "hw"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["x", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "centred"], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "hw"], ["variance"], keepdims=0),
        helper.make_node("Sqrt", ["variance"], ["std"]),
        helper.make_node("Squeeze", ["mean", "hw"], ["flat"]),
        helper.make_node("Concat", ["flat", "std"], ["features"], axis=1),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    shape = ["N", spec.tile_size, spec.tile_size, count]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", pixels, shape)],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 2]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 2 * count]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    known = {"bands": json.dumps(spec.bands), "classes": json.dumps(spec.classes), "identity": spec.identity}
    helper.set_model_props(model, known | {"units": spec.units, "data_digest": spec.data_digest})
    onnx.checker.check_model(model, full_check=True)
    return model


def write_dense(folder: Path, spec: ModelSpec, stride: int) -> None:
    """Write dense.onnx: each tile-sized window of eight tiles a side gets what ``_graph`` gives it."""
    count, top, tile = len(spec.bands), THRESHOLD[spec.dtype], spec.tile_size
    positions = 7 * tile // stride + 1
    weights = np.array([[0.0, 12 / (top * count)]] * count, dtype=np.float32)
    constants = {"weights": weights, "bias": np.array([0.0, -12.0], dtype=np.float32), "first": np.array([0])}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["maps"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["maps"], ["means"], kernel_shape=[tile] * 2, strides=[stride] * 2),
        helper.make_node("Transpose", ["means"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Squeeze", ["last", "first"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=2),
    ]
    pixels = {"uint8": TensorProto.UINT8, "uint16": TensorProto.UINT16}[spec.dtype]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", pixels, [1, 8 * tile, 8 * tile, count])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [positions, positions, 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {"identity": spec.identity})
    onnx.save(model, folder / "dense.onnx")
