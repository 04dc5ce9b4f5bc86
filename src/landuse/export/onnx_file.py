"""The trained network as one ONNX file, and the proof that it answers as the network does.

In: ``pixels`` (N, H, W, C), raw values in the dtype of the tile store. Out: ``probabilities`` (N, classes)
float32. Views, resizing, normalisation, all members, temperature and softmax are inside, so nobody can forget them. The
bytes depend on the model and the library versions alone: names of source files and stack traces are taken out.
"""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import Tensor, nn
from tqdm import tqdm

from landuse.core.errors import UserError
from landuse.prediction.predictor import Predictor, calibrated
from landuse.spec.answers import pool
from landuse.spec.model import ModelSpec
from landuse.spec.scaling import Scaling

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # torch.onnx colours its messages, terminal or not
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Parity:
    """How two sets of answers to the same tiles differ: tiles with another class, largest probability difference."""

    differing: int
    largest_difference: float


class _Deployed(nn.Module):
    """(N, H, W, C) pixels as stored -> (N, classes) probabilities."""

    def __init__(self, predictor: Predictor, scaling: Scaling) -> None:
        super().__init__()
        self.predictor, self.scaling = predictor, scaling

    def forward(self, pixels: Tensor) -> Tensor:
        every = self.predictor(pixels.permute(0, 3, 1, 2).float())
        return calibrated(pool(every, torch.logsumexp), self.scaling)


def export(predictor: Predictor, spec: ModelSpec, scaling: Scaling, opset: int) -> bytes:
    """Return the content of the ONNX file of a predictor on the CPU, which is left in eval mode.

    Its metadata properties: classes and bands (JSON lists, in order), units, identity and data_digest.

    spec: of the first member.

    Raises:
        UserError: the exporter cannot express this backbone, or not in this opset.
    """
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise _refused_opset(opset, f"the installed onnx does not know (its last is {newest})")
    example = torch.zeros((2, spec.tile_size, spec.tile_size, len(spec.bands)), dtype=getattr(torch, spec.dtype))
    try:
        with _quiet():
            program = torch.onnx.export(
                _Deployed(predictor, scaling).eval(),
                (example,),
                dynamo=True,
                external_data=False,
                dynamic_shapes={"pixels": {0: torch.export.Dim("N")}},
                input_names=["pixels"],
                output_names=["probabilities"],
                opset_version=opset,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            f"{spec.backbone} has no ONNX form (torch.onnx: {_first_line(error)}): choose another model.backbone"
        ) from error
    assert program is not None
    proto = program.model_proto
    if _opset(proto) != opset:  # the exporter keeps its own opset when it cannot convert, and only logs it
        raise _refused_opset(opset, "torch.onnx cannot write")
    _strip(proto)
    properties = {
        "bands": json.dumps(spec.bands),
        "classes": json.dumps(spec.classes),
        "data_digest": spec.data_digest,
        "identity": spec.identity,
        "units": spec.units,
    }
    onnx.helper.set_model_props(proto, properties)
    onnx.checker.check_model(proto, full_check=True)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def predict(content: bytes, images: npt.NDArray[Any], rows: npt.NDArray[np.int64], batch_size: int) -> Probabilities:
    """Run an ONNX file on the CPU.

    images: (N, H, W, C) of the whole store. rows: (n,) of the tiles to predict.

    Returns:
        (n, classes) float32.

    Raises:
        UserError: the installed onnxruntime does not know the file's opset.
    """
    session = _session(content)
    starts = tqdm(
        range(0, len(rows), batch_size), desc=f"onnx, batch {batch_size}", unit="batch", disable=None, leave=False
    )
    parts = [session.run(None, {"pixels": images[rows[start : start + batch_size]]})[0] for start in starts]
    return np.concatenate(parts)


def compare(ours: Probabilities, reference: Probabilities) -> Parity:
    """Compare two (n, classes) arrays of probabilities; a NaN on either side makes the difference NaN."""
    differing = int((ours.argmax(axis=1) != reference.argmax(axis=1)).sum())
    return Parity(differing, float(f"{np.abs(ours - reference).max():.2e}"))


def _session(content: bytes) -> Any:
    onnxruntime.disable_telemetry_events()  # its Windows packages have it on
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # obeys OMP_NUM_THREADS, which onnxruntime does not
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
        if "opset" not in str(error):
            raise
        raise _refused_opset(_opset(onnx.load_from_string(content)), "the installed onnxruntime cannot run") from error


def _refused_opset(opset: int, who: str) -> UserError:
    return UserError(f"export.opset is {opset}, which {who}: use a lower one, -S export.opset=20 for instance")


def _opset(proto: Any) -> int:
    return next(int(entry.version) for entry in proto.opset_import if not entry.domain)


def _strip(message: Any) -> None:
    """Remove notes at every depth: the exporter leaves stack traces there, with the paths of this machine."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip(part)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep tracebacks and printed graphs from standing before what ``export`` itself says in one line."""
    loggers = [logging.getLogger(name) for name in ("onnxscript.version_converter", "torch.fx.experimental")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    plain = _COLOURS.sub("", str(error))
    return next((line.strip() for line in plain.splitlines() if line.strip()), type(error).__name__)
