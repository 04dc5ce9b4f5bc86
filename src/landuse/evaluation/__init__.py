"""Evaluation: the trained model on the test tiles, which nothing else learns from."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from landuse import baselines, params, tracking
from landuse.errors import UserError
from landuse.evaluation import metrics, plots
from landuse.files import write_csv, write_json
from landuse.model.predict import pick_device
from landuse.prediction import CALIBRATION, members
from landuse.prediction.predictor import Predictor, predict
from landuse.splits import read_split
from landuse.tiles import TileStore, open_store

PREDICTIONS = Path("data/predictions.csv")
METRICS = Path("metrics/evaluate.json")


def run(p: params.Params) -> None:
    """Predict the test tiles; write predictions, metrics with intervals beside baselines, and plots."""
    store, split = open_store(), read_split()
    test = split[split["split"] == "test"]
    if test.empty:
        raise UserError("the test split has no tile: change split.fractions or split.method")
    found = members.load(p.ensemble.members)
    spec, predictor = found[0].spec, Predictor([member.model for member in found], p.evaluate.views)
    truth, rows = test["target"].to_numpy(copy=True), test["row"].to_numpy(copy=True)
    answers = predict(predictor, store.images, rows, pick_device())
    calibration = {
        "temperature": 1.0,
        "scaled": False,
        "views": p.evaluate.views,
        "members": [member.facts() for member in found],
    }
    probabilities = softmax(answers.logits())
    if not np.isfinite(probabilities).all():
        raise UserError("the model predicts values that are not numbers: train it again with a lower train.lr")
    report = measure(p.evaluate, store, split, probabilities, spec.classes)
    write_csv(PREDICTIONS, _predictions(test, probabilities, spec.classes))
    plots.write(truth, probabilities, report["labels"])
    write_json(CALIBRATION, calibration)
    write_json(METRICS, report)
    tracking.track("evaluate")
    accuracy = report["accuracy"]
    print(
        f"test accuracy {accuracy['value']:.2%} ({accuracy['low']:.2%} to {accuracy['high']:.2%}), {len(test):,} tiles"
    )


def softmax(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """(n, classes) logits -> probabilities, in double precision."""
    powers = np.exp(values.astype(np.float64) - values.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def measure(
    settings: params.Evaluate,
    store: TileStore,
    split: pd.DataFrame,
    probabilities: npt.NDArray[np.float64],
    names: list[str],
) -> dict[str, Any]:
    """All that goes into metrics/evaluate.json. probabilities: (n, classes) of the test tiles in order."""
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


def _predictions(test: pd.DataFrame, probabilities: npt.NDArray[np.float64], names: list[str]) -> pd.DataFrame:
    table = test[["row", "file", "class"]].reset_index(drop=True)
    table["truth"] = np.take(names, test["target"])
    table["prediction"] = np.take(names, probabilities.argmax(1))
    table["correct"] = table["truth"] == table["prediction"]
    for i, name in enumerate(names):
        table[f"p_{name}"] = probabilities[:, i]
    return table
