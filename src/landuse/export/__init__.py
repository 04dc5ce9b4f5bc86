"""Export: what was evaluated as one ONNX file that agrees with it, its description and its model card."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from landuse import params, tracking
from landuse.errors import UserError
from landuse.export import card, onnx_file
from landuse.files import atomic, write_json, write_text
from landuse.prediction import CALIBRATION, members
from landuse.prediction.predictor import Predictor, calibrated, predict
from landuse.splits import read_split
from landuse.tiles import TileStore, open_store

FOLDER = Path("models/export")
REPORT = Path("reports/export.json")
_RESULTS = {"split": "reports", "train": "metrics", "evaluate": "reports"}  # what the card tells of earlier stages
_BATCH_SIZES = (1, 37)  # one tile, as a service gets it; and a number that no shape in a network divides


def run(p: params.Params) -> None:
    """Write models/export (model.onnx, model.json, MODEL_CARD.md) and reports/export.json.

    Raises:
        UserError: a tile of the test split gets another class from the ONNX file than from the network, or a
            probability differs by ``export.tolerance`` or more. Nothing is written then.
    """
    store, split = open_store(), read_split()
    results = {stage: _read(Path(folder, f"{stage}.json"), stage) for stage, folder in _RESULTS.items()}
    calibration = _read(CALIBRATION, "evaluate")
    rows = split.loc[split["split"] == "test", "row"].to_numpy(copy=True)
    if not len(rows):
        raise UserError("the test split has no tile: change split.fractions or split.method")
    found = members.load(p.ensemble.members)
    if [member.facts() for member in found] != calibration["members"]:
        raise UserError(f"{CALIBRATION} is of another model or ensemble: run 'dvc repro evaluate' first")
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
        write_json(part / "model.json", asdict(spec) | {"calibration": calibration})
        results |= {"export": report}
        write_text(part / "MODEL_CARD.md", card.render(spec, calibration, store.info, split, results))
    write_json(REPORT, report)
    tracking.track("export", log_model=p.export.log_model)
    worst = max(found.largest_difference for found in parity.values())
    print(
        f"{FOLDER / 'model.onnx'}: {len(content) / 1e6:.1f} MB, opset {p.export.opset}; "
        f"same class as the network for all {len(rows):,} test tiles, largest probability difference {worst:.1e}"
    )


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


def _read(file: Path, stage: str) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"no {file}: run 'dvc repro {stage}' first")
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
