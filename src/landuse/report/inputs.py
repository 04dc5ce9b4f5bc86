"""What the report is made from: files of the other stages, of which the shape is checked, and what explains them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict  # from Python 3.12 on pydantic takes that of typing, too

from landuse.core.outputs import damaged, read_bytes, read_csv, read_json
from landuse.core.results import HISTORY_COLUMNS, Headline, Measure
from landuse.report.gallery import Gallery
from landuse.spec import Calibration, ModelSpec
from landuse.spec.model import parse_calibration
from landuse.tiles.geography import PLACE
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

Verdict = Literal["ok", "warning", "collapse"]


class Parts(TypedDict):
    """Numbers of tiles."""

    train: int
    val: int
    test: int


class Duplicates(TypedDict):
    """Pairs of tiles in two parts."""

    exact_across_parts: int
    near_across_parts: int


class Histogram(TypedDict):
    """Numbers in bins of equal width on a logarithmic scale."""

    low: Annotated[float, Field(gt=0)]
    high: float
    tiles: Annotated[list[int], Field(min_length=1)]


class Distances(TypedDict):
    """In km."""

    min: float
    median: float
    histogram: Histogram


class OfPlaces(TypedDict):
    """What coordinates alone come to."""

    accuracy: Measure


class Split(TypedDict):
    """reports/split.json."""

    method: Literal["stratified", "kfold", "spatial", "spatial_kfold", "published"]
    tiles: Parts
    classes: dict[str, Parts]
    labels: dict[str, Parts]
    duplicates: Duplicates
    nearest_test_to_train_km: NotRequired[Distances | None]
    coordinates_only: NotRequired[OfPlaces | None]


class Train(TypedDict):
    """metrics/train.json; of the epoch that was kept."""

    epochs: int
    best_epoch: int
    val_loss: float
    val_accuracy: float
    val_macro_f1: float


class Check(TypedDict):
    """What a guard found."""

    verdict: Verdict
    epoch: int
    measured: dict[str, float | None]
    cause: str


class Collapse(TypedDict):
    """reports/collapse.json."""

    verdict: Verdict
    stopped: bool
    checks: dict[str, Check]


class OfLabel(TypedDict):
    precision: Measure
    recall: Measure
    f1: Measure
    roc_auc: Measure
    average_precision: Measure
    n: int


class OfClass(TypedDict):
    accuracy: Measure
    n: int


class Probabilities(TypedDict):
    ece: Measure
    nll: Measure
    brier: Measure


class Calibrated(TypedDict):
    scaled: bool
    before: Probabilities
    after: Probabilities
    bins: int


class Abstention(TypedDict):
    score: str
    threshold: float
    coverage_asked: float
    coverage: Measure
    accuracy: Measure
    abstained: int


class Conformal(TypedDict):
    method: str
    coverage_asked: float
    coverage: Measure
    mean_size: float
    sizes: dict[str, int]
    by_label: dict[str, Measure]


class Separation(TypedDict):
    auroc: Measure
    fpr95: Measure


class Ood(TypedDict):
    n: int
    classes: dict[str, int]
    scores: dict[str, Separation]
    best: str
    by_class: dict[str, Measure]


def _consistent(ood: Ood) -> Ood:
    if ood["classes"].keys() != ood["by_class"].keys() or ood["best"] not in ood["scores"]:
        raise ValueError("its tables are not of the same classes, or its best score is none of its scores")
    return ood


class Views(TypedDict):
    n: int
    tiles: int
    accuracy: Measure
    gain: Measure


class Member(TypedDict):
    backbone: str
    seed: int
    accuracy: Measure


class Network(TypedDict):
    """One of those that answer together."""

    backbone: str
    seed: int
    phase: str | None
    weights: str


class _Calibrated(TypedDict):
    """models/calibration.json, as far as ``Calibration`` leaves it open."""

    members: list[Network]


class Ensemble(TypedDict):
    members: list[Member]
    gain: Measure


class Evaluate(Headline):
    """reports/evaluate.json; a section is null where it was not measured."""

    errors: int
    balanced_accuracy: Measure
    macro_precision: Measure
    macro_recall: Measure
    mcc: Measure
    roc_auc: Measure
    labels: dict[str, OfLabel]
    classes: dict[str, OfClass]
    calibration: Calibrated
    abstention: Abstention
    conformal: Conformal
    ood: NotRequired[Annotated[Ood, AfterValidator(_consistent)] | None]
    views: NotRequired[Views | None]
    ensemble: NotRequired[Ensemble | None]


class Parity(TypedDict):
    largest_difference: float


class Export(TypedDict):
    """reports/export.json."""

    opset: int
    bytes: int
    tiles: int
    parity: dict[str, Parity]


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
        read_json(_CALIBRATION, "evaluate", _Calibrated)
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
