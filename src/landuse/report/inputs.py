"""What the report is made from: files of the other stages, of which the shape is checked, and what explains them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from landuse.core import paths
from landuse.core.arrays import Ints
from landuse.core.geography import PLACE
from landuse.core.outputs import read_csv, read_json
from landuse.core.results import HISTORY_COLUMNS, Trained
from landuse.report import results
from landuse.report.gallery import Gallery
from landuse.spec.model import Calibration, ModelSpec
from landuse.tiles.split import read_split
from landuse.tiles.store import TileStore

_BAR = dict.fromkeys(("accuracy", "low", "high"), "float64")
_BIN = {"stage": "str", "confidence": "float64", "count": "float64"}
_LIMIT = {"coverage": "float64", "threshold": "float64"}
_TABLES: dict[str, tuple[Path, str, dict[str, str]]] = {  # name -> file, stage, columns
    "history": (paths.HISTORY, "train", HISTORY_COLUMNS),
    "curves": (paths.CURVES, "evaluate", {"curve": "str", "label": "str", "x": "float64", "y": "float64"}),
    "reliability": (paths.PLOTS / "reliability.csv", "evaluate", _BIN | _BAR),
    "abstention": (paths.PLOTS / "abstention.csv", "evaluate", _LIMIT | _BAR),
}


@dataclass(frozen=True)
class Inputs:
    """What the stages before wrote.

    spec: of the exported model. data: dataset.json. tiles: data/split.csv, and latitude and longitude where known.
    history, curves, reliability, abstention: the tables of those names.
    """

    spec: ModelSpec
    calibration: Calibration
    data: dict[str, Any]
    tiles: pd.DataFrame
    split: dict[str, Any]
    train: Trained
    collapse: dict[str, Any]
    evaluate: dict[str, Any]
    export: dict[str, Any]
    history: pd.DataFrame
    curves: pd.DataFrame
    reliability: pd.DataFrame
    abstention: pd.DataFrame

    @classmethod
    def read(cls, store: TileStore) -> Self:
        """Read the files in the current folder. Raises UserError: one is missing or damaged."""
        tiles = read_split(store)
        return cls(
            spec=ModelSpec.read(paths.EXPORT / "model.json", "export"),
            calibration=Calibration.read(paths.CALIBRATION, "evaluate"),
            data=store.info,
            tiles=tiles.join(store.index[store.index.columns.intersection(PLACE)]),
            split=read_json(paths.SPLIT_REPORT, "split", results.SPLIT),
            train=read_json(paths.TRAIN_METRICS, "train", Trained),
            collapse=read_json(paths.COLLAPSE, "train", results.COLLAPSE),
            evaluate=read_json(paths.EVALUATION, "evaluate", results.EVALUATE),
            export=read_json(paths.EXPORT_REPORT, "export", results.EXPORT),
            **{name: read_csv(file, stage, columns) for name, (file, stage, columns) in _TABLES.items()},
        )


@dataclass(frozen=True)
class Explained:
    """What was made of the answers here.

    confusion: (labels, labels) counts of the test tiles, rows are the truth, in the order of the model's classes.
    embedding, suspects: the tables of those names under ``plots/``. chosen_from: tiles, of which the embedding shows
    some.
    """

    confusion: Ints
    embedding: pd.DataFrame
    suspects: pd.DataFrame
    galleries: tuple[Gallery, ...]
    chosen_from: int
