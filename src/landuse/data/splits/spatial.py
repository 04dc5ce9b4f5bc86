"""Splits by blocks of land, once or in folds: what lies together stays together, with a gap between the parts."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from numpy.random import Generator

from landuse.core.arrays import Floats
from landuse.core.errors import UserError
from landuse.core.geography import DEGREE_KM, PLACE
from landuse.data.splits.geography import nearest
from landuse.params import PARTS, Fractions


def deal(tiles: pd.DataFrame, fractions: Fractions, block_km: float, seed: int) -> "pd.Series[str]":
    """Deal whole blocks so that every class comes as near to ``fractions`` as blocks allow.

    Blocks go from large to small, each to the part where it leaves the smallest chi-square distance between the
    counts and what ``fractions`` ask for, over all classes. The seed moves the grid and decides the order of blocks
    of equal size. Tiles without a label are dealt too, so that other mappings agree on the tests.

    tiles: every tile of the data: columns file, class, target, and latitude and longitude in degrees. block_km: side of
    the blocks. Returns the part of every tile; missing where a tile without a label has no coordinates.

    Raises UserError: labelled tiles have no coordinates, or a class lies in too few blocks to be in every part.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    blocks, table = _in_blocks(tiles, block_km, rng)
    shares = np.array([getattr(fractions, part) for part in PARTS])
    names = np.take(PARTS, _assign(table.to_numpy(dtype=np.float64), shares, rng))
    return _named(tiles, blocks, table, names, f"lower split.block_km (it is {block_km:g})")


def kfold(
    tiles: pd.DataFrame, fractions: Fractions, folds: int, fold: int, block_km: float, seed: int
) -> "pd.Series[str]":
    """Deal whole blocks into ``folds`` alike in every class, of which one is the test; the others hold the rest.

    As ``deal``, but every tile is in the test of exactly one fold, and training and validation share the blocks of
    the others as they do in ``fractions``.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    blocks, table = _in_blocks(tiles, block_km, rng)
    counts = table.to_numpy(dtype=np.float64)
    rest = _assign(counts, np.full(folds, 1 / folds), rng) != fold
    shares = np.array([fractions.train, fractions.val]) / (fractions.train + fractions.val)
    names = np.full(len(counts), "test", dtype=object)
    names[rest] = np.take(np.array(["train", "val"], dtype=object), _assign(counts[rest], shares, rng))
    remedy = f"lower split.block_km (it is {block_km:g}) or split.folds (it is {folds})"
    return _named(tiles, blocks, table, names, remedy)


def leave_buffer(tiles: pd.DataFrame, parts: "pd.Series[str]", buffer_km: float) -> "pd.Series[str]":
    """Take tiles out of training and validation until no two parts have labelled tiles nearer than ``buffer_km``.

    The test stays whole: validation gives way to it, and training to both. What gives way is in the part "buffer".

    tiles: columns class, target, and latitude and longitude in degrees. buffer_km: least great-circle distance between
    the centres of tiles of different parts.

    Raises UserError: a class has no tile left in a part.
    """
    parts = parts.copy()
    labelled = tiles["target"] >= 0
    for part, others in (("val", ["test"]), ("train", ["val", "test"])):
        mine, theirs = tiles[labelled & (parts == part)], tiles[labelled & parts.isin(others)]
        distance, _ = nearest(mine, theirs)
        parts.loc[mine.index[distance < buffer_km]] = "buffer"
    _refuse_missing_class(tiles, parts, f"all lie beside other parts: lower split.buffer_km (it is {buffer_km:g})")
    return parts


def _in_blocks(tiles: pd.DataFrame, block_km: float, rng: Generator) -> tuple["pd.Series[str]", pd.DataFrame]:
    """The block of each tile with coordinates; and the tiles of each class, (blocks, classes)."""
    _refuse_unplaced(tiles)
    placed = tiles.dropna(subset=PLACE)
    blocks = _blocks(placed, block_km, rng.random(2))
    return blocks, pd.crosstab(blocks, placed["class"])


def _named(
    tiles: pd.DataFrame, blocks: "pd.Series[str]", table: pd.DataFrame, names: npt.NDArray[Any], remedy: str
) -> "pd.Series[str]":
    """The part of every tile. names: of the part of each block of the table."""
    parts = blocks.map(dict(zip(table.index, names, strict=True)))
    _refuse_missing_class(tiles.loc[parts.index], parts, f"too few blocks of land hold it: {remedy}")
    return parts.reindex(tiles.index)


def _assign(counts: Floats, fractions: Floats, rng: Generator) -> npt.NDArray[np.intp]:
    """Return the number of the part of each block. counts: (blocks, classes); fractions: (parts,)."""
    counts = counts[:, counts.any(axis=0)]  # a class may lie in no block of these
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


def _blocks(places: pd.DataFrame, block_km: float, shift: Floats) -> "pd.Series[str]":
    """The name of every tile's block, in a grid moved by ``shift`` blocks.

    The grid is the sinusoidal projection's with one scale a row: rows of equal height, cut into equal lengths along
    the parallel in their middle. Blocks stay square at every latitude, which they would not in degrees.
    """
    row = np.floor(places["latitude"] * DEGREE_KM / block_km + shift[0])
    middle = (row + 0.5 - shift[0]) * block_km / DEGREE_KM
    parallel = np.cos(np.radians(middle)).clip(lower=0.01)  # at the poles a row may lie beyond 90 degrees
    column = np.floor(places["longitude"] * DEGREE_KM * parallel / block_km + shift[1])
    names: pd.Series[str] = row.astype("int64").astype(str) + "/" + column.astype("int64").astype(str)
    return names


def _refuse_unplaced(tiles: pd.DataFrame) -> None:
    if "latitude" not in tiles or tiles["latitude"].isna().all():
        raise UserError(
            "a spatial split.method is chosen, but the tiles have no coordinates: name a table (file, latitude, "
            "longitude) in data.coordinates, or use -S data.source=eurosat_ms"
        )
    labelled = tiles[tiles["target"] >= 0]
    without = labelled.loc[labelled["latitude"].isna(), "file"]
    if len(without):
        raise UserError(
            f"a spatial split.method is chosen, but {len(without)} of {len(labelled)} labelled tiles have no "
            f"coordinates, such as {without.iloc[0]}: add them to the table of data.coordinates, or remove them from "
            "the data"
        )


def _refuse_missing_class(tiles: pd.DataFrame, parts: "pd.Series[str]", cause: str) -> None:
    known = tiles[tiles["target"] >= 0]
    for name, group in known.groupby("class"):
        for part in PARTS:
            if not (parts[group.index] == part).any():
                raise UserError(
                    f"class {name!r} has no tile in {part}, {cause}, add tiles from elsewhere, or leave the class "
                    "out of the mapping"
                )
