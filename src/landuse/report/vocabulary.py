"""What page, model card and pictures call things, and how they write numbers.

An interval is {"value", "low", "high"}, with None for what is undefined.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

GAP = "\u00a0"  # a blank that no line breaks at
UNDEFINED = "undefined"

Interval = Mapping[str, Any]


class Metric(NamedTuple):
    """share: whether it is written in percent."""

    title: str
    about: str
    share: bool = True


METRICS = {
    "accuracy": Metric("Accuracy", "share of tiles with the right label"),
    "macro_f1": Metric("Macro-F1", "harmonic mean of precision and recall, mean over labels"),
    "balanced_accuracy": Metric("Balanced accuracy", "recall, every label counted alike"),
    "macro_precision": Metric("Macro precision", "how often a given label is right, mean over labels"),
    "macro_recall": Metric("Macro recall", "how much of a label is found, mean over labels"),
    "mcc": Metric("MCC", "correlation of truth and prediction", share=False),
    "roc_auc": Metric("ROC-AUC", "how well scores rank a label before the others", share=False),
}
CALIBRATION = {
    "ece": Metric("Calibration error (ECE)", "mean distance of stated and true accuracy"),
    "nll": Metric("NLL", "negative log-likelihood of the truth", share=False),
    "brier": Metric("Brier score", "squared distance of the probabilities from the truth", share=False),
}
LABELS = {
    "precision": Metric("Precision", "how often the label is right where it is given"),
    "recall": Metric("Recall", "how much of the label is found"),
    "f1": Metric("F1", "harmonic mean of the two"),
    "roc_auc": METRICS["roc_auc"],
    "average_precision": Metric("Average precision", "area under the curve of precision over recall", share=False),
}
BASELINES = {
    "majority": "always naming the commonest label",
    "band_statistics": "a logistic regression on the mean and deviation of each band",
}
CLASSICAL = {
    "logistic": "Logistic regression",
    "random_forest": "A random forest",
    "gradient_boosting": "Gradient-boosted trees",
}
SCORES = {
    "max_probability": "highest probability",
    "max_softmax": "maximum softmax",
    "energy": "energy",
    "mahalanobis": "Mahalanobis distance",
    "knn": "nearest neighbours",
    "reconstruction": "reconstruction error",
}
PARTS = {"train": "Training", "val": "Validation", "test": "Test"}


def percent(value: float | None, digits: int = 1) -> str:
    """0.9817 -> 98.2 %."""
    return UNDEFINED if value is None else f"{100 * value:.{digits}f}{GAP}%"


def of_row(row: Mapping[Any, Any]) -> Interval:
    """The accuracy in a row of a table, with its interval."""
    return {"value": row["accuracy"], "low": row["low"], "high": row["high"]}


def level(share: float) -> str:
    """0.95 -> 95 %, without a decimal that is not there."""
    return f"{100 * share:g}{GAP}%"


def digits(interval: Interval) -> int:
    """Decimals of a percentage that its interval justifies: two where it is narrower than a point."""
    low, high = interval["low"], interval["high"]
    return 2 if low is not None and high is not None and high - low < 0.01 else 1


def span(interval: Interval, places: int | None = None) -> str:
    """The ends of an interval in percent, without the sign: 97.7 to 98.5; empty where there are none."""
    if interval["low"] is None or interval["high"] is None:
        return ""
    places = digits(interval) if places is None else places
    return f"{100 * interval['low']:.{places}f} to {100 * interval['high']:.{places}f}"


def share(interval: Interval, places: int | None = None) -> str:
    """98.17 %, with as many decimals as its interval justifies, or as are asked for."""
    return percent(interval["value"], digits(interval) if places is None else places)


def with_span(interval: Interval) -> str:
    """98.17 % (97.71 to 98.54)."""
    ends = span(interval)
    return share(interval) + (f" ({ends})" if ends else "")


def score(value: float | None, places: int = 4) -> str:
    """A number that is no percentage; a minus sign is one."""
    return UNDEFINED if value is None else f"{value:.{places}f}".replace("-", "\u2212")


def score_span(interval: Interval) -> str:
    """0.9171 to 0.9554; empty where there are no ends."""
    low, high = interval["low"], interval["high"]
    return "" if low is None or high is None else f"{score(low)} to {score(high)}"


def points(value: float | None) -> str:
    """0.002 -> +0.20: a difference of percentages."""
    return UNDEFINED if value is None else f"{100 * value:+.2f}".replace("-", "\u2212")


def gain(interval: Interval) -> str:
    """+0.20 points (−0.01 to +0.41)."""
    low, high = interval["low"], interval["high"]
    ends = "" if low is None or high is None else f" ({points(low)} to {points(high)})"
    return f"{points(interval['value'])} points{ends}"


def count(number: int, noun: str) -> str:
    """1 tile, 4,050 tiles."""
    return f"{number:,}{GAP}{noun if number == 1 else noun + 's'}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """a, b and c; of more than ``most`` the first ones and how many are left."""
    names = list(names)
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
