"""Groups: patches of one tile or one polygon, which stay together in every split."""

import pandas as pd


def whole(tiles: pd.DataFrame) -> pd.DataFrame:
    """One row a group, where there are groups: of the group's class and label, in the middle of its patches.

    tiles: columns row, file, class, label, target, and group, latitude and longitude where known. Returns the groups,
    indexed and called (``file``) by their names; patches cut from tiles are dealt as these would be.
    """
    if "group" not in tiles:
        return tiles
    first = dict.fromkeys(("class", "label", "target"), "first")
    middle = dict.fromkeys(tiles.columns.intersection(["latitude", "longitude"]), "mean")
    found = tiles.groupby("group", sort=False).agg(first | middle)
    return found.assign(file=found.index)


def spread(parts: "pd.Series[str]", tiles: pd.DataFrame) -> "pd.Series[str]":
    """The part of every tile, from that of every row of ``whole``; missing where it is none of them."""
    return tiles["group"].map(parts) if "group" in tiles else parts.reindex(tiles.index)
