"""An exported model: models/export, or a copy of that folder, and nothing else."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from landuse.core.errors import UserError
from landuse.inference import plausible
from landuse.inference.strangers import Reference
from landuse.spec.model import VERSION, ModelSpec

Floats = npt.NDArray[np.float32]
BATCH = 64  # tiles that the network gets at once: more leave the caches of a CPU
_OUTPUTS = ["probabilities", "features"]
_REMEDY = "run 'dvc repro export' again, or copy the whole folder"


@dataclass(frozen=True)
class Predictions:
    """What a model says of n tiles, or of n cells of a map.

    classes: of the model, in order. probabilities: (n, classes) float32, calibrated. entropy: (n,) float32 of the
    probabilities, as a share of the largest possible, 0 to 1. abstained: (n,) bool, where the largest probability is
    below the model's threshold. sets: (n, classes) bool, the labels in the conformal set. ood: (n,) float32, how
    strange the tile is: 1 is the limit under which 95 % of the validation tiles stay; NaN where the model has no
    reference.
    """

    classes: tuple[str, ...]
    probabilities: Floats
    entropy: Floats
    abstained: npt.NDArray[np.bool_]
    sets: npt.NDArray[np.bool_]
    ood: Floats

    @classmethod
    def of(cls, spec: ModelSpec, probabilities: Floats, ood: Floats) -> Self:
        """Decide by the model's calibration. probabilities: (n, classes); ood: (n,)."""
        calibration = spec.calibration
        assert calibration is not None  # Model.load refuses a folder without
        wide = probabilities.astype(np.float64)
        entropy = -(wide * np.log(np.maximum(wide, 1e-30))).sum(axis=1) / np.log(max(2, wide.shape[1]))
        quantile = calibration.conformal_quantile
        return cls(
            classes=tuple(spec.classes),
            probabilities=probabilities,
            entropy=entropy.astype(np.float32),
            abstained=wide.max(axis=1) < calibration.abstention_threshold,
            sets=np.ones(wide.shape, dtype=bool) if quantile is None else 1 - wide <= quantile,
            ood=ood,
        )

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def labels(self) -> npt.NDArray[np.str_]:
        """(n,) names of the likeliest classes."""
        names: npt.NDArray[np.str_] = np.array(self.classes)[self.probabilities.argmax(axis=1)]
        return names


