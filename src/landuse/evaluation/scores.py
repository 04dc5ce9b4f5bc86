"""What answers are worth: the sections of reports/evaluate.json that any classifier has, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from landuse import params
from landuse.evaluation import metrics
from landuse.evaluation.metrics import Interval
from landuse.evaluation.pairs import Difference, differences
from landuse.model import baselines
from landuse.prediction.predictor import Answers
from landuse.tiles.store import TileStore


def measure(
    settings: params.Evaluate,
    store: TileStore,
    split: pd.DataFrame,
    probabilities: npt.NDArray[np.float64],
    names: list[str],
) -> dict[str, Any]:
    """All that goes into reports/evaluate.json. probabilities: (n, classes) of the test tiles in order."""
    train, test = (split[split["split"] == part] for part in ("train", "test"))
    truth, predicted = test["target"].to_numpy(), probabilities.argmax(1)
    rng = np.random.default_rng(settings.seed)
    common = (len(names), settings.confidence, settings.bootstrap)
    auc, ranked = metrics.rank_metrics(truth, probabilities, names, settings.confidence, settings.bootstrap, rng)
    matrix = metrics.confusion(truth, predicted, len(names))
    guesses = {
        "majority": baselines.majority(train, test),
        "band_statistics": baselines.band_statistics(store.images, train, test),
    }
    labels = metrics.by_label(matrix, names, settings.confidence, settings.bootstrap, rng)
    scores = {name: metrics.summarise(truth, guess, *common, rng) for name, guess in guesses.items()}
    return {
        **metrics.summarise(truth, predicted, *common, rng),
        "roc_auc": auc,
        "n": len(test),
        "errors": int((truth != predicted).sum()),
        "confidence": settings.confidence,
        "labels": {name: labels[name] | ranked[name] for name in names},
        "classes": _by_original_class(test, truth == predicted, settings.confidence),
        "baselines": {name: {key: s[key] for key in ("accuracy", "macro_f1")} for name, s in scores.items()},
    }


def _by_original_class(test: pd.DataFrame, right: npt.NDArray[np.bool_], confidence: float) -> dict[str, Any]:
    groups = pd.Series(right, index=test["class"]).groupby(level=0).agg(["sum", "size"])
    return {
        str(name): {
            "n": int(row["size"]),
            "accuracy": metrics.wilson(int(row["sum"]), int(row["size"]), confidence),
        }
        for name, row in groups.iterrows()
    }


def views(answers: Answers, truth: npt.NDArray[np.int64], settings: params.Evaluate) -> dict[str, Any]:
    """The section views: what the eight views of each test tile gain over one."""
    one, all_ = answers.logits(views=slice(1)).argmax(1), answers.logits().argmax(1)
    classes = answers.every.shape[-1]
    return {
        "n": answers.every.shape[2],
        "accuracy": metrics.wilson(int((all_ == truth).sum()), len(truth), settings.confidence),
        "gain": _gain(truth, all_, one, classes, settings),
    }


def ensemble(
    answers: Answers, truth: npt.NDArray[np.int64], facts: Sequence[Mapping[str, Any]], settings: params.Evaluate
) -> dict[str, Any] | None:
    """The section ensemble: every member alone, and what all gain over this training's own; None for one member.

    answers: with as many views as the model uses. facts: of the members.
    """
    if len(facts) == 1:
        return None
    classes, together = answers.every.shape[-1], answers.logits().argmax(1)
    alone = [answers.logits(members=slice(i, i + 1)).argmax(1) for i in range(len(facts))]
    return {
        "members": [
            {**who, "accuracy": metrics.wilson(int((own == truth).sum()), len(truth), settings.confidence)}
            for who, own in zip(facts, alone, strict=True)
        ],
        "gain": _gain(truth, together, alone[0], classes, settings),
    }


def _gain(
    truth: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    classes: int,
    settings: params.Evaluate,
) -> Interval:
    """Paired difference in accuracy, first minus second."""
    common = (settings.confidence, settings.bootstrap, settings.seed)
    found: Difference = differences(truth, first[None], second[None], classes, *common)["accuracy"]
    return metrics.interval(found.value, found.low, found.high)
