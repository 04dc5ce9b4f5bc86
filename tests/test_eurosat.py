"""All 27,000 tiles of the real EuroSAT, stored once: the official content, near duplicates, and what a model learns."""

import hashlib
import io
import json
import shutil
import zipfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import DEFAULTS, ROOT
from PIL import Image

import stages
from landuse import params, tracking
from landuse.core.paths import TILES
from landuse.data import writer
from landuse.data.sources import eurosat, open_source
from landuse.data.splits import leakage
from landuse.evaluation.metrics import wilson
from landuse.tiles.store import TileStore, open_store

pytestmark = [pytest.mark.long, pytest.mark.real]

# City/Farmland, one epoch of `fast` on a quarter of the training tiles, seed 42: the number correct when last measured
BASELINE, TESTED = 2263, 2325


@pytest.fixture(scope="module")
def folder(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they are stored."""
    section = params.read(DEFAULTS / "params.yaml").data.model_dump()
    where = {"url": real_data / "EuroSAT_RGB.zip", "coordinates": real_data / "splits" / "eurosat_coords.csv"}
    section |= {"source": "eurosat_rgb"} | {key: str(path) for key, path in where.items()}
    made = tmp_path_factory.mktemp("eurosat") / TILES
    writer.write(made, open_source(params.Data.model_validate(section)))
    return made


@pytest.fixture(scope="module")
def store(folder: Path) -> TileStore:
    return open_store(folder)


def test_all_27000_real_tiles_are_the_official_ones(real_data: Path, folder: Path, store: TileStore) -> None:
    assert store.info["digest"] == eurosat.RGB_DIGEST
    assert store.info["official"] is True
    assert store.images.shape == (27_000, 64, 64, 3)
    assert store.info["classes"] == {
        **dict.fromkeys(("AnnualCrop", "Forest", "HerbaceousVegetation", "Residential", "SeaLake"), 3000),
        **dict.fromkeys(("Highway", "Industrial", "PermanentCrop", "River"), 2500),
        "Pasture": 2000,
    }
    assert list(store.index["file"]) == sorted(store.index["file"])
    assert (folder / "quarantine.csv").read_text() == "file,reason\n"
    with zipfile.ZipFile(real_data / "EuroSAT_RGB.zip") as archive:
        for row in (0, 13_000, 26_999):
            content = archive.read(f"EuroSAT_RGB/{store.index['file'][row]}")
            assert np.array_equal(store.images[row], np.asarray(Image.open(io.BytesIO(content))))
            assert store.index["sha256"][row] == hashlib.sha256(content).hexdigest()
    table = pd.read_csv(real_data / "splits" / "eurosat_coords.csv")
    expected = dict(zip(table["class"] + "/" + table["file"], table["latitude"], strict=True))
    assert np.allclose(store.index["latitude"], [expected[file] for file in store.index["file"]], atol=1e-6)


def test_eurosat_has_no_exact_duplicate_and_four_near_ones(store: TileStore) -> None:
    """All four are the same place: their centres lie 7 to 44 m from each other (eurosat_coords.csv)."""
    split = store.index[["row", "file", "class"]].assign(split="train")
    near, counts = leakage.audit(store, split, params.read(DEFAULTS / "params.yaml").split.near_duplicate_bits)
    assert counts == {
        "exact_across_parts": 0,
        "exact_within_parts": 0,
        "near_across_parts": 0,
        "near_within_parts": 4,
    }
    assert list(zip(near["file"], near["other_file"], strict=True)) == [
        ("River/River_492.jpg", "River/River_597.jpg"),
        ("River/River_111.jpg", "River/River_1680.jpg"),
        ("Highway/Highway_291.jpg", "Highway/Highway_513.jpg"),
        ("River/River_322.jpg", "River/River_815.jpg"),
    ]


def test_a_short_training_is_as_good_as_it_was(real_data: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder.parents[1]
    monkeypatch.chdir(root)
    stages.untracked(monkeypatch)
    monkeypatch.setattr(tracking, "run", lambda *_: nullcontext())
    for code in ("src", "stages"):
        (root / code).symlink_to(ROOT / code)
    shutil.copy(DEFAULTS / "dvc.yaml", root)
    content = yaml.safe_load((DEFAULTS / "params.yaml").read_text())
    content["data"] |= {"source": "eurosat_rgb", "url": str(real_data / "EuroSAT_RGB.zip"), "fraction": 0.25}
    content["train"]["epochs"] = 1
    content["evaluate"]["bootstrap"] = 200
    (root / "params.yaml").write_text(yaml.safe_dump(content))
    for stage in ("map_to_binary", "split", "train", "evaluate"):
        stages.RUN[stage](params.load(stage))
    assert json.loads((root / "reports/split.json").read_text())["tiles"] == {
        "train": 2712,
        "val": 2325,
        "test": 2325,
        "aside": 11500,
        "unlisted": 0,
        "buffer": 0,
        "unused": 8138,
    }
    measured = json.loads((root / "reports/evaluate.json").read_text())
    assert measured["n"] == TESTED
    floor = wilson(BASELINE, TESTED, 0.999)["low"]
    assert floor is not None
    assert measured["accuracy"]["value"] >= floor, measured["accuracy"]
    assert measured["accuracy"]["low"] > measured["baselines"]["band_statistics"]["accuracy"]["high"]
