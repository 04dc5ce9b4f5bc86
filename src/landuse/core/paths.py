"""Where things lie: the folder that the pipeline works in, the repository, and what the stages write."""

import os
from pathlib import Path

from landuse.core.errors import UserError

TILES = Path("data/tiles")  # download
LABELS = Path("data/labels.csv")  # map_to_binary
SPLIT = Path("data/split.csv")  # split
NEAR_DUPLICATES = Path("data/near_duplicates.csv")
SPLIT_REPORT = Path("reports/split.json")
MODEL = Path("models/model")  # train: model.json and weights
HISTORY = Path("plots/history.csv")
TRAIN_METRICS = Path("metrics/train.json")
COLLAPSE = Path("reports/collapse.json")
ANSWERS = Path("models/answers")  # evaluate
CALIBRATION = Path("models/calibration.json")
PREDICTIONS = Path("data/predictions.csv")
METRICS = Path("metrics/evaluate.json")  # what people compare
EVALUATION = Path("reports/evaluate.json")
CURVES = Path("reports/curves.csv")
EXPORT = Path("models/export")  # export: model.onnx, model.json, reference.npz, deepness.onnx, dense.onnx
EXPORT_REPORT = Path("reports/export.json")
EXPORT_METRICS = Path("metrics/export.json")
PAGE = Path("reports/index.html")  # report
CARD = EXPORT / "MODEL_CARD.md"
PLOTS = Path("plots")  # train, evaluate, report


def workspace() -> Path:
    """Return the folder that the pipeline works in: the nearest one, from here upwards, with a dvc.yaml."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise UserError("no dvc.yaml here or above: run from inside the repository")


def repository(here: Path = Path()) -> Path:
    """Return the root of the repository, where ``.landuse`` and mlflow.db lie.

    DVC runs a queued experiment in a copy of the workspace and names the repository itself in ``DVC_ROOT``; without
    DVC it is the workspace, ``here``.
    """
    return Path(os.environ.get("DVC_ROOT") or here)
