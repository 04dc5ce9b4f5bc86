"""A split by blocks of land: what lies together stays together."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.neighbors import BallTree

from landuse.errors import UserError
from landuse.params import PARTS, Fractions

_EARTH_KM = 6371.0088  # mean radius (IUGG)
_DEGREE_KM = np.pi / 180 * _EARTH_KM  # of latitude


def deal(tiles: pd.DataFrame, fractions: Fractions, block_km: float, seed: int) -> "pd.Series[str]":
    """Deal whole blocks so that every class comes as near to ``fractions`` as blocks allow.

    Blocks go from large to small, each to the part where it leaves the smallest chi-square distance between the
    counts and what ``fractions`` ask for, over all classes. The seed moves the grid and decides the order of blocks
    of equal size. Tiles without a label are dealt too, so that other mappings agree on the tests.

    Args:
        tiles: every tile of the data: columns file, class, target, and latitude and longitude in degrees.
        fractions: of every class.
        block_km: side of the blocks.
        seed: of the grid and of the order.

    Returns:
        The part of every tile; missing where a tile without a label has no coordinates.

    Raises:
        UserError: labelled tiles have no coordinates, or a class lies in too few blocks to be in every part.
    """
    _refuse_unplaced(tiles)
    placed = tiles.dropna(subset=["latitude", "longitude"])
    rng = np.random.Generator(np.random.PCG64(seed))
    blocks = _blocks(placed, block_km, rng.random(2))
    table = pd.crosstab(blocks, placed["class"])
    numbers = _assign(table.to_numpy(dtype=np.float64), np.array([getattr(fractions, part) for part in PARTS]), rng)
    part_of = {block: PARTS[number] for block, number in zip(table.index, numbers, strict=True)}
    parts = blocks.map(part_of)
    _refuse_missing_class(placed[placed["target"] >= 0], parts, block_km)
    return parts.reindex(tiles.index)


def _assign(
    counts: npt.NDArray[np.float64], fractions: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Return the number of the part of each block. counts: (blocks, classes); fractions: (parts,)."""
    goal = fractions[:, None] * counts.sum(axis=0)
    dealt = np.zeros_like(goal)
    parts = np.zeros(len(counts), dtype=np.intp)
    shuffled = rng.permutation(len(counts))
    for block in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]:
        count = counts[block]
        growth = ((count**2 + 2 * count * (dealt - goal)) / goal).sum(axis=1)  # of sum((dealt - goal)^2 / goal)
        parts[block] = np.argmin(growth)
        dealt[parts[block]] += count
    return parts


def _blocks(places: pd.DataFrame, block_km: float, shift: npt.NDArray[np.float64]) -> "pd.Series[str]":
    """The name of every tile's block, in a grid moved by ``shift`` blocks.

    The grid is the sinusoidal projection's with one scale a row: rows of equal height, cut into equal lengths along
    the parallel in their middle. Blocks stay square at every latitude, which they would not in degrees.
    """
    row = np.floor(places["latitude"] * _DEGREE_KM / block_km + shift[0])
    middle = (row + 0.5 - shift[0]) * block_km / _DEGREE_KM
    parallel = np.cos(np.radians(middle)).clip(lower=0.01)  # at the poles a row may lie beyond 90 degrees
    column = np.floor(places["longitude"] * _DEGREE_KM * parallel / block_km + shift[1])
    names: pd.Series[str] = row.astype("int64").astype(str) + "/" + column.astype("int64").astype(str)
    return names


def _refuse_unplaced(tiles: pd.DataFrame) -> None:
    if "latitude" not in tiles or tiles["latitude"].isna().all():
        raise UserError(
            "split.method is 'spatial', but the tiles have no coordinates: name a table (file, latitude, longitude) "
            "in data.coordinates, or use -S data.source=eurosat_ms"
        )
    labelled = tiles[tiles["target"] >= 0]
    without = labelled.loc[labelled["latitude"].isna(), "file"]
    if len(without):
        raise UserError(
            f"split.method is 'spatial', but {len(without)} of {len(labelled)} labelled tiles have no coordinates, "
            f"such as {without.iloc[0]}: add them to the table of data.coordinates, or remove them from the data"
        )


def _refuse_missing_class(known: pd.DataFrame, parts: "pd.Series[str]", block_km: float) -> None:
    for name, group in known.groupby("class"):
        for part in PARTS:
            if not (parts[group.index] == part).any():
                raise UserError(
                    f"class {name!r} has no tile in {part}, too few blocks of land hold it: lower split.block_km "
                    f"(it is {block_km:g}), add tiles from elsewhere, or leave the class out of the mapping"
                )


def nearest_km(tiles: pd.DataFrame) -> float | None:
    """Smallest great-circle distance in km between the centres of a test and a train tile, where they are known."""
    if "latitude" not in tiles:
        return None
    placed = tiles.dropna(subset=["latitude", "longitude"])
    train, test = (
        np.radians(placed.loc[placed["split"] == part, ["latitude", "longitude"]].to_numpy(dtype=np.float64))
        for part in ("train", "test")
    )
    if not len(train) or not len(test):
        return None
    distances, _ = BallTree(train, metric="haversine").query(test)
    return round(float(distances.min()) * _EARTH_KM, 3)
