"""A classical model through all stages, in process: thirteen bands, and their indices."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import trained
from conftest import ROOT
from small import load

from landuse import params, tracking
from landuse.core.errors import UserError
from landuse.inference import Model
from landuse.model import saved
from landuse.spec.answers import Answers
from landuse.tiles.store import open_store
from landuse.training import distributed
from landuse.tuning import lr_find, speed
from stages import RUN, untracked

FEW = {
    "train.recipe": "classical",
    "recipes.classical.fit.random_forest.trees": 20,
    "recipes.classical.fit.gradient_boosting.iterations": 10,
    "evaluate.bootstrap": 100,
    "collapse.action": "warn",  # the tiles are noise
}


@pytest.fixture
def p(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> params.Params:
    """The params of one backbone, in a folder with tiles of 13 bands, without MLflow."""
    trained.build(tmp_path, trained.spec(bands=13), count=120, tests=20)
    for name in ("src", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    untracked(monkeypatch)
    monkeypatch.setattr(tracking, "run", lambda *_: nullcontext())
    return load(tmp_path, changes=FEW | {"model.backbone": request.param})


@pytest.mark.long
@pytest.mark.parametrize("p", ["logistic", "random_forest", "gradient_boosting"], indirect=True)
def test_every_stage_takes_a_classical_model(p: params.Params) -> None:
    RUN["train"](p)
    spec = saved.load()[1]
    assert [name for name, *_ in spec.channels or []][13:] == ["NDVI", "NDWI", "NDBI", "MNDWI", "BSI"]
    assert (spec.backbone, spec.weights, spec.input_size, spec.params["train.precision"]) == (
        p.model.backbone, "none", spec.tile_size, "fp32",
    )  # fmt: skip
    history = pd.read_csv("plots/history.csv")
    assert (len(history), history["phase"].tolist(), history["lr"].isna().all()) == (1, ["fit"], True)
    weights = Path("models/model/weights.safetensors").read_bytes()
    RUN["evaluate"](p)
    RUN["export"](p)
    RUN["report"](p)
    assert Path("models/export/dense.onnx").read_bytes() == b""
    assert Path("models/export/deepness.onnx").stat().st_size > 0
    assert "fitted at once" in Path("models/export/MODEL_CARD.md").read_text()
    page = Path("reports/index.html").read_text()
    assert "no heat maps" in page
    assert "the network" not in page.partition("<main")[2]
    answers = Answers.load(Path("models/answers/test.npz"), 10_000)
    assert answers.features.shape[1] == 7 * 18
    made = Model.load(Path("models/export")).predict(open_store().images[answers.rows])
    assert np.array_equal(made.probabilities.argmax(1), answers.pooled().argmax(1))
    assert json.loads(Path("metrics/train.json").read_text())["best_epoch"] == 1
    RUN["train"](p)
    assert Path("models/model/weights.safetensors").read_bytes() == weights


@pytest.mark.parametrize("p", ["logistic"], indirect=True)
def test_what_looks_for_a_way_to_train_has_nothing_to_find(p: params.Params, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no learning rate"):
        lr_find.run(p)
    with pytest.raises(UserError, match="no training speed"):
        speed.run(p, compiled=False)
    monkeypatch.setattr(distributed, "size", lambda: 2)
    with pytest.raises(UserError, match=r"one process.*torchrun"):
        RUN["train"](p)
