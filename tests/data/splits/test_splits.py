"""The split stage as a whole: what it writes, what it refuses, and what it leaves alone."""

import json
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import DEFAULTS

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.core.paths import LABELS, NEAR_DUPLICATES, SPLIT, SPLIT_REPORT, TILES
from landuse.data import labels, writer
from landuse.data.sources.collection import Collection, Tile
from landuse.data.splits import stage as splits
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store

NAMES = [f"{label}/{label}_{n}.png" for label in ("2018", "Forest", "NA") for n in range(40)]
IMAGES = np.random.default_rng(5).integers(0, 256, (len(NAMES), 32, 32, 3), dtype=np.uint8)
CONTENT = yaml.safe_load((DEFAULTS / "params.yaml").read_text())
TABLES = {"two": {"Old": ["NA"], "New": ["2018"]}}


def configured(fraction: float = 1.0, shots: int | None = None, **split: Any) -> params.Params:
    """params.yaml with a mapping of these classes, and some keys of ``split``, data.fraction and data.shots changed."""
    content = deepcopy(CONTENT)
    content["data"] |= {"fraction": fraction, "shots": shots}
    content["mapping"] = {"preset": "two", "tables": TABLES}
    content["split"] |= split
    return params.Params.model_validate(content)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a tile store and labels, which the test runs in."""
    monkeypatch.chdir(tmp_path)
    store(lambda name: IMAGES[NAMES.index(name)])
    labels.run(configured())
    return tmp_path


def store(pixels: Callable[[str], Any], placed: bool = True) -> None:
    """Write a tile store, whose tiles lie along a line 4 km from each other."""

    def read(name: str) -> Tile:
        number = NAMES.index(name)
        tile = Tile(pixels(name), f"{number:064}")
        return replace(tile, latitude=50.0, longitude=number * 4 / 71.5) if placed else tile

    writer.write(
        TILES,
        Collection(
            source="made",
            names=NAMES,
            read=read,
            bands=sensors.RGB,
            size=32,
            dtype=np.dtype(np.uint8),
            units="none",
            licence="none",
        ),
    )


def written(folder: Path) -> dict[str, bytes]:
    outputs = (SPLIT, NEAR_DUPLICATES, SPLIT_REPORT)
    return {str(path): (folder / path).read_bytes() for path in outputs}


def test_every_tile_gets_its_part_and_the_report_counts_them(place: Path) -> None:
    splits.run(configured())
    made = read_split(open_store())
    assert list(made.columns) == ["row", "file", "class", "label", "target", "split"]
    assert list(made["file"]) == NAMES
    assert list(made["row"]) == list(range(120))
    assert set(made.loc[made["class"] == "Forest", "split"]) == {"aside"}
    assert set(made.loc[made["class"] == "NA", "label"]) == {"Old"}
    assert made["split"].value_counts().to_dict() == {"train": 56, "val": 12, "test": 12, "aside": 40}
    report = json.loads((place / SPLIT_REPORT).read_text())
    assert report["method"] == "stratified"
    none = {"unlisted": 0, "buffer": 0, "unused": 0}
    assert report["tiles"] == {"train": 56, "val": 12, "test": 12, "aside": 40} | none
    assert report["labels"] == {label: {"train": 28, "val": 6, "test": 6} for label in ("Old", "New")}
    assert report["classes"] == {name: {"train": 28, "val": 6, "test": 6} for name in ("NA", "2018")}
    assert report["nearest_test_to_train_km"]["min"] == pytest.approx(4, rel=0.01)
    assert report["coordinates"] == "80 of 80 tiles"
    assert report["coordinates_only"]["accuracy"]["value"] > 0.9  # 2018 lies west of NA
    assert report["coordinates_only"]["majority"]["value"] == 0.5
    assert len(pd.read_csv(NEAR_DUPLICATES)) == 0


@pytest.mark.parametrize("method", ["stratified", "kfold", "spatial", "spatial_kfold"])
def test_a_second_run_writes_the_same_bytes(place: Path, method: str) -> None:
    splits.run(configured(method=method))
    first = written(place)
    splits.run(configured(method=method))
    assert written(place) == first


@pytest.mark.usefixtures("place")
def test_blocks_keep_neighbours_together() -> None:
    splits.run(configured(method="spatial", block_km=20))
    made = read_split(open_store()).query("split != 'aside'")
    neighbours = made["class"].eq(made["class"].shift()) & made["split"].eq(made["split"].shift())
    assert neighbours.sum() > 0.7 * len(made)  # by chance about half
    assert set(made["split"]) == set(params.PARTS)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("method", ["kfold", "spatial_kfold"])
def test_the_folds_share_out_the_tests(method: str) -> None:
    tested = []
    for fold in range(4):
        splits.run(configured(method=method, folds=4, fold=fold, block_km=12))
        made = read_split(open_store())
        assert {"train", "val", "test", "aside"} <= set(made["split"])
        tested += made.loc[made["split"] == "test", "file"].to_list()
    assert sorted(tested) == sorted(name for name in NAMES if not name.startswith("Forest"))


def test_the_buffer_is_left_out_and_counted(place: Path) -> None:
    splits.run(configured(method="spatial", buffer_km=5))
    report = json.loads((place / SPLIT_REPORT).read_text())
    assert report["tiles"]["buffer"] > 0
    assert report["nearest_test_to_train_km"]["min"] >= 5
    assert report["tiles"]["buffer"] == (read_split(open_store())["split"] == "buffer").sum()


def test_fewer_training_tiles_leave_validation_and_test_as_they_are(place: Path) -> None:
    splits.run(configured())
    whole = read_split(open_store())["split"]
    kept = []
    for changes, count in (({"shots": 3}, 6), ({"fraction": 0.25}, 14), ({"fraction": 0.5}, 28)):
        splits.run(configured(**changes))
        made = read_split(open_store())["split"]
        assert made.where(made != "unused", "train").equals(whole)
        assert json.loads((place / SPLIT_REPORT).read_text())["tiles"]["unused"] == 56 - count
        kept.append(set(made.index[made == "train"]))
    assert kept[0] < kept[1] < kept[2]


def test_published_lists_leave_the_rest_unlisted_and_are_counted(place: Path) -> None:
    parts = {}
    for start, part in enumerate(params.PARTS):
        names = [f"{label}_{n}" for label in ("2018", "NA", "Forest") for n in range(start, 30, 3)]
        (place / f"{part}.txt").write_text("\n".join([*names, "NA_999"][: 30 if part != "test" else 31]))
        parts[part] = {"list": f"{part}.txt", "sha256": None}
    splits.run(configured(method="published", published=parts))
    report = json.loads((place / SPLIT_REPORT).read_text())
    rest = {"aside": 40, "unlisted": 20, "buffer": 0, "unused": 0}
    assert report["tiles"] == {"train": 20, "val": 20, "test": 20} | rest
    assert report["published"]["test"] == {"listed": 31, "not_in_data": 1}


def test_the_same_pixels_in_two_parts_stop_the_stage_and_leave_what_was_there(place: Path) -> None:
    splits.run(configured())
    before = written(place)
    made = read_split(open_store()).set_index("file")["split"]
    twins = {made.index[made == "test"][0]: made.index[made == "train"][0]}
    store(lambda name: IMAGES[NAMES.index(twins.get(name, name))])
    with pytest.raises(UserError, match=r"same pixels.*\(test\)"):
        splits.run(configured())
    assert written(place) == before


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ({"method": "published"}, "split.published.train.list is null"),
        ({"method": "spatial", "block_km": 5000.0}, "lower split.block_km"),
        ({"method": "kfold", "folds": 41}, "40 of at least 41"),
        ({"method": "spatial", "buffer_km": 300.0}, "lower split.buffer_km"),
        ({"fractions": {"train": 0.98, "val": 0.01, "test": 0.01}}, "40 of at least"),
    ],
)
def test_what_cannot_be_split_is_refused_and_nothing_written(place: Path, split: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as caught:
        splits.run(configured(**split))
    assert told in str(caught.value)
    assert not (place / "reports").exists()
    assert sorted(path.name for path in (place / "data").iterdir()) == ["labels.csv", "tiles"]


def test_without_coordinates_no_distance_is_reported_and_blocks_are_refused(place: Path) -> None:
    store(lambda name: IMAGES[NAMES.index(name)], placed=False)
    splits.run(configured())
    report = json.loads((place / SPLIT_REPORT).read_text())
    assert (report["nearest_test_to_train_km"], report["coordinates_only"]) == (None, None)
    assert "data.coordinates" in report["coordinates"]
    with pytest.raises(UserError, match=r"data\.coordinates"):
        splits.run(configured(method="spatial"))


def test_missing_inputs_are_named_with_the_stage_that_makes_them(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="run 'dvc repro split' first"):
        read_split(open_store())
    other = pd.read_csv(LABELS, keep_default_na=False)[:-1]
    other.to_csv(LABELS, index=False)
    with pytest.raises(UserError, match="does not belong to the tiles"):
        splits.run(configured())
    (place / LABELS).unlink()
    with pytest.raises(UserError, match="run 'dvc repro map_to_binary' first"):
        splits.run(configured())
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UserError, match="run 'dvc repro download' first"):
        splits.run(configured())


def test_reading_loads_no_source_and_splitting_neither_pictures_nor_torch(place: Path) -> None:
    """Whoever opens a tile store or a split waits for none of these, and is not run again when they change."""
    code = """
import sys
from pathlib import Path

def loaded(*names):
    return sorted(module for module in sys.modules if module.startswith(names))

from landuse import params
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store
store = open_store()
print(loaded("landuse.data", "requests", "urllib3", "matplotlib", "rasterio", "scipy", "torch", "mlflow"))
from landuse.data.splits import stage
stage.run(params.Params.model_validate_json(Path("params.json").read_text()))
read_split(store)
print(loaded("matplotlib", "rasterio", "torch", "timm", "mlflow"))
"""
    (place / "params.json").write_text(configured().model_dump_json())
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == done.stdout.splitlines()[-1] == "[]"
    assert (place / SPLIT_REPORT).is_file()
