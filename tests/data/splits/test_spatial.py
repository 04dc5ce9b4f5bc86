"""The split by blocks of land: blocks whole, fractions met, and the distance between test and training told."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from landuse.core.errors import UserError
from landuse.data.splits import spatial
from landuse.data.splits.geography import nearest
from landuse.params import PARTS, Fractions

USUAL = Fractions(train=0.7, val=0.15, test=0.15)
DEGREE = 111.195  # km of a degree of latitude


def scattered(counts: dict[str, int], seed: int = 0) -> pd.DataFrame:
    """Tiles anywhere in Europe."""
    rng = np.random.default_rng(seed)
    files = [f"{name}/{i}.jpg" for name, count in counts.items() for i in range(count)]
    return pd.DataFrame(
        {
            "file": files,
            "class": [file.split("/")[0] for file in files],
            "target": 0,
            "latitude": rng.uniform(40, 60, len(files)),
            "longitude": rng.uniform(-5, 30, len(files)),
        }
    )


def carpet(side_km: int, latitude: float) -> pd.DataFrame:
    """One tile a kilometre, in a square; x and y are its kilometres east and north."""
    y, x = (axis.ravel() for axis in np.indices((side_km, side_km)))
    where = {"latitude": latitude + y / DEGREE, "longitude": 5 + x / DEGREE / np.cos(np.radians(latitude + y / DEGREE))}
    return pd.DataFrame(
        {"file": [f"a/{i}.jpg" for i in range(len(x))], "class": "a", "target": 0, "x": x, "y": y} | where
    )


def test_fractions_are_met_in_every_class() -> None:
    tiles = scattered({"a": 900, "b": 600, "c": 60})
    parts = spatial.deal(tiles, USUAL, block_km=50, seed=3)
    shares = pd.crosstab(tiles["class"], parts, normalize="index")
    for part in PARTS:
        assert shares[part].to_numpy() == pytest.approx(getattr(USUAL, part), abs=0.02)


@pytest.mark.parametrize("latitude", [0.3, 45.0, 65.0])
def test_blocks_are_whole_squares_of_the_size_asked_for(latitude: float) -> None:
    """Where neighbours part, a border runs: on squares of 20 km, one in 20 steps east or north crosses one."""
    tiles = carpet(120, latitude)
    parts = spatial.deal(tiles, Fractions(train=0.34, val=0.33, test=0.33), block_km=20, seed=1)
    grid = parts.to_numpy().reshape(120, 120)
    for borders, steps in ((grid[:, 1:] != grid[:, :-1], 119), (grid[1:] != grid[:-1], 119)):
        assert 0 < borders.mean() * steps <= 120 / 20 + 1
    places = spatial._blocks(tiles, 20, np.zeros(2))
    sizes = tiles.groupby(places)[["x", "y"]].agg(lambda km: km.max() - km.min() + 1)
    full = sizes[(sizes > 15).all(axis=1)]
    assert len(full) >= 16
    assert full.max().max() <= 22 and full.min().min() >= 16


def test_all_tiles_of_a_block_are_in_the_same_part() -> None:
    tiles = scattered({"a": 900, "b": 600})
    parts = spatial.deal(tiles, USUAL, block_km=100, seed=3)
    blocks = spatial._blocks(tiles, 100, np.random.Generator(np.random.PCG64(3)).random(2))
    assert 100 < blocks.nunique() < 1000
    assert parts.groupby(blocks).nunique().max() == 1


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    tiles = scattered({"a": 300, "b": 200})
    parts = spatial.deal(tiles, USUAL, block_km=100, seed=1)
    mixed = spatial.deal(tiles.sample(frac=1, random_state=0), USUAL, block_km=100, seed=1)
    assert mixed.loc[tiles.index].equals(parts)
    assert (spatial.deal(tiles, USUAL, block_km=100, seed=2) != parts).mean() > 0.2
    assert (spatial.deal(tiles, USUAL, block_km=600, seed=2) != spatial.deal(tiles, USUAL, 600, seed=1)).any()


def test_a_class_is_split_alike_whichever_classes_are_learnt() -> None:
    tiles = scattered({"a": 300, "b": 200})
    two = tiles.assign(target=np.where(tiles["class"] == "b", -1, 0))
    assert spatial.deal(two, USUAL, block_km=100, seed=1).equals(spatial.deal(tiles, USUAL, block_km=100, seed=1))


def test_tiles_kept_aside_need_no_coordinates_and_need_not_be_in_every_part() -> None:
    tiles = scattered({"a": 300, "b": 3})
    tiles.loc[tiles["class"] == "b", "target"] = -1
    tiles.loc[300, ["latitude", "longitude"]] = np.nan
    parts = spatial.deal(tiles, USUAL, block_km=100, seed=1)
    assert set(parts[:300]) == set(PARTS)
    assert parts.isna().sum() == 1


def test_tiles_without_coordinates_are_refused() -> None:
    tiles = scattered({"a": 30})
    nowhere = tiles.drop(columns=["latitude", "longitude"])
    for unplaced in (nowhere, nowhere.assign(latitude=np.nan, longitude=np.nan)):
        with pytest.raises(UserError, match=r"no coordinates: name a table .* data\.coordinates.*eurosat_ms"):
            spatial.deal(unplaced, USUAL, 20, 0)
    tiles.loc[[4, 7], ["latitude", "longitude"]] = np.nan
    with pytest.raises(UserError, match=r"2 of 30 labelled tiles have no coordinates, such as a/4\.jpg"):
        spatial.deal(tiles, USUAL, 20, 0)


def test_a_class_in_one_place_is_refused_by_name() -> None:
    tiles = scattered({"a": 300, "b": 30})
    tiles.loc[tiles["class"] == "b", ["latitude", "longitude"]] = (50.0, 10.0)
    with pytest.raises(UserError, match=r"class 'b' has no tile in .* lower split\.block_km \(it is 20\)"):
        spatial.deal(tiles, USUAL, 20, 0)


@pytest.mark.parametrize("block_km", [1e-3, 5000.0])
def test_no_size_of_blocks_breaks_it(block_km: float) -> None:
    tiles = scattered({"a": 50})
    tiles.loc[:3, "latitude"] = [-90.0, 90.0, 89.9, -89.9]
    tiles.loc[:3, "longitude"] = [180.0, -180.0, 0.0, 179.0]
    try:
        assert set(spatial.deal(tiles, USUAL, block_km, 0)) == set(PARTS)
    except UserError as error:
        assert block_km == 5000.0 and "lower split.block_km" in str(error)


def shortest_between_parts(tiles: pd.DataFrame, parts: "pd.Series[str]") -> float:
    """Of every two labelled tiles in different parts, the least distance in km, by the spherical law of cosines."""
    used = tiles.assign(part=parts)[(tiles["target"] >= 0) & parts.isin(PARTS)]
    latitude, longitude = np.radians(used[["latitude", "longitude"]].to_numpy()).T
    cosine = np.sin(latitude) * np.sin(latitude[:, None])
    cosine += np.cos(latitude) * np.cos(latitude[:, None]) * np.cos(longitude - longitude[:, None])
    apart = used["part"].to_numpy() != used["part"].to_numpy()[:, None]
    return float(6371.0088 * np.arccos(cosine.clip(-1, 1)[apart]).min())


@pytest.mark.long
@pytest.mark.parametrize("buffer_km", [1.5, 4.0])
def test_no_two_parts_come_nearer_than_the_buffer_and_the_test_stays_whole(buffer_km: float) -> None:
    tiles = carpet(60, 48)
    parts = spatial.deal(tiles, Fractions(train=0.4, val=0.3, test=0.3), block_km=15, seed=4)
    assert shortest_between_parts(tiles, parts) == pytest.approx(1, abs=0.01)
    kept = spatial.leave_buffer(tiles, parts, buffer_km)
    assert shortest_between_parts(tiles, kept) >= buffer_km - 1e-6
    assert (kept == "test").equals(parts == "test")
    moved = kept != parts
    assert set(kept[moved]) == {"buffer"} and 0.05 < moved.mean() < 0.5
    assert spatial.leave_buffer(tiles, parts, 0.0).equals(parts)


def test_validation_gives_way_to_the_test_alone_and_tiles_kept_aside_push_nobody_out() -> None:
    files = ["train", "val", "test", "train", "aside"]
    degrees = [0.0, 1 / DEGREE, 2 / DEGREE, 1.0, 1.0]
    tiles = pd.DataFrame({"file": files, "class": "a", "target": [0, 0, 0, 0, -1], "latitude": degrees, "longitude": 0})
    parts = pd.Series(["train", "val", "test", "train", "test"])
    with pytest.raises(UserError, match=r"class 'a' has no tile in val, .* lower split\.buffer_km \(it is 1\.5\)"):
        spatial.leave_buffer(tiles, parts, 1.5)
    far = tiles.copy()
    far.loc[2, "latitude"] = 2.0
    assert spatial.leave_buffer(far, parts, 1.5).tolist() == ["buffer", "val", "test", "train", "test"]


def test_over_the_folds_every_tile_is_in_the_test_once_and_its_block_with_it() -> None:
    tiles = scattered({"a": 900, "b": 600})
    folds = [spatial.kfold(tiles, USUAL, 5, fold, block_km=100, seed=3) for fold in range(5)]
    assert (sum((parts == "test").astype(int) for parts in folds) == 1).all()
    blocks = spatial._blocks(tiles, 100, np.random.Generator(np.random.PCG64(3)).random(2))
    for parts in folds:
        assert parts.groupby(blocks).nunique().max() == 1
        shares = pd.crosstab(tiles["class"], parts, normalize="index")
        assert shares["test"].to_numpy() == pytest.approx(0.2, abs=0.03)
        assert shares["val"].to_numpy() == pytest.approx(0.8 * 0.15 / 0.85, abs=0.03)


def test_a_class_in_one_place_cannot_be_folded() -> None:
    tiles = scattered({"a": 300, "b": 30})
    tiles.loc[tiles["class"] == "b", ["latitude", "longitude"]] = (50.0, 10.0)
    for fold in range(3):
        with pytest.raises(UserError, match=r"class 'b' has no tile in .* or split\.folds \(it is 3\)"):
            spatial.kfold(tiles, USUAL, 3, fold, 20, 0)


@pytest.mark.real
@pytest.mark.parametrize("block_km", [20, 100])
def test_eurosat_is_split_within_half_a_percent_of_the_fractions(real_data: Path, block_km: float) -> None:
    tiles = pd.read_csv(real_data / "splits" / "eurosat_coords.csv").assign(target=0)
    parts = spatial.deal(tiles, USUAL, block_km, 42)
    shares = pd.crosstab(tiles["class"], parts, normalize="index")
    for part in PARTS:
        assert shares[part].to_numpy() == pytest.approx(getattr(USUAL, part), abs=0.005)


@pytest.mark.real
def test_on_eurosat_the_default_buffer_costs_little_and_holds(real_data: Path) -> None:
    """No two tiles of different parts share a pixel, for 207 of 27,000 tiles; 20 km blocks, all ten classes."""
    tiles = pd.read_csv(real_data / "splits" / "eurosat_coords.csv").assign(target=0)
    parts = spatial.leave_buffer(tiles, spatial.deal(tiles, USUAL, 20, 42), 0.91)
    assert parts.value_counts().to_dict() == {"train": 18704, "val": 4039, "test": 4050, "buffer": 207}
    for one, other in ((0, 1), (0, 2), (1, 2)):
        distance, _ = nearest(tiles[parts == PARTS[one]], tiles[parts == PARTS[other]])
        assert distance.min() >= 0.91
