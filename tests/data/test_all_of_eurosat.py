"""All 27,000 tiles of the real EuroSAT, stored once: the official content, and the near duplicates among them."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import DEFAULTS
from PIL import Image

from landuse import params
from landuse.data import writer
from landuse.data.sources import eurosat, open_source
from landuse.data.splits import leakage
from landuse.tiles.store import TileStore, open_store

pytestmark = [pytest.mark.long, pytest.mark.real]


@pytest.fixture(scope="module")
def folder(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where they are stored."""
    section = params.read(DEFAULTS / "params.yaml").data.model_dump()
    where = {"url": real_data / "EuroSAT_RGB.zip", "coordinates": real_data / "splits" / "eurosat_coords.csv"}
    section |= {"source": "eurosat_rgb"} | {key: str(path) for key, path in where.items()}
    made = tmp_path_factory.mktemp("eurosat") / "tiles"
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
