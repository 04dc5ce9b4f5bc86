"""What the report is made from: files of the other stages, of which the shape is checked, and what explains them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from landuse.core.geography import PLACE
from landuse.core.outputs import damaged, read_bytes, read_csv, read_json
from landuse.core.results import HISTORY_COLUMNS
from landuse.report.gallery import Gallery
from landuse.report.results import Collapse, Evaluate, Export, Members, Split, Train
from landuse.spec import Calibration, ModelSpec
from landuse.spec.model import parse_calibration
from landuse.tiles.split import read_split
from landuse.tiles.store import TileStore

PLOTS = Path("plots")
_CALIBRATION = Path("models/calibration.json")
_EXPORTED = Path("models/export/model.json")
_TABLES: dict[str, tuple[str, str, dict[str, str]]] = {  # name -> file, stage, columns
    "history": ("plots/history.csv", "train", HISTORY_COLUMNS),
    "curves": ("reports/curves.csv", "evaluate", {"curve": "str", "label": "str", "x": "float64", "y": "float64"}),
    "reliability": (
        "plots/reliability.csv",
        "evaluate",
        {"stage": "str"} | dict.fromkeys(("confidence", "accuracy", "count", "low", "high"), "float64"),
    ),
    "abstention": (
        "plots/abstention.csv",
        "evaluate",
        dict.fromkeys(("coverage", "accuracy", "low", "high", "threshold"), "float64"),
    ),
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
    split: Split
    train: Train
    collapse: Collapse
    evaluate: Evaluate
    export: Export
    history: pd.DataFrame
    curves: pd.DataFrame
    reliability: pd.DataFrame
    abstention: pd.DataFrame

    @classmethod
    def read(cls, store: TileStore) -> Self:
        """Read the files in the current folder.

        Raises:
            UserError: one is missing or damaged.
        """
        tiles = read_split(store)
        read_json(_CALIBRATION, "evaluate", Members)
        return cls(
            spec=_parsed(_EXPORTED, "export", ModelSpec.parse),
            calibration=_parsed(_CALIBRATION, "evaluate", parse_calibration),
            data=store.info,
            tiles=tiles.join(store.index[store.index.columns.intersection(PLACE)]),
            split=read_json(Path("reports/split.json"), "split", Split),
            train=read_json(Path("metrics/train.json"), "train", Train),
            collapse=read_json(Path("reports/collapse.json"), "train", Collapse),
            evaluate=read_json(Path("reports/evaluate.json"), "evaluate", Evaluate),
            export=read_json(Path("reports/export.json"), "export", Export),
            **{name: read_csv(Path(file), stage, columns) for name, (file, stage, columns) in _TABLES.items()},
        )


@dataclass(frozen=True)
class Explained:
    """What was made of the answers here.

    confusion: (labels, labels) counts of the test tiles, rows are the truth, in the order of the model's classes.
    embedding, suspects: the tables of those names under ``plots/``. chosen_from: tiles, of which the embedding shows
    some.
    """

    confusion: npt.NDArray[np.int64]
    embedding: pd.DataFrame
    suspects: pd.DataFrame
    galleries: tuple[Gallery, ...]
    chosen_from: int


def _parsed(path: Path, stage: str, parse: Any) -> Any:
    try:
        return parse(read_bytes(path, stage))
    except ValueError as error:
        raise damaged(path, stage, error) from None
