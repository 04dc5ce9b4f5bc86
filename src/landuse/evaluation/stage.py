"""Evaluation: the trained model on the test tiles, which nothing else learns from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from landuse import params, tracking
from landuse.core import results
from landuse.core.errors import UserError
from landuse.core.files import atomic, write_csv, write_json, write_text
from landuse.core.geography import PLACE
from landuse.core.outputs import read_csv, read_json
from landuse.evaluation import abstention, calibration, explain, ood, plots, plots_certainty, scores, uncertainty
from landuse.evaluation.asked import Asked, ask
from landuse.evaluation.metrics import confusion
from landuse.evaluation.uncertainty import Calibration
from landuse.model.classifier import Classifier
from landuse.prediction import CALIBRATION, members
from landuse.report import Inputs, render, split_map
from landuse.tiles.split import labels_of, read_split
from landuse.tiles.store import TileStore, open_store

PREDICTIONS = Path("data/predictions.csv")
METRICS = Path("metrics/evaluate.json")  # what people compare
DETAILS = Path("reports/evaluate.json")
REPORT = Path("reports/index.html")
_PLACES_MIXED = ("stratified", "kfold")  # test tiles lie among the others: scaling need not carry over to other places
# what earlier stages measured and drew, for the report
_EARLIER: dict[str, tuple[str, type]] = {
    "reports/split.json": ("split", results.Split),
    "metrics/train.json": ("train", results.Train),
    "reports/collapse.json": ("train", results.Collapse),
}

Floats = npt.NDArray[np.float64]


def run(p: params.Params) -> None:
    """Predict, fit the calibration on validation tiles, measure on test tiles; write what was found, and the report.

    Raises:
        UserError: inputs are missing, a part has no tile, or the model predicts values that are not numbers.
    """
    store = open_store()
    split = read_split(store)
    earlier = _earlier()
    for part in ("val", "test"):
        if not (split["split"] == part).any():
            raise UserError(f"the {part} split has no tile: change split.fractions or split.method")
    found = members.load(p.ensemble.members)
    members.refuse_other_tiles(found[0].spec, labels_of(split), store.info)
    tracking.check("evaluate")
    parts = [part for part in ("val", "test", "aside") if (split["split"] == part).any()]
    asked = {part: ask(part, found, store, split, p.evaluate) for part in parts}
    names, settings, val, test = found[0].spec.classes, p.evaluate, asked["val"], asked["test"]
    places = None if p.split.method in _PLACES_MIXED else val.coordinates(store)
    fitted = uncertainty.fit(val.logits, val.targets, settings, places)
    facts = [member.facts() for member in found]
    probabilities = np.exp(fitted.scaling.log_probabilities(test.logits))
    report = {
        **scores.measure(settings, store, split, probabilities, names),
        **uncertainty.measure(test.logits, test.targets, names, fitted, settings),
        "ood": _strangers(asked, settings),
        "views": scores.views(test.answers, test.targets, settings),
        "ensemble": scores.ensemble(test.used, test.targets, facts, settings),
    }
    write_json(CALIBRATION, asdict(fitted) | {"views": settings.views, "members": facts})
    write_csv(PREDICTIONS, _predictions(test.tiles, probabilities, names))
    write_json(METRICS, _headline(report))
    write_json(DETAILS, report)
    drawn = _draw(test, probabilities, fitted, report, settings.confidence)
    explained = _explain(store, found[0].model, [val, test], fitted, names, settings.seed)
    drawn["split_map"] = _map(store, split, earlier["split"])
    page = render(Inputs(report, found[0].spec.model_dump(), store.info, **drawn, **explained, **earlier))
    write_text(REPORT, page)
    tracking.track("evaluate")
    accuracy = report["accuracy"]
    print(
        f"test accuracy {accuracy['value']:.2%} ({accuracy['low']:.2%} to {accuracy['high']:.2%}), "
        f"{len(test.tiles):,} tiles; report: {REPORT}"
    )


def _headline(report: Mapping[str, Any]) -> dict[str, float | None]:
    """The few numbers that DVC shows as metrics, flat: a column each in its tables."""
    calibrated = report["calibration"]["after"]
    measures = {name: report[name] for name in ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "roc_auc")}
    measures |= {name: calibrated[name] for name in ("ece", "nll")}
    ends = {f"accuracy_{end}": report["accuracy"][end] for end in ("low", "high")}
    return {name: measure["value"] for name, measure in measures.items()} | ends


def _strangers(asked: Mapping[str, Asked], settings: params.Evaluate) -> dict[str, Any] | None:
    """The section ood; None where no class is kept aside."""
    aside = asked.get("aside")
    if aside is None:
        return None
    reference = ood.Reference.fit(asked["val"].early, asked["val"].targets)
    inside, outside = (ood.scores(part.logits, part.early, reference) for part in (asked["test"], aside))
    return ood.section(inside, outside, list(aside.tiles["class"]), settings)


def _draw(
    test: Asked, probabilities: Floats, fitted: Calibration, report: Mapping[str, Any], confidence: float
) -> dict[str, Any]:
    """Write the plots of the test tiles; return what the report shows of them."""
    truth, right = test.targets, probabilities.argmax(1) == test.targets
    reliability = calibration.before_and_after(test.logits, truth, fitted.scaling, confidence)
    declined = abstention.curve(probabilities.max(axis=1), right, confidence)
    plots.write(truth, probabilities, report["labels"])
    plots_certainty.write(reliability, declined, report["abstention"]["coverage"]["value"])
    return {
        "confusion": confusion(truth, probabilities.argmax(1), probabilities.shape[1]),
        "roc": pd.read_csv(plots.FOLDER / "roc.csv"),
        "pr": pd.read_csv(plots.FOLDER / "pr.csv"),
        "reliability": reliability,
        "abstention": declined,
    }


def _explain(
    store: TileStore, model: Classifier, known: Sequence[Asked], fitted: Calibration, names: list[str], seed: int
) -> dict[str, Any]:
    """Explain the answers to tiles that the network has not learnt from; return what the report shows of it."""
    tiles = pd.concat([part.tiles for part in known])
    features = np.concatenate([part.answers.features for part in known])
    probabilities = np.exp(fitted.scaling.log_probabilities(np.concatenate([part.logits for part in known])))
    found = explain.write(store, model, tiles, probabilities, features, names, seed)
    return {"galleries": found.galleries, "embedding": found.embedding, "suspects": found.suspects}


def _map(store: TileStore, split: pd.DataFrame, found: Mapping[str, Any]) -> bytes:
    """Write the map of the split; return its PNG."""
    tiles = split[["split"]].join(store.index[store.index.columns.intersection(PLACE)])
    with atomic(plots.FOLDER / "split_map.png") as part:
        figure = split_map.draw(tiles, found.get("nearest_test_to_train_km"))
        figure.savefig(part, dpi=110, format="png", metadata={"Software": None})
    return (plots.FOLDER / "split_map.png").read_bytes()


def _earlier() -> dict[str, Any]:
    """What the stages before this one found, for the report."""
    facts: dict[str, Any] = {Path(file).stem: read_json(Path(file), *of) for file, of in _EARLIER.items()}
    return facts | {
        "history": read_csv(plots.FOLDER / "history.csv", "train", results.HISTORY_COLUMNS),
    }


def _predictions(test: pd.DataFrame, probabilities: Floats, names: list[str]) -> pd.DataFrame:
    table = test[["row", "file", "class"]].reset_index(drop=True)
    table["truth"] = np.take(names, test["target"])
    table["prediction"] = np.take(names, probabilities.argmax(1))
    table["correct"] = table["truth"] == table["prediction"]
    for i, name in enumerate(names):
        table[f"p_{name}"] = probabilities[:, i]
    return table
