"""The stage report: pictures, explanations, the page and the model card, of what the other stages wrote."""

from pathlib import Path
from typing import Any

import numpy as np

from landuse import params, tracking
from landuse.core import results
from landuse.core.files import write_text
from landuse.core.outputs import damaged, read_bytes, read_csv, read_json, read_png
from landuse.model import saved
from landuse.report import Inputs, card, curves, explain, plots, plots_certainty, render
from landuse.spec import Answers, ModelSpec, answers
from landuse.spec.model import parse_calibration
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store

PAGE = Path("reports/index.html")
CARD = Path("models/export/MODEL_CARD.md")
HISTORY = Path("plots/history.csv")
PLOTS = Path("plots")
_CALIBRATION = Path("models/calibration.json")
_EXPORTED = Path("models/export/model.json")
# what other stages measured: the stage of each file, and its shape
_MEASURED: dict[str, tuple[str, type]] = {
    "reports/split.json": ("split", results.Split),
    "metrics/train.json": ("train", results.Train),
    "reports/collapse.json": ("train", results.Collapse),
    "reports/evaluate.json": ("evaluate", results.Evaluate),
    "reports/export.json": ("export", results.Export),
}
_TABLES = {
    "roc": {"fpr": "float64", "tpr": "float64"},
    "pr": {"recall": "float64", "precision": "float64"},
    "reliability": {"stage": "str"} | dict.fromkeys(("confidence", "accuracy", "count", "low", "high"), "float64"),
    "abstention": dict.fromkeys(("coverage", "accuracy", "low", "high", "threshold"), "float64"),
}


def run(p: params.Params) -> None:
    """Draw plots/*.png; explain the answers; write the page and the model card.

    Raises:
        UserError: an input is missing or damaged.
    """
    store = open_store()
    split = read_split(store)
    measured: dict[str, Any] = {Path(file).stem: read_json(Path(file), *of) for file, of in _MEASURED.items()}
    history = read_csv(HISTORY, "train", results.HISTORY_COLUMNS)
    tables: dict[str, Any] = {
        name: read_csv(PLOTS / f"{name}.csv", "evaluate", columns) for name, columns in _TABLES.items()
    }
    calibration = _parsed(_CALIBRATION, "evaluate", parse_calibration)
    spec = _parsed(_EXPORTED, "export", ModelSpec.parse)
    val, test = (Answers.load(answers.FOLDER / f"{part}.npz") for part in ("val", "test"))
    probabilities = np.exp(calibration.scaling.log_probabilities(np.concatenate([val.pooled(), test.pooled()])))
    tiles = split.loc[np.concatenate([val.rows, test.rows])]
    tested = probabilities[len(val) :]
    confusion = plots.write(test.targets, tested, measured["evaluate"]["labels"])
    plots_certainty.write(
        tables["reliability"], tables["abstention"], measured["evaluate"]["abstention"]["coverage"]["value"]
    )
    curves.draw(history, measured["train"]["best_epoch"], PLOTS / "training_curves.png")
    model, _ = saved.load()
    explained = explain.write(
        store,
        model,
        tiles,
        probabilities,
        np.concatenate([val.features, test.features]),
        spec.classes,
        p.evaluate.seed,
    )
    page = Inputs(
        measured["evaluate"],
        spec.model_dump(),
        store.info,
        **{name: measured[name] for name in ("split", "train", "collapse")},
        history=history,
        confusion=confusion,
        **tables,
        embedding=explained.embedding,
        suspects=explained.suspects,
        galleries=explained.galleries,
        split_map=read_png(PLOTS / "split_map.png", "split"),
    )
    write_text(CARD, card.render(spec, calibration.model_dump(), store.info, split, measured))
    write_text(PAGE, render(page))
    tracking.track("report", log_model=p.runtime.log_model)
    print(f"report: {PAGE}; model card: {CARD}")


def _parsed(path: Path, stage: str, parse: Any) -> Any:
    try:
        return parse(read_bytes(path, stage))
    except ValueError as error:
        raise damaged(path, stage, error) from None
