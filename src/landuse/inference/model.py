"""An exported model: models/export, or a copy of that folder, and nothing else."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from landuse.core.errors import UserError
from landuse.inference.strangers import Reference
from landuse.spec import VERSION, ModelSpec

Floats = npt.NDArray[np.float32]
_BATCH = 64  # tiles that the network gets at once: more leave the caches of a CPU


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
    """An exported model. Load it once in a process; it cannot be pickled."""

    spec: ModelSpec
    session: Any  # onnxruntime.InferenceSession
    reference: Reference | None

    @classmethod
    def load(cls, folder: str | Path, threads: int | None = None) -> Self:
        """Load a folder that the stage export made.

        threads: of onnxruntime; None: a thread a core.

        Raises:
            UserError: a file is missing, damaged or of a newer version, or the files are of different models.
        """
        folder = Path(folder)
        spec = ModelSpec.read(folder / "model.json", "export")
        if spec.version > VERSION:
            raise UserError(f"{folder} was made by a newer landuse: update this one (pip install -U landuse)")
        if spec.calibration is None:
            raise UserError(f"{folder / 'model.json'} has no calibration: name the folder that 'dvc repro export' made")
        session = _session(folder / "model.onnx", threads)
        known = session.get_modelmeta().custom_metadata_map
        if known.get("identity") != spec.identity or json.loads(known.get("classes", "[]")) != spec.classes:
            raise UserError(f"model.onnx and model.json of {folder} are of different models: copy the whole folder")
        return cls(spec, session, Reference.read(folder / "reference.npz", spec))

    def predict(self, tiles: npt.NDArray[Any]) -> Predictions:
        """Answer (n, H, W, C) tiles, raw pixel values as ``spec`` has them: bands, units, dtype and size.

        Raises:
            UserError: they are not what the model takes; says both sides.
        """
        self.check(tiles)
        probabilities, features = self.run(tiles)
        return Predictions.of(self.spec, probabilities, self.strangeness(features))

    def run(self, tiles: npt.NDArray[Any]) -> tuple[Floats, Floats]:
        """Return probabilities (n, classes) and features (n, F) of tiles that are known to be what the model takes."""
        found = [
            self.session.run(["probabilities", "features"], {"pixels": tiles[i : i + _BATCH]})
            for i in range(0, len(tiles), _BATCH)
        ]
        probabilities, features = (np.concatenate(part) for part in zip(*found, strict=True))
        return probabilities, features

    def strangeness(self, features: Floats) -> Floats:
        """(n, F) features -> (n,) out-of-distribution scores; see ``Predictions``."""
        if self.reference is None:
            return np.full(len(features), np.nan, dtype=np.float32)
        return self.reference.score(features)

    def check(self, tiles: npt.NDArray[Any]) -> None:
        """Raise UserError unless (n, H, W, C) tiles are what the model takes."""
        spec = self.spec
        asked = (spec.tile_size, spec.tile_size, len(spec.bands))
        if tiles.ndim != 4 or tiles.shape[1:] != asked:
            raise UserError(
                f"the tiles are {tiles.shape}, this model takes (n, {asked[0]}, {asked[1]}, {asked[2]}): "
                f"{asked[0]} pixels a side, bands {', '.join(spec.bands)}"
            )
        if tiles.dtype != np.dtype(spec.dtype):
            raise UserError(f"the tiles are {tiles.dtype}, this model takes {spec.dtype}: {spec.units}")


def _session(file: Path, threads: int | None) -> Any:
    import onnxruntime  # half of the time that a process of one tile takes

    onnxruntime.disable_telemetry_events()  # its Windows packages have it on
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    if threads is not None:
        options.intra_op_num_threads = threads
    if not file.is_file():
        raise UserError(f"no {file}: name the folder that 'dvc repro export' made")
    try:
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of its own, one for each kind of damage
        raise UserError(f"{file} is damaged ({str(error).splitlines()[0][:200]}): copy it again") from error
