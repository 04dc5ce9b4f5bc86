"""The second half of the stage evaluate: numbers about the answers that ``landuse.prediction`` stored."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from landuse import params, tracking
from landuse.core.arrays import Floats, Ints
from landuse.core.files import write_csv, write_json
from landuse.core.geography import PLACE
from landuse.core.outputs import read_bytes, read_json
from landuse.core.paths import (
    ANSWERS,
    CALIBRATION,
    CURVES,
    EVALUATION,
    METRICS,
    MODEL,
    PLOTS,
    PREDICTIONS,
)
from landuse.core.results import Trained
from landuse.evaluation import abstention, bands, curves, ood, reliability, scores, uncertainty
from landuse.spec import answers
from landuse.spec.answers import Answers
from landuse.spec.model import Calibration, ModelSpec, Network
from landuse.spec.scaling import Scaling
from landuse.tiles.split import labels_of, read_split
from landuse.tiles.store import TileStore

_PLACES_MIXED = ("stratified", "kfold")  # test tiles lie among the others: scaling need not carry over to other places


def run(p: params.Params, trained: Trained, store: TileStore) -> None:
    """Fit the calibration on the answers to validation tiles, measure on those to test tiles; write what was found.

    trained: of the model's training. store: the tiles that the answers are to.

    Raises UserError: the split, or the answers, are missing or damaged.
    """
    settings, split = p.evaluate, read_split(store)
    names = labels_of(split)
    there = [name for name in (*answers.PARTS, "views") if (ANSWERS / f"{name}.npz").is_file()]
    found = {name: Answers.load(ANSWERS / f"{name}.npz", len(split)) for name in there}
    val, test = found["val"], found["test"]
    members = read_json(ANSWERS / "members.json", "evaluate", list[Network])
    own = ModelSpec.read(MODEL / "model.json", "train")
    known = "latitude" in store.index and p.split.method not in _PLACES_MIXED
    places = store.index.loc[val.rows, PLACE].to_numpy() if known else None
    fitted = uncertainty.fit(val.pooled(), val.targets, settings, members, places)
    log_p = Scaling.of(fitted).log_probabilities(test.pooled())
    tiles, probabilities = split.loc[test.rows], np.exp(log_p)
    guesses = _arrays("baselines")
    report = {
        **scores.measure(settings, tiles, probabilities, guesses, names),
        **uncertainty.measure(test.pooled(), test.targets, names, fitted, settings),
        "rounding": scores.rounding(val, own.params["train.precision"], trained),
        "ood": _strangers(found, split, settings),
        "views": scores.views(found.get("views", test), settings),
        "ensemble": scores.ensemble(test, members, settings),
    }
    if (ANSWERS / "importance.npz").is_file():  # of other bands than RGB
        report["bands"] = bands.section(_arrays("importance"), store.info["bands"], len(names), settings)
    write_json(CALIBRATION, fitted.model_dump())
    write_csv(PREDICTIONS, _predictions(tiles, probabilities, names))
    write_json(METRICS, _headline(report))
    write_json(EVALUATION, report)
    _write_plots(test, probabilities, fitted, report)
    tracking.track("evaluate")
    accuracy = report["accuracy"]
    ends = f"({accuracy['low']:.2%} to {accuracy['high']:.2%})"
    if report["rounding"] and report["rounding"]["cause"]:
        print(f"warning (rounding): {report['rounding']['cause']}")
    print(f"test accuracy {accuracy['value']:.2%} {ends}, {len(tiles):,} tiles")


def _arrays(name: str) -> dict[str, Ints]:
    with np.load(io.BytesIO(read_bytes(ANSWERS / f"{name}.npz", "evaluate"))) as stored:
        return dict(stored)


def _headline(report: Mapping[str, Any]) -> dict[str, float | None]:
    """The few numbers that DVC shows as metrics, flat: a column each in its tables."""
    calibrated = report["calibration"]["after"]
    measures = {name: report[name] for name in ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "roc_auc")}
    measures |= {name: calibrated[name] for name in ("ece", "nll")}
    ends = {f"accuracy_{end}": report["accuracy"][end] for end in ("low", "high")}
    return {name: measure["value"] for name, measure in measures.items()} | ends


def _strangers(found: Mapping[str, Answers], split: pd.DataFrame, settings: params.Evaluate) -> dict[str, Any] | None:
    """The section ood; None where no class is kept aside."""
    aside = found.get("aside")
    if aside is None:
        return None
    reference = ood.Reference.fit(found["val"])
    inside, outside = (ood.scores(part, reference) for part in (found["test"], aside))
    return ood.section(inside, outside, split.loc[aside.rows, "class"].tolist(), settings)


def _write_plots(test: Answers, probabilities: Floats, fitted: Calibration, report: Mapping[str, Any]) -> None:
    """Write what `dvc plots` and the report draw."""
    names, confidence = np.array(list(report["labels"])), report["confidence"]
    right = probabilities.argmax(1) == test.targets
    tables = curves.tables(test.targets, probabilities, report["labels"])
    write_csv(CURVES, tables.pop("curves"))
    tables |= {
        "confusion": pd.DataFrame({"actual": names[test.targets], "predicted": names[probabilities.argmax(1)]}),
        "reliability": reliability.before_and_after(test.pooled(), test.targets, Scaling.of(fitted), confidence),
        "abstention": abstention.curve(probabilities.max(axis=1), right, confidence),
    }
    for name, table in tables.items():
        write_csv(PLOTS / f"{name}.csv", table)


def _predictions(test: pd.DataFrame, probabilities: Floats, names: list[str]) -> pd.DataFrame:
    table = test[["row", "file", "class"]].reset_index(drop=True)
    table["truth"] = np.take(names, test["target"])
    table["prediction"] = np.take(names, probabilities.argmax(1))
    table["correct"] = table["truth"] == table["prediction"]
    return table.join(pd.DataFrame(probabilities, columns=[f"p_{name}" for name in names]))
