"""Shapes of what stages write, as far as more than one room reads them; a file may hold more."""

from typing import Literal

from typing_extensions import TypedDict  # from Python 3.12 on pydantic takes that of typing, too

HISTORY_COLUMNS = {"epoch": "int64", "phase": "str"} | dict.fromkeys(
    ("lr", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_macro_f1"), "float64"
)


class Trained(TypedDict):
    """metrics/train.json: of the epoch that was kept."""

    epochs: int
    best_epoch: int
    val_loss: float
    val_accuracy: float
    val_macro_f1: float


Verdict = Literal["ok", "warning", "collapse"]


class Check(TypedDict):
    """What a check of reports/collapse.json found. epoch: 0 is before training. cause: empty if all is well."""

    verdict: Verdict
    epoch: int
    measured: dict[str, float | None]
    cause: str


class Measure(TypedDict):
    """A number and the ends of its interval; null where it is undefined."""

    value: float | None
    low: float | None
    high: float | None


class Baseline(TypedDict):
    accuracy: Measure
    macro_f1: Measure


class Compared(Baseline):
    """gain: in accuracy, of the model over the baseline, on the same tiles."""

    gain: Measure


class Headline(Baseline):
    """reports/evaluate.json, as the summary shows it."""

    n: int
    confidence: float
    baselines: dict[str, Compared]
