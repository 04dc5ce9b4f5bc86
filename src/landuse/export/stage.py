"""The stage export: what was evaluated as one ONNX file that agrees with it, and its description."""

from typing import Any

import numpy as np

from landuse import params, tracking
from landuse.core.errors import UserError
from landuse.core.files import atomic, write_json
from landuse.core.paths import ANSWERS, CALIBRATION, EXPORT, EXPORT_REPORT
from landuse.export import onnx_file
from landuse.prediction import members
from landuse.prediction.predictor import Predictor
from landuse.spec.answers import Answers
from landuse.spec.model import Calibration
from landuse.tiles.store import TileStore, open_store

_BATCH_SIZES = (1, 37)  # one tile, as a service gets it; and a number that no shape in a network divides
_ALONE = 100  # tiles that come one by one


def run(p: params.Params) -> None:
    """Write models/export (model.onnx, model.json) and reports/export.json.

    Raises:
        UserError: a tile of the test split gets another class from the ONNX file than from the network, or a
            probability differs by ``export.tolerance`` or more. Nothing is written then.
    """
    store = open_store()
    calibration, test = Calibration.read(CALIBRATION, "evaluate"), Answers.load(ANSWERS / "test.npz", len(store.images))
    found = members.load(p.ensemble.members)
    if [member.facts() for member in found] != calibration.members:
        raise UserError(
            f"{CALIBRATION} is of another model or ensemble than models/model: run 'dvc repro evaluate' first"
        )
    tracking.check("export")
    spec, predictor = found[0].spec, Predictor([member.model for member in found], calibration.views)
    content = onnx_file.export(predictor, spec, calibration.scaling, p.export.opset)
    parity = _check(content, test, calibration, store, p.export.tolerance)
    with atomic(EXPORT / "model.onnx") as part:
        part.write_bytes(content)
    write_json(EXPORT / "model.json", spec.model_copy(update={"calibration": calibration}).model_dump())
    write_json(EXPORT_REPORT, {"opset": p.export.opset, "bytes": len(content), "tiles": len(test), "parity": parity})
    tracking.track("export")
    worst = max(measured["largest_difference"] for measured in parity.values())
    print(
        f"{EXPORT / 'model.onnx'}: {len(content) / 1e6:.1f} MB, opset {p.export.opset}; "
        f"same class as the network for all {len(test):,} test tiles, largest probability difference {worst:.1e}"
    )


def _check(
    content: bytes, test: Answers, calibration: Calibration, store: TileStore, tolerance: float
) -> dict[str, dict[str, Any]]:
    """Compare the answers of the ONNX file to the test tiles with those that were evaluated: some tiles a batch size.

    Raises:
        UserError: they differ.
    """
    reference = np.exp(calibration.scaling.log_probabilities(test.pooled())).astype(np.float32)
    found = {}
    for size, own in zip(_BATCH_SIZES, np.split(np.arange(len(test)), [min(_ALONE, len(test) // 2)]), strict=True):
        parity = onnx_file.compare(onnx_file.predict(content, store.images, test.rows[own], size), reference[own])
        if parity.differing or not parity.largest_difference < tolerance:  # NaN is no agreement
            raise UserError(
                f"the ONNX file does not agree with the network at batch {size}: another class for "
                f"{parity.differing} of {len(own)} test tiles, largest probability difference "
                f"{parity.largest_difference:.2e} (export.tolerance {tolerance:.0e}): try another -S export.opset"
            )
        found[f"batch_{size}"] = {"tiles": len(own), "largest_difference": parity.largest_difference, "differing": 0}
    return found
