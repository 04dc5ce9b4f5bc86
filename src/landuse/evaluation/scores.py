"""What answers are worth: the sections of reports/evaluate.json that any classifier has, with intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from landuse import params
from landuse.core.arrays import Floats, Ints
from landuse.core.results import Check, Trained
from landuse.evaluation import metrics
from landuse.evaluation.metrics import Interval
from landuse.evaluation.pairs import Difference, differences
from landuse.spec.answers import Answers


def measure(
    settings: params.Evaluate, test: pd.DataFrame, probabilities: Floats, guesses: Mapping[str, Ints], names: list[str]
) -> dict[str, Any]:
    """What any classifier has.

    test: rows of the split table. probabilities: (n, classes) of them. guesses: (n,) labels of the baselines; their
    gain is what the classifier gains over each in accuracy, tile by tile.
    """
    truth, predicted = test["target"].to_numpy(), probabilities.argmax(1)
    rng = np.random.default_rng(settings.seed)
    common = (len(names), settings.confidence, settings.bootstrap)
    auc, ranked = metrics.rank_metrics(truth, probabilities, names, settings.confidence, settings.bootstrap, rng)
    matrix = metrics.confusion(truth, predicted, len(names))
    labels = metrics.by_label(matrix, names, settings.confidence, settings.bootstrap, rng)
    scores = {name: metrics.summarise(truth, guess, *common, rng) for name, guess in guesses.items()}
    right = pd.Series(truth == predicted).groupby(test["class"].to_numpy())
    return {
        **metrics.summarise(truth, predicted, *common, rng),
        "roc_auc": auc,
        "n": len(test),
        "errors": int((truth != predicted).sum()),
        "confidence": settings.confidence,
        "labels": {name: labels[name] | ranked[name] for name in names},
        "classes": {
            str(name): {"n": len(hits), "accuracy": metrics.share(hits.to_numpy(), settings.confidence)}
            for name, hits in right
        },
        "baselines": {
            name: {key: s[key] for key in ("accuracy", "macro_f1")}
            | {"gain": _gain(truth, predicted, guesses[name], len(names), settings)}
            for name, s in scores.items()
        },
    }


def rounding(val: Answers, precision: str, trained: Trained) -> Check | None:
    """The section rounding: are the weights as right in float32 as in the precision they learnt in, but for chance?

    Rounding drowns the texture of dark, even tiles; unrounded, such a tile may look like one of another class
    (docs/speed.md). None where it learnt in float32.
    """
    if precision == "fp32":
        return None
    before, now = trained["val_accuracy"], float(np.mean(val.logits[:, 0, 0].argmax(1) == val.targets))
    found = Check(
        verdict="ok",
        epoch=trained["best_epoch"],
        measured={"val_accuracy": before, "in_float32": round(now, 6)},
        cause="",
    )
    if before - now > 2 * math.sqrt(before * (1 - before) / len(val)):  # two standard errors
        worse = "the model is worse in float32, as all stages after train run it: set train.precision=fp32"
        found |= {"verdict": "warning", "cause": worse}
    return found


def views(answers: Answers, settings: params.Evaluate) -> dict[str, Any] | None:
    """The section views: what the eight views of test tiles gain over one; None where there is but one."""
    count, classes = answers.logits.shape[2:]
    if count == 1:
        return None
    truth, one, all_ = answers.targets, answers.pooled(views=slice(1)).argmax(1), answers.pooled().argmax(1)
    return {
        "n": count,
        "tiles": len(answers),
        "accuracy": metrics.share(all_ == truth, settings.confidence),
        "gain": _gain(truth, all_, one, classes, settings),
    }


def ensemble(answers: Answers, facts: Sequence[Mapping[str, Any]], settings: params.Evaluate) -> dict[str, Any] | None:
    """The section ensemble: every member alone, and what all gain over this training's own; None for one member.

    answers: to the test tiles. facts: of the members.
    """
    if len(facts) == 1:
        return None
    truth, classes, together = answers.targets, answers.logits.shape[-1], answers.pooled().argmax(1)
    alone = [answers.pooled(members=slice(i, i + 1)).argmax(1) for i in range(len(facts))]
    return {
        "members": [
            {**who, "accuracy": metrics.share(own == truth, settings.confidence)}
            for who, own in zip(facts, alone, strict=True)
        ],
        "gain": _gain(truth, together, alone[0], classes, settings),
    }


def _gain(truth: Ints, first: Ints, second: Ints, classes: int, settings: params.Evaluate) -> Interval:
    """Paired difference in accuracy, first minus second."""
    common = (settings.confidence, settings.bootstrap, settings.seed)
    found: Difference = differences(truth, first[None], second[None], classes, *common)["accuracy"]
    return metrics.interval(found.value, found.low, found.high)
