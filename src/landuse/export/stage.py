"""The stage export: what was evaluated as one ONNX file that agrees with it, and all that belongs to its use."""

from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from landuse import params, tracking
from landuse.core.errors import UserError
from landuse.core.files import atomic, write_json
from landuse.core.paths import ANSWERS, CALIBRATION, EXPORT, EXPORT_METRICS, EXPORT_REPORT
from landuse.export import deepness, dense, int8, onnx_file, reference
from landuse.export.onnx_file import Exported, Outputs
from landuse.prediction import members
from landuse.prediction.predictor import Predictor
from landuse.spec.answers import Answers
from landuse.spec.model import VERSION, Calibration
from landuse.spec.scaling import Scaling
from landuse.tiles.split import read_split
from landuse.tiles.store import TileStore, open_store

_BATCH_SIZES = (1, 37)  # one tile, as a service gets it; and a number that no shape in a network divides
_ALONE = 100  # tiles that come one by one
_CHUNK = 256  # tiles whose pixels are in memory at once


def run(p: params.Params) -> None:
    """Write models/export (but for the model card), reports/export.json and metrics/export.json.

    Raises:
        UserError: a tile of the test split gets another class from the ONNX file than from the network, or a
            probability or feature differs by ``export.tolerance`` or more. Nothing is written then.
    """
    store = open_store()
    split, calibration = read_split(store), Calibration.read(CALIBRATION, "evaluate")
    val, test = (Answers.load(ANSWERS / f"{part}.npz", len(store.images)) for part in ("val", "test"))
    found = members.load(p.ensemble.members)
    if [member.facts() for member in found] != calibration.members:
        raise UserError(
            f"{CALIBRATION} is of another model or ensemble than models/model: run 'dvc repro evaluate' first"
        )
    tracking.check("export")
    spec = found[0].spec
    predictor = Predictor([member.model for member in found], calibration.views, torch.device("cpu"))
    content = onnx_file.export(predictor, spec, Scaling.of(calibration), p.export.opset)
    exported = Exported(content, "fp32", *(_outputs(part, calibration) for part in (val, test)))
    parity = _check(exported, test, store, p.export.tolerance)
    for_qgis = deepness.convert(content, spec)
    _check_deepness(for_qgis, exported, test, store, p.export.tolerance)
    large = dense.convert(predictor, spec, Scaling.of(calibration), p.export.opset)
    some = store.images[test.rows[: dense.TILES**2]]
    dense.check(large, predictor, Scaling.of(calibration), some, p.export.tolerance)
    auto = p.export.int8 == "auto"
    chosen, measured = int8.choose(exported, store.images, val, test) if auto else (exported, {})
    compared_with, ood = reference.make(chosen.val, val.targets)
    likeliest = chosen.test.probabilities.argmax(axis=1)
    sure = chosen.test.probabilities.max(axis=1).astype(np.float64) >= calibration.abstention_threshold
    sure &= reference.score(chosen.test.features, compared_with, ood) <= 1
    facts = {
        "version": VERSION,
        "calibration": calibration,
        "precision": chosen.precision,
        "limits": _limits(store, split.loc[split["split"] == "train", "row"].to_numpy()),
        "confusion": _confusion(test.targets, likeliest, len(spec.classes)),
        "confusion_sure": _confusion(test.targets[sure], likeliest[sure], len(spec.classes)),
        "ood": ood,
    }
    files = {"model.onnx": chosen.content, "reference.npz": compared_with}
    files |= {"deepness.onnx": for_qgis, "dense.onnx": large}
    for name, data in files.items():
        with atomic(EXPORT / name) as part:
            part.write_bytes(data)
    write_json(EXPORT / "model.json", spec.model_copy(update=facts).model_dump())
    told = {"opset": p.export.opset, "bytes": len(chosen.content)}
    write_json(EXPORT_REPORT, told | {"tiles": len(test), "parity": parity})
    differences = ("largest_difference", "largest_feature_difference")
    worst = {name: max(each[name] for each in parity.values()) for name in differences}
    write_json(EXPORT_METRICS, told | worst | measured)
    tracking.track("export", register=params.read().export.register)
    print(
        f"{EXPORT / 'model.onnx'}: {len(chosen.content) / 1e6:.1f} MB, {chosen.precision}, opset {p.export.opset}; "
        f"same class as the network for all {len(test):,} test tiles, largest probability difference "
        f"{worst['largest_difference']:.1e}"
    )


def _outputs(answers: Answers, calibration: Calibration) -> Outputs:
    """What the network gave when it was evaluated, as the ONNX file must give it."""
    probabilities = np.exp(Scaling.of(calibration).log_probabilities(answers.pooled()))
    return Outputs(probabilities.astype(np.float32), answers.statistics)


def _check(exported: Exported, test: Answers, store: TileStore, tolerance: float) -> dict[str, dict[str, Any]]:
    """Compare the outputs of the ONNX file for the test tiles with what was evaluated: some tiles a batch size.

    Raises:
        UserError: they differ.
    """
    found = {}
    for size, own in zip(_BATCH_SIZES, np.split(np.arange(len(test)), [min(_ALONE, len(test) // 2)]), strict=True):
        made = onnx_file.predict(exported.content, store.images, test.rows[own], size)
        parity = onnx_file.compare(made, exported.test.of(own))
        if parity.differing or not parity.largest_difference < tolerance:  # NaN is no agreement
            raise UserError(
                f"the ONNX file does not agree with the network at batch {size}: another class for "
                f"{parity.differing} of {len(own)} test tiles, largest probability difference "
                f"{parity.largest_difference:.2e} (export.tolerance {tolerance:.0e}): try another -S export.opset"
            )
        if not parity.largest_feature_difference < tolerance:
            raise UserError(
                f"the features of the ONNX file differ from the network's at batch {size} by "
                f"{parity.largest_feature_difference:.2e} of the largest (export.tolerance {tolerance:.0e}): "
                "try another -S export.opset"
            )
        found[f"batch_{size}"] = {"tiles": len(own)} | asdict(parity)
    return found


def _check_deepness(content: bytes, exported: Exported, test: Answers, store: TileStore, tolerance: float) -> None:
    """Raise UserError unless the file for Deepness gives some test tiles what the network gave them."""
    some = np.arange(len(test))[: max(_BATCH_SIZES)]
    maps = deepness.predict(content, store.images[test.rows[some]])
    difference = np.abs(maps - exported.test.probabilities[some, :, None, None]).max()
    if not difference < tolerance:
        raise UserError(
            f"deepness.onnx does not agree with the network: largest probability difference {difference:.2e} "
            f"(export.tolerance {tolerance:.0e}): try another -S export.opset"
        )


def _limits(store: TileStore, rows: npt.NDArray[np.int64]) -> list[tuple[float, float]]:
    """Of each band the smallest and the largest mean over a training tile."""
    starts = tqdm(range(0, len(rows), _CHUNK), desc="band means", unit="part", delay=2, disable=None, leave=False)
    means = np.concatenate([store.images[rows[start : start + _CHUNK]].mean(axis=(1, 2)) for start in starts])
    return [(float(f"{low:.6g}"), float(f"{high:.6g}")) for low, high in zip(means.min(0), means.max(0), strict=True)]


def _confusion(targets: npt.NDArray[np.int64], answers: npt.NDArray[np.int64], count: int) -> list[list[int]]:
    """(n,) labels and (n,) answers -> counts of tiles, rows the true labels, columns the answers."""
    pairs = np.bincount(targets * count + answers, minlength=count**2)
    counts: list[list[int]] = pairs.reshape(count, count).tolist()
    return counts
