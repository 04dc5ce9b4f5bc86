"""Tiles cut into patches: their pixels, names, places and groups, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from conftest import DEFAULTS
from rasterio.windows import Window

from landuse import params
from landuse.core.errors import UserError
from landuse.data import writer
from landuse.data.sources import open_source
from landuse.data.sources.collection import Collection, GeoRef, Tile
from landuse.data.sources.coordinates import with_coordinates
from landuse.data.sources.patches import in_patches
from landuse.pictures import BadTile
from landuse.tiles.store import open_store

NAMES = ["Forest/Forest_1.tif", "Forest/Forest_10.tif", "Water/a.b"]
PIXELS = np.random.default_rng(3).integers(0, 9000, (3, 16, 16, 2), dtype=np.uint16)
PLACE = GeoRef(32633, left=500_000.0, bottom=5_000_000.0, right=500_160.0, top=5_000_160.0)


def tile_of(name: str) -> Tile:
    number = NAMES.index(name)
    return Tile(PIXELS[number], f"{number:064}", PLACE if number == 0 else None)


def tiles(read: Callable[[str], Tile] = tile_of) -> Collection:
    return Collection("made", NAMES, read, ("B02", "B08"), 16, np.dtype(np.uint16), "", "", digest="official")


def test_patches_are_the_tile_put_together() -> None:
    cut = in_patches(tiles(), 8)
    quarters = [f"Forest/Forest_1#{row}-{column}.tif" for row in (0, 1) for column in (0, 1)]
    assert cut.names[:4] == quarters
    assert cut.names[8:] == ["Water/a#0-0.b", "Water/a#0-1.b", "Water/a#1-0.b", "Water/a#1-1.b"]
    upper, lower = ([cut.read(name).pixels for name in pair] for pair in (quarters[:2], quarters[2:]))
    assert np.array_equal(np.vstack([np.hstack(upper), np.hstack(lower)]), PIXELS[0])
    assert {cut.read(name).group for name in cut.names} == set(NAMES)
    assert cut.digest is None  # the official one is of whole tiles


def test_a_patch_knows_its_bounds() -> None:
    cut = in_patches(tiles(), 8)
    place = cut.read("Forest/Forest_1#1-0.tif").georef
    assert place == GeoRef(32633, left=500_000.0, bottom=5_000_000.0, right=500_080.0, top=5_000_080.0)
    assert cut.read("Forest/Forest_10#1-0.tif").georef is None


def test_a_smaller_choice_is_within_a_larger_one_and_differs_from_tile_to_tile() -> None:
    few, more = (in_patches(tiles(), 8, count).names for count in (1, 3))
    assert (len(few), len(more)) == (3, 9)
    assert set(few) < set(more)
    many = [f"Forest/{n}.tif" for n in range(40)]
    drawn = in_patches(Collection("", many, tile_of, ("B02",), 16, np.dtype(np.uint16), "", ""), 8, 1).names
    assert {name.partition("#")[2] for name in drawn} == {"0-0.tif", "0-1.tif", "1-0.tif", "1-1.tif"}


def test_equal_patches_are_no_copies_but_equal_tiles_are(tmp_path: Path) -> None:
    water = np.zeros((16, 16, 2), np.uint16)
    water[0, 0] = 7  # three quarters have one value

    def read(name: str) -> Tile:
        return Tile(water, "a" * 64) if name.startswith("Forest") else tile_of(name)

    with pytest.raises(UserError, match=r"4 of 12 tiles .*Forest_10#0-0.tif: same bytes as Forest/Forest_1#0-0.tif"):
        writer.write(tmp_path / "store", in_patches(tiles(read), 8))
    writer.write(tmp_path / "store", in_patches(tiles(read), 8), max_quarantined=4)
    assert open_store(tmp_path / "store").index["file"].str.contains("Forest_1#").sum() == 4


def test_a_tile_of_one_value_or_a_broken_one_has_no_patch() -> None:
    def read(name: str) -> Tile:
        if name == NAMES[0]:
            raise BadTile("its reason")
        return Tile(np.full((16, 16, 2), 5, np.uint16), "")

    cut = in_patches(tiles(read), 8)
    for name, reason in ((cut.names[0], "its reason"), (cut.names[4], r"constant: every pixel is \[5, 5\]")):
        with pytest.raises(BadTile, match=reason):
            cut.read(name)


@pytest.mark.long
def test_the_store_holds_patches_and_their_tiles(tmp_path: Path, data: Callable[..., params.Data]) -> None:
    whole = open_source(data(sample={"tiles_per_class": 1, "seed": 7}))
    writer.write(tmp_path / "tiles", whole)
    writer.write(tmp_path / "patches", in_patches(whole, 32))
    uncut, cut = open_store(tmp_path / "tiles"), open_store(tmp_path / "patches")
    assert "group" not in uncut.index
    assert cut.images.shape == (40, 32, 32, 3)
    assert (cut.info["tile_size"], cut.info["tiles"], cut.info["classes"]["River"]) == (32, 40, 4)
    assert list(cut.index["group"]) == list(np.repeat(uncut.index["file"], 4))
    corner = cut.index.groupby("group")[["left", "bottom", "right", "top"]].agg(
        {"left": "min", "bottom": "min", "right": "max", "top": "max"}
    )
    assert np.array_equal(corner.to_numpy(), uncut.index[list(corner.columns)].to_numpy())
    middle = cut.index.groupby("group")[["latitude", "longitude"]].mean()
    assert np.allclose(middle, uncut.index[["latitude", "longitude"]], atol=2e-6)


def test_tiles_of_a_polygon_share_a_group_and_so_do_their_patches(tmp_path: Path) -> None:
    table = tmp_path / "where.csv"
    table.write_text("file,latitude,longitude,group\nForest_1,50,8,p7\nForest_10,50,8,p7\na.b,51,9,\n")
    placed = with_coordinates(tiles(), str(table))
    assert [placed.read(name).group for name in NAMES] == ["p7", "p7", None]
    assert placed.read(NAMES[0]).georef == PLACE  # what a file says of itself stays
    cut = in_patches(placed, 8)
    assert pd.Series([cut.read(name).group for name in cut.names]).value_counts().to_dict() == {"p7": 8, "Water/a.b": 4}


def test_a_polygon_of_two_classes_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "where.csv"
    table.write_text("file,latitude,longitude,group\nForest_1,50,8,1\na.b,51,9,1\n")
    told = "Forest/Forest_1.tif and Water/a.b, of different classes, in the group '1': number the polygons"
    with pytest.raises(UserError, match=told):
        with_coordinates(tiles(), str(table))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"patch_size": 8, "tile_size": 100}, r"patch_size is 8, which does not divide tile_size \(100\): .* of 96"),
        ({"patch_size": 32, "tile_size": 16}, r"does not divide tile_size \(16\): choose a tile_size of 32"),
        ({"patch_size": 12}, "patch_size"),
        ({"patches_per_tile": 3}, "patches_per_tile is set, but patch_size is null"),
        ({"patch_size": 32, "patches_per_tile": 5}, "a tile of 64 pixels has 4 patches of 32"),
    ],
)
def test_patches_that_do_not_fit_are_refused_before_any_work(changes: dict[str, int], told: str) -> None:
    with pytest.raises(UserError, match=told):
        params.read(DEFAULTS / "params.yaml", {f"data.{key}": value for key, value in changes.items()})


def test_bounds_of_patches_of_real_tiles_are_rasterios(real_data: Path, data: Callable[..., params.Data]) -> None:
    archive = real_data / "EuroSAT_MS_469.zip"
    bands = ["B02", "B12"]
    cut = open_source(data(source="eurosat_ms", url=str(archive), bands=bands, patch_size=16, patches_per_tile=2))
    name = cut.names[1]
    tile, place = cut.read(name), name.rpartition("#")[2].removesuffix(".tif")
    row, column = (16 * int(number) for number in place.split("-"))
    with rasterio.open(f"zip://{archive}!EuroSAT_MS/{tile.group}") as file:
        window = Window(column, row, 16, 16)
        assert np.array_equal(tile.pixels.transpose(2, 0, 1), file.read([2, 12], window=window))
        found = file.window_bounds(window)
    assert tile.georef is not None
    assert np.allclose([tile.georef.left, tile.georef.bottom, tile.georef.right, tile.georef.top], found, atol=1e-6)
