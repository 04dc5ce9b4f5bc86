"""The table of the split: one row a tile of the store, its label, and which part it is in."""

from pathlib import Path

import numpy as np
import pandas as pd

from landuse.core.outputs import damaged, read_csv
from landuse.core.paths import LABELS, SPLIT
from landuse.params import PARTS
from landuse.tiles.store import COLUMNS, TileStore

LEFT_OUT = ("aside", "unlisted", "buffer", "unused")
_LABELLED = COLUMNS | {"label": "str", "target": "int64"}
DEALT = _LABELLED | {"split": "str"}


def read_split(store: TileStore, path: Path = SPLIT) -> pd.DataFrame:
    """Read what the split stage wrote for these tiles; raises UserError where it is missing, damaged, or of others."""
    split = _read(path, "split", DEALT, store)
    foreign = split.loc[~split["split"].isin([*PARTS, *LEFT_OUT]), "split"]
    if len(foreign):
        raise damaged(path, "split", f"no part is called {foreign.iloc[0]!r}")
    if not ((split["target"] < 0) == (split["split"] == "aside")).all():
        raise damaged(path, "split", "the tiles without a label are not those that are kept aside")
    return split


def labels_of(split: pd.DataFrame) -> list[str]:
    """Return the labels to learn, in the order of their targets."""
    known = split[split["target"] >= 0]
    return known.drop_duplicates("target").sort_values("target")["label"].tolist()


def read_labels(store: TileStore) -> pd.DataFrame:
    """The labelled tiles, with latitude, longitude and group (a tile without: itself) where the store has them."""
    labels = _read(LABELS, "map_to_binary", _LABELLED, store)
    tiles = labels.join(store.index[store.index.columns.intersection(["latitude", "longitude", "group"])])
    return tiles.assign(group=tiles["group"].mask(tiles["group"] == "", tiles["file"])) if "group" in tiles else tiles


def _read(path: Path, stage: str, columns: dict[str, str], store: TileStore) -> pd.DataFrame:
    """A table with one row a tile of the store, in order, and a target for each label, counted from 0."""
    table = read_csv(path, stage, columns)
    if not table[list(COLUMNS)].equals(store.index[list(COLUMNS)]):
        raise damaged(path, stage, "it does not belong to the tiles in data/tiles")
    pairs = table[["label", "target"]].drop_duplicates().sort_values("target")
    numbered = np.arange(len(pairs)) - (table["target"] < 0).any()
    if not (np.array_equal(pairs["target"], numbered) and ((pairs["label"] == "") == (pairs["target"] < 0)).all()):
        raise damaged(path, stage, "labels and targets do not match")
    return table
