"""Shapes of the JSON files that the report reads, as far as it reads them; a file may hold more.

Sections that an evaluation may leave out are not required, or null.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict  # from Python 3.12 on pydantic takes that of typing, too

from landuse.core.results import Headline, Measure

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
