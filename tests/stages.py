"""Every stage as a function of its params."""

from contextlib import chdir
from pathlib import Path

import pytest

from landuse import params, tracking
from landuse.core.outputs import read_json
from landuse.core.paths import TRAIN_METRICS
from landuse.core.results import Trained
from landuse.data import labels, writer
from landuse.data.splits import stage as splits
from landuse.evaluation import stage as evaluation
from landuse.export import stage as export
from landuse.prediction import stage as prediction
from landuse.report import stage as report
from landuse.training import stage as training


def evaluate(p: params.Params) -> None:
    """The stage as its script puts it together."""
    trained = read_json(TRAIN_METRICS, "train", Trained)
    evaluation.run(p, trained, prediction.run(p))


RUN = {
    "download": writer.run,
    "map_to_binary": labels.run,
    "split": splits.run,
    "train": training.run,
    "evaluate": evaluate,
    "export": export.run,
    "report": report.run,
}


def untracked(patch: pytest.MonkeyPatch) -> None:
    """Leave MLflow out."""
    patch.setattr(tracking, "check", lambda _: None)
    patch.setattr(tracking, "track", lambda *_, **__: "")


def finish(folder: Path) -> None:
    """Evaluate and export what ``trained.build`` made."""
    with chdir(folder), pytest.MonkeyPatch.context() as patch:
        untracked(patch)
        for stage in ("evaluate", "export"):
            loaded = params.load(stage)
            if stage == "evaluate":
                few = loaded.evaluate.model_copy(update={"bootstrap": 100})
                loaded = loaded.model_copy(update={"evaluate": few})
            RUN[stage](loaded)
