"""The last result in a few lines: how good, where everything is, what to type next."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from landuse.core.outputs import read_json
from landuse.core.paths import EVALUATION, MODEL
from landuse.core.results import Headline

# MLflow opens on a page for language models unless the address says otherwise
RUNS = "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning"
EXPERIMENTS = r"dvc exp show --only-changed --drop '(?!Exp|accuracy$|macro|nll|\w+\.)'"
_PLACES = """\
  report        reports/index.html         (open it in a browser: everything, in plain words)
  plots         plots/                     (dvc plots show)
  metrics       metrics/                   (dvc metrics show; all numbers: reports/evaluate.json)
  predictions   data/predictions.csv
  model         models/export/model.onnx   (how to use it: models/export/MODEL_CARD.md)"""
_NEXT = f"""\
Next:
  mlflow ui                                    # this run, its curves and plots, in a browser:
    {RUNS}
  dvc exp run -S train.lr=1e-4                 # one variant
  {EXPERIMENTS}   # what changed
  landuse compare                              # with intervals: is it better?"""
_REAL = "  dvc exp run -S data.source=eurosat_rgb       # the real EuroSAT"
_SIMULATED = "  These tiles are simulated: the numbers show that everything works, and nothing about real land."
_SHOWN = {"accuracy": "accuracy", "macro_f1": "macro-F1"}


class _Model(TypedDict):
    backbone: str
    classes: list[str]
    source: str


def text() -> str:
    """Return the summary of the pipeline in the current folder.

    Raises UserError: nothing has been measured here yet, or what was is damaged.
    """
    found, model = read_json(EVALUATION, "evaluate", Headline), read_json(MODEL / "model.json", "train", _Model)
    real = [] if model["source"] == "eurosat_rgb" else [_REAL]
    return "\n".join([*_results(found, model), "", _PLACES, "", _NEXT, *real])


def _results(found: Mapping[str, Any], model: _Model) -> list[str]:
    classes = model["classes"]
    task = " or ".join(classes) if len(classes) <= 3 else f"{len(classes)} classes"
    lines = [f"{task}: {model['backbone']}, {found['n']:,} test tiles of {model['source']}", ""]
    width = max(len(name) for name in (*found["baselines"], "this model")) + 2
    level = f"{100 * found['confidence']:g} % interval"
    lines.append(f"  {'':{width}}" + "".join(f"{f'{name}, {level}':30}" for name in _SHOWN.values()).rstrip())
    for name, measures in {"this model": found, **found["baselines"]}.items():
        cells = "".join(f"{_cell(measures[key]):30}" for key in _SHOWN)
        lines.append(f"  {name.replace('_', ' '):{width}}{cells}".rstrip())
    if model["source"] == "sample":
        lines += ["", _SIMULATED]
    return lines


def _cell(measure: Mapping[str, Any]) -> str:
    if measure["value"] is None:
        return "undefined"
    if measure["low"] is None:
        return f"{measure['value']:.4f}"
    return f"{measure['value']:.4f} ({measure['low']:.4f}-{measure['high']:.4f})"
