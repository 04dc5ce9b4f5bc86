"""Export: what was evaluated as one ONNX file that agrees with it, its description and its model card."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from landuse import params, tracking
from landuse.core import results
from landuse.core.errors import UserError
from landuse.core.files import atomic, write_json, write_text
from landuse.core.outputs import read_json
from landuse.export import card, onnx_file
from landuse.prediction import CALIBRATION, members
from landuse.prediction.predictor import Predictor, calibrated, predict
from landuse.tiles.split import labels_of, read_split
from landuse.tiles.store import TileStore, open_store

FOLDER = Path("models/export")
REPORT = Path("reports/export.json")
_MEASURED: dict[str, type] = {  # what the card tells of earlier stages
    "reports/split.json": results.Split,
    "metrics/train.json": results.Train,
    "reports/evaluate.json": results.Evaluate,
}
_BATCH_SIZES = (1, 37)  # one tile, as a service gets it; and a number that no shape in a network divides


def run(p: params.Params) -> None:
    """Write models/export (model.onnx, model.json, MODEL_CARD.md) and reports/export.json.

    Raises:
        UserError: a tile of the test split gets another class from the ONNX file than from the network, or a
            probability differs by ``export.tolerance`` or more. Nothing is written then.
    """
    store = open_store()
    split = read_split(store)
    measured, calibration = read_results()
    rows = split.loc[split["split"] == "test", "row"].to_numpy(copy=True)
    if not len(rows):
        raise UserError("the test split has no tile: change split.fractions or split.method")
    found = members.load(p.ensemble.members)
    if [member.facts() for member in found] != calibration["members"]:
        raise UserError(
            f"{CALIBRATION} is of another model or ensemble than models/model: run 'dvc repro evaluate' first"
        )
    members.refuse_other_tiles(found[0].spec, labels_of(split), store.info)
    tracking.check("export")
    spec, predictor = found[0].spec, Predictor([member.model for member in found], calibration["views"])
    scaling = calibration["temperature"], calibration["power"]
    content = onnx_file.export(predictor, spec, *scaling, p.export.opset)
    parity = _check(content, predictor, scaling, store, rows, p.export.tolerance)
    report = {
        "opset": p.export.opset,
        "bytes": len(content),
        "tiles": len(rows),
        "parity": {f"batch_{size}": asdict(found) for size, found in parity.items()},
    }
    with atomic(FOLDER) as part:
        part.mkdir()
        (part / "model.onnx").write_bytes(content)
        write_json(part / "model.json", spec.model_dump() | {"calibration": calibration})
        write_text(
            part / "MODEL_CARD.md", card.render(spec, calibration, store.info, split, measured | {"export": report})
        )
    write_json(REPORT, report)
    tracking.track("export", log_model=p.runtime.log_model)
    worst = max(found.largest_difference for found in parity.values())
    print(
        f"{FOLDER / 'model.onnx'}: {len(content) / 1e6:.1f} MB, opset {p.export.opset}; "
        f"same class as the network for all {len(rows):,} test tiles, largest probability difference {worst:.1e}"
    )


def read_results() -> tuple[dict[str, Any], results.Calibration]:
    """Return what earlier stages measured, by stage, and the calibration."""
    measured = {Path(file): shape for file, shape in _MEASURED.items()}
    found: dict[str, Any] = {file.stem: read_json(file, file.stem, shape) for file, shape in measured.items()}
    return found, read_json(CALIBRATION, "evaluate", results.Calibration)


def _check(
    content: bytes,
    predictor: Predictor,
    scaling: tuple[float, float],
    store: TileStore,
    rows: npt.NDArray[np.int64],
    tolerance: float,
) -> dict[int, onnx_file.Parity]:
    """Compare ONNX file and network on the test tiles, at every batch size."""
    logits = torch.from_numpy(predict(predictor, store.images, rows, torch.device("cpu")).logits())
    reference = calibrated(logits, *scaling).numpy()
    found = {
        size: onnx_file.compare(onnx_file.predict(content, store.images, rows, size), reference)
        for size in _BATCH_SIZES
    }
    for size, parity in found.items():
        if parity.differing or not parity.largest_difference < tolerance:  # NaN is no agreement
            raise UserError(
                f"the ONNX file does not agree with the network at batch {size}: another class for "
                f"{parity.differing} of {len(rows)} test tiles, largest probability difference "
                f"{parity.largest_difference:.2e} (export.tolerance {tolerance:.0e}): try another -S export.opset"
            )
    return found
