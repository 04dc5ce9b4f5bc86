"""A split by blocks of land: what lies together stays together."""

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.neighbors import BallTree

from landuse.errors import UserError
from landuse.params import PARTS, Fractions

_EARTH_KM = 6371.0088  # mean radius, IUGG


def deal(
    known: pd.DataFrame, places: pd.DataFrame, fractions: Fractions, block_km: float, seed: int
) -> "pd.Series[str]":
    """Deal whole square blocks so that every class comes as near to ``fractions`` as blocks allow.

    Blocks go from large to small, each to the part that then lacks most of the block's classes; ties and the
    order of equal blocks come from the seed.

    Raises:
        UserError: tiles without coordinates, or a class that cannot be in every part.
    """
    if "latitude" not in places or places["latitude"].isna().any():
        raise UserError(
            "split.method is 'spatial', but some tiles have no coordinates: give a table (file, latitude, "
            "longitude) in data.coordinates, or use -S data.source=eurosat_ms"
        )
    blocks = _blocks(places, block_km)
    table = pd.crosstab(blocks, known["class"])
    totals = table.sum().to_numpy(dtype=float)
    goal = np.array([getattr(fractions, part) for part in PARTS])[:, None] * totals
    dealt = np.zeros_like(goal)
    shuffled = np.random.default_rng(seed).permutation(len(table))
    order = shuffled[np.argsort(-table.sum(axis=1).to_numpy()[shuffled], kind="stable")]
    part_of: dict[str, str] = {}
    for position in order:
        counts = table.iloc[position].to_numpy(dtype=float)
        lacking = ((goal - dealt) / goal * counts).sum(axis=1)  # relative to each part's own goal
        best = int(np.argmax(lacking))
        dealt[best] += counts
        part_of[str(table.index[position])] = PARTS[best]
    for part, row in zip(PARTS, dealt, strict=True):
        for name, count in zip(table.columns, row, strict=True):
            if count == 0:
                raise UserError(
                    f"the class {name!r} lies in too few blocks to be in every part ({part} has none): "
                    f"lower split.block_km (it is {block_km:g})"
                )
    return blocks.map(part_of).astype("str")


def nearest_km(index: pd.DataFrame, split: pd.DataFrame) -> float | None:
    """Smallest great-circle distance between the centres of a test and a train tile, in km, where known."""
    if "latitude" not in index:
        return None
    radians = np.radians(index[["latitude", "longitude"]].to_numpy(dtype=float))
    train, test = (_placed(radians, split, part) for part in ("train", "test"))
    if not len(train) or not len(test):
        return None
    distances, _ = BallTree(train, metric="haversine").query(test)
    return round(float(distances.min()) * _EARTH_KM, 3)


def _placed(radians: npt.NDArray[np.float64], split: pd.DataFrame, part: str) -> npt.NDArray[np.float64]:
    found = radians[split.loc[split["split"] == part, "row"]]
    return found[~np.isnan(found).any(axis=1)]


def _blocks(places: pd.DataFrame, block_km: float) -> "pd.Series[str]":
    """The block of every tile: rows of equal latitude, cut into equal lengths along their own parallel."""
    degree = np.pi / 180 * _EARTH_KM  # km of one degree of latitude
    row = np.floor(places["latitude"] * degree / block_km)
    parallel = np.cos(np.radians((row + 0.5) * block_km / degree)).clip(lower=0.01)
    column = np.floor(places["longitude"] * degree * parallel / block_km)
    blocks: pd.Series[str] = row.astype(int).astype(str) + "/" + column.astype(int).astype(str)
    return blocks
