"""The network for Deepness, a plugin of QGIS (0.6.5), which maps a raster layer tile by tile.

In: ``input`` (N, C, S, S) float32, as Deepness makes it: pixel values / 255, minus the mean 0, divided by the deviation
1/255, which is the pixel value again but for rounding. Out: ``classes`` (N, K, S, S), the probabilities of a tile at
each of its pixels, since Deepness shows one number a pixel for segmentation alone. Opset 17 and IR 8: it pins
onnxruntime to 1.17 or older. What it knows of the model stands in metadata properties, each JSON.
"""

import json
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter
from onnx.inliner import inline_selected_functions

from landuse.export import onnx_file
from landuse.spec.model import ModelSpec

_OPSET, _IR = 17, 8
_DEFAULTS = {"noop_with_empty_axes": 0}  # attributes that opset 17 lacks, and what they must be for that
_OVERLAP = 50  # per cent: the middle half of a tile gets its answer


def convert(content: bytes, spec: ModelSpec) -> bytes:
    """Return the content of deepness.onnx. content: of the exported model, in float32."""
    whole = onnx.load_from_string(content)
    proto = onnx.utils.Extractor(whole).extract_model(["pixels"], ["probabilities"])
    proto = _lowered(proto)
    size, bands = spec.tile_size, len(spec.bands)
    graph, stored = proto.graph, proto.graph.input[0].type.tensor_type.elem_type
    before = [
        helper.make_node("Transpose", ["input"], ["channels_last"], perm=[0, 2, 3, 1]),
        helper.make_node("Round", ["channels_last"], ["rounded"]),  # 199.99998 is no 199
        helper.make_node("Cast", ["rounded"], ["pixels"], to=stored),
    ]
    after = [
        helper.make_node("Unsqueeze", ["probabilities", "pixel_axes"], ["of_tile"]),
        helper.make_node("Tile", ["of_tile", "repeats"], ["classes"]),
    ]
    nodes = [*before, *graph.node, *after]
    constants = {"pixel_axes": [2, 3], "repeats": [1, 1, size, size]}
    graph.initializer.extend(numpy_helper.from_array(np.array(v, dtype=np.int64), k) for k, v in constants.items())
    graph.ClearField("node")
    graph.node.extend(nodes)
    for values, name, channels in ((graph.input, "input", bands), (graph.output, "classes", len(spec.classes))):
        del values[:]
        values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, size, size]))
    helper.set_model_props(proto, {key: json.dumps(value) for key, value in _properties(spec).items()})
    onnx.checker.check_model(proto, full_check=True)
    lowered: bytes = proto.SerializeToString(deterministic=True)
    return lowered


def predict(content: bytes, tiles: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """(n, H, W, C) tiles as stored -> (n, K, H, W) probabilities, by way of the numbers that Deepness would make."""
    given = (tiles.astype(np.float32) / np.float32(255) / np.float32(1 / 255)).transpose(0, 3, 1, 2)
    maps: npt.NDArray[np.float32] = onnx_file.session(content).run(["classes"], {"input": given})[0]
    return maps


def _properties(spec: ModelSpec) -> dict[str, object]:
    known: dict[str, object] = {
        "model_type": "Segmentor",
        "class_names": {str(number): name for number, name in enumerate(spec.classes)},
        "tile_size": spec.tile_size,
        "tiles_overlap": _OVERLAP,
        "standardization_mean": [0.0] * len(spec.bands),
        "standardization_std": [1 / 255] * len(spec.bands),
        "seg_thresh": 0.0,  # above it, pixels whose classes are all unlikely would become class 0
        "seg_small_segment": 0,
    }
    if spec.ground_resolution is not None:
        known["resolution"] = spec.ground_resolution * 100  # centimetres a pixel
    return known


def _lowered(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Write a model in opset 17, if that can be. What that does not know is written out in what it knows."""
    schemas = [schema for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain]
    known = {schema.name for schema in schemas if schema.since_version <= _OPSET}
    unknown = sorted({node.op_type for node in proto.graph.node} - known)
    proto = inline_selected_functions(proto, [("", name) for name in unknown], inline_schema_functions=True)
    for node in proto.graph.node:
        for attribute in [a for a in node.attribute if a.name in _DEFAULTS and a.i == _DEFAULTS[a.name]]:
            node.attribute.remove(attribute)
    with suppress(RuntimeError):  # it has no way down for Pad and a few others: onnxruntime 1.17 knows opset 20 too
        proto = version_converter.convert_version(proto, _OPSET)
    proto.ir_version = _IR
    return proto
