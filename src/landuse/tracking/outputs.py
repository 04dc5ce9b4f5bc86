"""What the pipeline has written, read back as metrics, history, pictures and pointers."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import TypedDict

from landuse.core.errors import UserError
from landuse.core.outputs import read_csv, read_json
from landuse.core.paths import EXPORT, HISTORY, MODEL, workspace
from landuse.core.results import HISTORY_COLUMNS

_PREFIXES = {"evaluate": "test"}  # evaluate.json -> test/...; the other files keep their names

Stages = dict[str, Any]  # name -> stage, as in dvc.yaml


_Params = TypedDict("_Params", {"train.recipe": str, "model.backbone": str})


class Model(TypedDict):
    """What tags a run."""

    identity: str
    backbone: str
    data_digest: str
    params_digest: str
    params: _Params


def before(stage: str) -> Stages:
    """Return the stages before one: dvc.yaml lists them in the order of their dependencies."""
    stages = _all_stages()
    names = list(stages)
    return {name: stages[name] for name in names[: names.index(stage)]}


def until(last: str) -> Stages:
    """Return a stage and those before it."""
    return before(last) | {last: _all_stages()[last]}


def up_to_date() -> Stages:
    """Return the stages whose outputs belong to what they depend on now, by ``dvc status``."""
    from dvc.exceptions import DvcException  # half a second
    from dvc.repo import Repo

    try:
        with Repo(str(workspace())) as repo:
            changed = repo.status()
    except DvcException as error:
        told = f"'dvc status' failed ({' '.join(str(error).split())})"
        raise UserError(f"{told}: mend that first; 'landuse repair' may do it") from error
    if "train" in changed:  # then nothing tells whether the other files belong to this model
        raise UserError("stage train is not up to date: run 'dvc repro' first")
    return {name: stage for name, stage in _all_stages().items() if name not in changed}


def model() -> Model:
    """Return what model.json says of the trained model."""
    return read_json(workspace() / MODEL / "model.json", "train", Model)


def history(stages: Stages) -> list[dict[str, Any]]:
    """Return the rows of history.csv, without what is blank; none when it is not among the outputs of these stages."""
    found = [(file, stage) for file, stage in _outputs(stages).items() if file == workspace() / HISTORY]
    tables = [read_csv(file, stage, HISTORY_COLUMNS) for file, stage in found]
    rows = [row for table in tables for row in table.to_dict("records")]
    return [{str(key): value for key, value in row.items() if value == value} for row in rows]  # a blank is NaN


def metrics(stages: Stages) -> dict[str, float]:
    """Return all numbers that were measured, flat; ``test/`` stands before those of evaluate.json.

    MLflow's lists are alphabetical, and its page of charts shows first what has a slash in its name. So what people
    compare is called ``test/accuracy``, and the details behind it ``verbose.test.labels.City.recall``: after the curves
    ``val_loss``.
    """
    numbers: dict[str, float] = {}
    for file, stage in _outputs(stages).items():
        folder, prefix = file.parent.name, f"{_PREFIXES.get(file.stem, file.stem)}/"
        if file.suffix == ".json" and folder in ("metrics", "reports"):
            found = flat(read_json(file, stage, dict[str, Any]), prefix)
            details = {f"verbose.{name.replace('/', '.')}": value for name, value in found.items()}
            numbers |= found if folder == "metrics" else details
    return numbers


def artefacts(stages: Stages, log_model: bool) -> list[tuple[Path, str]]:
    """Return the files to store, each with its folder there: pictures, report, model card, the model if asked for."""
    folders = {".png": "plots", ".html": "reports"}
    wanted = {"MODEL_CARD.md", *(["model.json", "model.onnx", "reference.npz"] if log_model else [])}
    files = _files(stages)
    shown = [(file, folders[file.suffix]) for file in files if file.suffix in folders]
    return shown + [(f, "export") for f in files if f.parent == workspace() / EXPORT and f.name in wanted]


def pointer(stages: Stages) -> dict[str, str]:
    """Return tags that say which file is the exported model, by its path and its SHA-256."""
    path = EXPORT / "model.onnx"
    if workspace() / path not in _files(stages):
        return {}
    with (workspace() / path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"landuse.export.path": path.as_posix(), "landuse.export.sha256": digest}


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested tables under names like ``test/recall/Forest``; texts and lists are left out.

    A key ``value`` stands for its table, and ``low`` and ``high``, the ends of its interval, are put beside
    it: ``{"accuracy": {"value": .9, "low": .8, "high": 1.}}`` gives accuracy, accuracy_low and accuracy_high.
    """
    numbers: dict[str, float] = {}
    for key, value in content.items():
        name = prefix + re.sub(r"[^\w.\- ]", "_", str(key))  # MLflow takes no other characters
        if isinstance(value, Mapping) and "value" in value:
            numbers |= flat({key: value["value"]}, prefix)
            numbers |= flat({end: value[end] for end in ("low", "high") if end in value}, f"{name}_")
        elif isinstance(value, Mapping):
            numbers |= flat(value, f"{name}/")
        elif isinstance(value, int | float):
            numbers[name] = float(value)
    return numbers


def _all_stages() -> Stages:
    stages: Stages = yaml.safe_load((workspace() / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return stages


def _outputs(stages: Stages) -> dict[Path, str]:
    """Return what these stages write, as far as it is there, each with the stage that does.

    An entry is a path, or a table of it and its settings.
    """
    found = {}
    for name, stage in stages.items():
        for entry in (entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])):
            found[workspace() / (entry if isinstance(entry, str) else next(iter(entry)))] = name
    return {file: name for file, name in found.items() if file.exists()}


def _files(stages: Stages) -> list[Path]:
    """Return their outputs, and of an output that is a folder the files in it."""
    return [file for out in _outputs(stages) for file in (sorted(out.iterdir()) if out.is_dir() else [out])]