@dataclass(frozen=True)
class Model:
    """An exported model. Load it once in a process; threads may share it, but it cannot be pickled."""

    spec: ModelSpec
    session: Any  # onnxruntime.InferenceSession
    reference: Reference | None

    @classmethod
    def load(cls, folder: str | Path, threads: int | None = None) -> Self:
        """Load a folder that the stage export made.

        threads: of onnxruntime; None: a thread a core.

        Raises:
            UserError: a file is missing, damaged or of another version, or the files are of different models.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"no folder {folder}: name the one that 'dvc repro export' makes, models/export")
        spec = _spec(folder / "model.json")
        session = open_session(folder / "model.onnx", threads)
        found = {node.name: node.shape for node in session.get_outputs()}
        if not set(_OUTPUTS) <= set(found):
            raise UserError(
                f"{folder / 'model.onnx'} gives {', '.join(found)}, not {' and '.join(_OUTPUTS)}: {_REMEDY}"
            )
        reference = Reference.read(folder / "reference.npz", spec)
        fault = _disagreement(spec, session, found, reference)
        if fault:
            raise UserError(f"the files of {folder} are of different models ({fault}): {_REMEDY}")
        return cls(spec, session, reference)

    def predict(self, tiles: npt.NDArray[Any], check_values: bool = True) -> Predictions:
        """Answer (n, H, W, C) tiles, raw pixel values as ``spec`` has them: bands, units, dtype and size.

        check_values: refuse values that look like other units than the model's; see ``plausible``.

        Raises:
            UserError: they are not what the model takes; says both sides.
        """
        self.check_form(tiles)
        if check_values and (fault := plausible.shared(plausible.faults(tiles, self.spec))):
            raise UserError(f"the tiles are not in this model's units: {fault}. It takes {self.spec.units}")
        probabilities, features = self.run(tiles)
        return Predictions.of(self.spec, probabilities, self.strangeness(features))

    def run(self, tiles: npt.NDArray[Any]) -> tuple[Floats, Floats]:
        """Return probabilities (n, classes) and features (n, F) of tiles that are known to be what the model takes."""
        found = [
            self.session.run(_OUTPUTS, {"pixels": tiles[i : i + BATCH]}) for i in range(0, max(1, len(tiles)), BATCH)
        ]
        probabilities, features = (np.concatenate(part) for part in zip(*found, strict=True))
        return probabilities, features

    def strangeness(self, features: Floats) -> Floats:
        """(n, F) features -> (n,) out-of-distribution scores; see ``Predictions``."""
        if self.reference is None:
            return np.full(len(features), np.nan, dtype=np.float32)
        return self.reference.score(features)

    def check_form(self, tiles: npt.NDArray[Any]) -> None:
        """Raise UserError unless tiles have the shape (n, H, W, C) and the dtype that the model takes."""
        spec = self.spec
        asked = (spec.tile_size, spec.tile_size, len(spec.bands))
        if tiles.shape[1:] != asked:
            turned = tiles.ndim == 4 and tiles.shape[1:] == (asked[2], *asked[:2])
            hint = "; bands come last: tiles.transpose(0, 2, 3, 1)" if turned else ""
            hint = "; a single tile is tiles[np.newaxis]" if tiles.shape == asked else hint
            raise UserError(
                f"the tiles are {tiles.shape}, this model takes (n, {asked[0]}, {asked[1]}, {asked[2]}): "
                f"{asked[0]} pixels a side, bands {', '.join(spec.bands)}{hint}"
            )
        if tiles.dtype != np.dtype(spec.dtype):
            raise UserError(f"the tiles are {_kind(tiles)}, this model takes {spec.dtype}: {spec.units}")


def _kind(tiles: npt.NDArray[Any]) -> str:
    if tiles.dtype.kind not in "iuf" or not tiles.size:
        return str(tiles.dtype)
    if not np.isfinite(tiles).all():
        return (
            f"{tiles.dtype} with NaN or infinity in {(~np.isfinite(tiles)).any(axis=(1, 2, 3)).sum()} of {len(tiles)}"
        )
    low, high = tiles.min(), tiles.max()
    guess = " (reflectance?)" if tiles.dtype.kind == "f" and low >= 0 and high < 3 else ""
    return f"{tiles.dtype} from {low:.4g} to {high:.4g}{guess}"


def _spec(file: Path) -> ModelSpec:
    spec = ModelSpec.read(file, "export")
    if spec.version != VERSION:
        which, remedy = ("a newer", "update this one") if spec.version > VERSION else ("an older", _REMEDY)
        raise UserError(f"{file} was made by {which} landuse (form {spec.version}, not {VERSION}): {remedy}")
    if spec.calibration is None:
        raise UserError(f"{file} has no calibration: name the folder that 'dvc repro export' makes, models/export")
    count, labels = len(spec.bands), len(spec.classes)
    if spec.limits is not None and len(spec.limits) != count:
        raise UserError(f"{file} is damaged ({len(spec.limits)} limits of {count} bands): {_REMEDY}")
    for table in (spec.confusion, spec.confusion_sure):
        if table is not None and {len(table), *map(len, table)} != {labels}:
            raise UserError(f"{file} is damaged (the confusion is not of {labels} classes): {_REMEDY}")
    return spec


def open_session(file: Path, threads: int | None) -> Any:
    """Return an onnxruntime.InferenceSession on the CPU, or raise UserError where the file is missing or damaged."""
    import onnxruntime  # half of the time that a process of one tile takes

    onnxruntime.disable_telemetry_events()  # its Windows packages have it on
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    if threads is not None:
        options.intra_op_num_threads = threads
    if not file.is_file():
        raise UserError(f"no {file}: {_REMEDY}")
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of its own, one for each kind of damage
        raise UserError(f"{file} is damaged ({' '.join(str(error).split())[:200]}): {_REMEDY}") from error


def _disagreement(
    spec: ModelSpec, session: Any, outputs: dict[str, list[Any]], reference: Reference | None
) -> str | None:
    """In what model.onnx, model.json and reference.npz differ, if they do."""
    known = session.get_modelmeta().custom_metadata_map
    if known.get("identity") != spec.identity:
        return "model.onnx and model.json have another identity"
    if json.loads(known.get("classes", "[]")) != spec.classes:
        return "model.onnx and model.json have other classes"
    (pixels,) = session.get_inputs()
    form, asked = (pixels.type, pixels.shape[1:]), (f"tensor({spec.dtype})", [spec.tile_size] * 2 + [len(spec.bands)])
    if form != asked:
        return f"model.onnx takes {form[0]} {form[1]}, model.json says {asked[0]} {asked[1]}"
    counts = {"probabilities": (len(spec.classes), "model.json")}
    if reference is not None:
        counts["features"] = (reference.features.shape[1], "reference.npz")
    for name, (count, file) in counts.items():
        found = outputs[name][-1]
        if isinstance(found, int) and found != count:  # a name where the graph leaves it open
            return f"model.onnx has {found} {name}, {file} {count}"
    return None
