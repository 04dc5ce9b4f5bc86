"""The network in 8-bit integers, if it is worth it: measured beside float32 on this machine.

Weights and maps are quantised after training (QDQ, static, a scale a channel), the ranges of the maps taken from
validation tiles. Preprocessing, the statistics of middle stages, calibration and softmax stay float32; the reference
for the out-of-distribution score is made anew from what the int8 network says of the validation tiles.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from landuse.export import onnx_file
from landuse.export.onnx_file import Exported
from landuse.spec.answers import Answers

_QUANTISED = ["Conv", "MatMul", "Gemm", "Add", "Clip", "Relu"]  # without the last three it is hardly faster
_FASTER, _LOST = 1.3, 0.001  # int8 is shipped if at least so many times as fast, and at most this accuracy is lost
_CALIBRATED, _TIMED, _BATCH, _PASSES = 512, 512, 64, 5


def choose(wide: Exported, images: npt.NDArray[Any], val: Answers, test: Answers) -> tuple[Exported, dict[str, Any]]:
    """Return the file to ship, and the measurements: what metrics/export.json says of both, by precision.

    wide: in float32. images: of the whole store. val: the ranges of the maps are of these tiles. test: the accuracy is.
    """
    content = _quantised(wide.content, images[val.rows[:: max(1, len(val) // _CALIBRATED)]])
    small = Exported(content, "int8", *(onnx_file.predict(content, images, part.rows, _BATCH) for part in (val, test)))
    both = (wide, small)
    fast = _speeds([each.content for each in both], images[test.rows[:_TIMED]])
    right = [float((each.test.probabilities.argmax(axis=1) == test.targets).mean()) for each in both]
    measured: dict[str, Any] = {
        each.precision: {"accuracy": accuracy, "tiles_per_second": round(speed), "bytes": len(each.content)}
        for each, accuracy, speed in zip(both, right, fast, strict=True)
    }
    worth = fast[1] >= _FASTER * fast[0] and right[1] >= right[0] - _LOST
    return both[worth], measured


def _quantised(content: bytes, tiles: npt.NDArray[Any]) -> bytes:
    """Return an ONNX file in int8. content: of the file in float32. tiles: (n, H, W, C), which give the ranges."""
    proto = onnx.load_from_string(content)
    known = {entry.key: entry.value for entry in proto.metadata_props}
    add_pre_process_metadata(proto)  # folding and shapes are there; without this mark it would ask for them
    with TemporaryDirectory() as folder:
        file = Path(folder, "int8.onnx")
        quantize_static(
            proto, file, _Reader(tiles), quant_format=QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=_QUANTISED, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
        made = onnx.load(file)
    made.ClearField("metadata_props")
    onnx.helper.set_model_props(made, known)
    small: bytes = made.SerializeToString(deterministic=True)
    return small


def _speeds(contents: list[bytes], tiles: npt.NDArray[Any]) -> list[float]:
    """Tiles a second of each file: of several passes over the same tiles, taken in turns, the fastest."""
    sessions = [onnx_file.session(content) for content in contents]
    best = [np.inf] * len(sessions)
    for _ in range(_PASSES):
        for number, session in enumerate(sessions):
            began = time.perf_counter()
            for start in range(0, len(tiles), _BATCH):
                session.run(onnx_file.OUTPUTS, {"pixels": tiles[start : start + _BATCH]})
            best[number] = min(best[number], time.perf_counter() - began)
    return [len(tiles) / seconds for seconds in best]


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Gives tiles, (n, H, W, C), in batches."""

    def __init__(self, tiles: npt.NDArray[Any]) -> None:
        self.batches = iter([tiles[start : start + _BATCH] for start in range(0, len(tiles), _BATCH)])

    def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"pixels": batch}
