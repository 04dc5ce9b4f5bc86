"""No split divides a tile that was cut into patches, or a polygon."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import DEFAULTS

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.core.paths import SPLIT, TILES
from landuse.data import labels, writer
from landuse.data.sources.collection import Collection, GeoRef, Tile
from landuse.data.sources.patches import in_patches
from landuse.data.splits import stage as splits
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store

NAMES = [f"{label}/{label}_{n:02}.tif" for label in ("2018", "Forest", "NA") for n in range(20)]
IMAGES = np.random.default_rng(5).integers(0, 256, (len(NAMES), 32, 32, 3), dtype=np.uint8)
CONTENT = yaml.safe_load((DEFAULTS / "params.yaml").read_text())


def tile_of(name: str) -> Tile:
    """Tiles of 320 m lie along a parallel, 2 km from each other, classes mixed."""
    number = NAMES.index(name)
    west, north = 300_000.0 + 2_000 * (number % 20), 5_000_000.0 - 2_000 * (number // 20)
    return Tile(IMAGES[number], f"{number:064}", GeoRef(32633, west, north - 320, west + 320, north))


def tiles(read: Any = tile_of) -> Collection:
    return Collection("made", NAMES, read, sensors.RGB, 32, np.dtype(np.uint8), "none", "none")


def dealt(collection: Collection, fraction: float = 1.0, **split: Any) -> pd.DataFrame:
    """Write a store, label it and deal it; the split with the groups beside it."""
    content = deepcopy(CONTENT)
    content["data"]["fraction"] = fraction
    content["mapping"] = {"preset": "two", "tables": {"two": {"Old": ["NA"], "New": ["2018"]}}}
    content["split"] |= {"block_km": 5} | split
    p = params.Params.model_validate(content)
    writer.write(TILES, collection)
    labels.run(p)
    splits.run(p)
    store = open_store()
    made = read_split(store)
    return made.assign(group=store.index["group"]) if "group" in store.index else made


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sides(made: pd.DataFrame) -> pd.Series:
    """In how many parts each group is."""
    used = made[made["split"].isin(params.PARTS)]
    assert set(used["split"]) == set(params.PARTS)
    return used.groupby("group")["split"].nunique()


@pytest.mark.parametrize("method", ["stratified", "kfold", "spatial", "spatial_kfold"])
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_no_tile_is_on_both_sides(method: str, fraction: float) -> None:
    made = dealt(in_patches(tiles(), 8), fraction, method=method)
    assert (sides(made) == 1).all()
    train = made[made["group"].isin(made.loc[made["split"] == "train", "group"])]
    assert set(train["split"]) <= {"train", "buffer"}  # no tile is thinned by a part
    assert ((made["split"] == "unused").any()) == (fraction < 1)


@pytest.mark.parametrize("method", ["stratified", "kfold", "spatial", "spatial_kfold"])
def test_patches_are_dealt_as_their_tiles_would_be(method: str) -> None:
    whole = dealt(tiles(), 0.5, method=method, buffer_km=0)
    cut = dealt(in_patches(tiles(), 16), 0.5, method=method, buffer_km=0)
    of_tile = whole.set_index("file")["split"]
    assert cut["group"].map(of_tile).tolist() == cut["split"].tolist()


def test_the_buffer_is_between_patches() -> None:
    cut = dealt(in_patches(tiles(), 16), method="spatial", buffer_km=1.9)
    assert (cut["split"] == "buffer").any()  # tiles lie 1.84 km apart from patch to patch
    assert (sides(cut) == 1).all()


@pytest.mark.parametrize("method", ["stratified", "kfold", "spatial", "spatial_kfold"])
def test_no_polygon_is_on_both_sides_and_who_has_none_stands_alone(method: str) -> None:
    def read(name: str) -> Tile:
        tile, number = tile_of(name), NAMES.index(name) % 20
        polygon = f"{name[0]}{number // 3}" if number < 15 else None
        return Tile(tile.pixels, tile.sha256, tile.georef, group=polygon)

    made = dealt(tiles(read), method=method)
    made["group"] = made["group"].mask(made["group"] == "", made["file"])
    assert made["group"].nunique() == 30
    assert (sides(made) == 1).all()


def lists(folder: Path, **parts: list[str]) -> dict[str, dict[str, Any]]:
    for part, names in parts.items():
        (folder / f"{part}.txt").write_text("\n".join(names) + "\n")
    return {part: {"list": str(folder / f"{part}.txt"), "sha256": None} for part in parts}


def by_tile(part: slice, *extra: str) -> list[str]:
    return [f"{label}/{label}_{n:02}.jpg" for label in ("2018", "NA") for n in range(20)[part]] + list(extra)


def test_lists_may_name_tiles_or_patches(place: Path) -> None:
    patch = "2018/2018_12#0-1.tif"
    chosen = lists(place, train=by_tile(slice(0, 10)), val=by_tile(slice(10, 12), patch), test=by_tile(slice(13, 20)))
    made = dealt(in_patches(tiles(), 16), method="published", published=chosen)
    assert (sides(made) == 1).all()
    assert made.query("group == '2018/2018_03.tif'")["split"].tolist() == ["train"] * 4
    assert made.query("group == '2018/2018_12.tif'")["split"].tolist() == ["unlisted", "val", "unlisted", "unlisted"]


def test_lists_that_divide_a_tile_are_refused(place: Path) -> None:
    patch = "2018/2018_03#0-1.tif"
    chosen = lists(place, train=by_tile(slice(0, 10)), val=by_tile(slice(10, 12)), test=by_tile(slice(13, 20), patch))
    told = r"2018_03#0-0.tif is in train and 2018/2018_03#0-1.tif in test, but both come from 2018/2018_03.tif"
    with pytest.raises(UserError, match=told):
        dealt(in_patches(tiles(), 16), method="published", published=chosen)
    assert not SPLIT.exists()


def test_equal_patches_of_one_value_may_be_in_two_parts_others_not() -> None:
    calm = IMAGES.copy()
    calm[:, :16, :16] = 40
    made = dealt(in_patches(tiles(lambda name: Tile(calm[NAMES.index(name)], name)), 16))
    assert (sides(made) == 1).all()
    calm[:, :16, :16, 0] = np.arange(16)
    with pytest.raises(UserError, match="the same pixels are in two parts"):
        dealt(in_patches(tiles(lambda name: Tile(calm[NAMES.index(name)], name)), 16))
