"""A short run on the real EuroSAT reaches the accuracy that is stored here."""

import json
from pathlib import Path

import pytest
from workspace import clone

from landuse.evaluation.metrics import wilson

# City/Farmland, one epoch of `fast`, 2,325 test tiles, seed 42: the number correct when last measured
BASELINE, TILES = 2300, 2325


@pytest.mark.real
@pytest.mark.long
def test_one_epoch_on_the_real_tiles_is_as_good_as_it_was(real_data: Path, tmp_path: Path) -> None:
    workspace = clone(tmp_path / "clone")
    workspace.set(
        data__source="eurosat_rgb",
        data__url=str(real_data / "EuroSAT_RGB.zip"),
        train__epochs=1,
        evaluate__bootstrap=200,
    )
    workspace.run("dvc", "repro", "evaluate", OMP_NUM_THREADS="2")
    described = json.loads((workspace.path / "data/tiles/dataset.json").read_text())
    assert described["digest"] == "feefa5e365ffbf7cf1bf39f68dc5e96efc80f5234d9c1b91889277593b3627e1"
    assert json.loads((workspace.path / "reports/split.json").read_text())["tiles"] == {
        "train": 10850,
        "val": 2325,
        "test": 2325,
        "aside": 11500,
        "unlisted": 0,
        "buffer": 0,
        "unused": 0,
    }
    measured = json.loads((workspace.path / "reports/evaluate.json").read_text())
    assert measured["n"] == TILES
    floor = wilson(BASELINE, TILES, 0.999)["low"]
    assert floor is not None
    assert measured["accuracy"]["value"] >= floor
    assert measured["accuracy"]["low"] > measured["baselines"]["band_statistics"]["accuracy"]["high"]
