"""The trained network as one ONNX file, and the proof that it answers as the network does.

In: ``pixels`` (N, H, W, C), raw values in the dtype of the tile store. Out: ``probabilities`` (N, classes) float32, and
``features`` (N, F) float32, the ``statistics`` of ``Answers``, by which strangers are told. Views, resizing,
normalisation, all members, temperature and softmax are inside, so nobody can forget them. The bytes depend on the model
and the library versions alone: names of source files and stack traces are taken out.
"""

import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any, Literal, Self

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
OUTPUTS = ["probabilities", "features"]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """What an exported model gives for n tiles: probabilities (n, classes), features (n, F)."""

    probabilities: Floats
    features: Floats

    def of(self, tiles: npt.NDArray[np.int64]) -> Self:
        """Of some of the tiles, by their positions."""
        return type(self)(self.probabilities[tiles], self.features[tiles])


@dataclass(frozen=True)
class Exported:
    """An ONNX file, and what it gives for the tiles of two parts of the split."""

    content: bytes
    precision: Literal["fp32", "int8"]
    val: Outputs
    test: Outputs


@dataclass(frozen=True)
class Parity:
    """How two sets of outputs for the same tiles differ.

    differing: tiles with another class. largest_difference: of a probability. largest_feature_difference: as a share of
    the largest feature.
    """

    differing: int
    largest_difference: float
    largest_feature_difference: float


class _Deployed(nn.Module):
    """(N, H, W, C) pixels as stored -> (N, classes) probabilities, (N, F) features."""

    def __init__(self, predictor: Predictor, scaling: Scaling) -> None:
        super().__init__()
        self.predictor, self.scaling = predictor, scaling

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        logits, _, statistics = self.predictor(pixels.permute(0, 3, 1, 2).float())
        return calibrated(pool(logits, torch.logsumexp), self.scaling), statistics


def export(predictor: Predictor, spec: ModelSpec, scaling: Scaling, opset: int) -> bytes:
    """Return the content of the ONNX file of a predictor on the CPU, which is left in eval mode.

    Its metadata properties: classes and bands (JSON lists, in order), units, identity and data_digest.

    spec: of the first member.

    Raises:
        UserError: the exporter cannot express this backbone, or not in this opset.
    """
    example = torch.zeros((2, spec.tile_size, spec.tile_size, len(spec.bands)), dtype=getattr(torch, spec.dtype))
    return write(_Deployed(predictor, scaling), example, torch.export.Dim("N"), OUTPUTS, spec, opset)


def write(
    network: nn.Module, example: Tensor, batch: Any | None, outputs: list[str], spec: ModelSpec, opset: int
) -> bytes:
    """Return the content of the ONNX file of a network that takes ``pixels``, which is left in eval mode.

    batch: the dimension that their number is; None: as many as in the example. Raises as ``export`` does.
    """
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise _refused_opset(opset, f"the installed onnx does not know (its last is {newest})")
    try:
        with _quiet():
            program = torch.onnx.export(
                network.eval(),
                (example,),
                dynamo=True,
                external_data=False,
                dynamic_shapes=None if batch is None else {"pixels": {0: batch}},
                input_names=["pixels"],
                output_names=outputs,
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


def predict(content: bytes, images: npt.NDArray[Any], rows: npt.NDArray[np.int64], batch_size: int) -> Outputs:
    """Run an ONNX file on the CPU.

    images: (N, H, W, C) of the whole store. rows: (n,) of the tiles to predict.

    Raises:
        UserError: the installed onnxruntime does not know the file's opset.
    """
    run = session(content)
    starts = tqdm(
        range(0, len(rows), batch_size), desc=f"onnx, batch {batch_size}", unit="batch", disable=None, leave=False
    )
    parts = [run.run(OUTPUTS, {"pixels": images[rows[start : start + batch_size]]}) for start in starts]
    return Outputs(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def compare(ours: Outputs, reference: Outputs) -> Parity:
    """Compare outputs for the same tiles; a NaN on either side makes a difference NaN."""
    differing = int((ours.probabilities.argmax(axis=1) != reference.probabilities.argmax(axis=1)).sum())
    probability = np.abs(ours.probabilities - reference.probabilities).max()
    feature = np.abs(ours.features - reference.features).max() / max(np.abs(reference.features).max(), 1e-30)
    return Parity(differing, float(f"{probability:.2e}"), float(f"{feature:.2e}"))


def session(content: bytes) -> Any:
    """Return an onnxruntime.InferenceSession on the CPU, of as many threads as torch has."""
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
