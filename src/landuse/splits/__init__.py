"""Which tile is for training, which for validation, which for the test."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landuse import params
from landuse.files import write_csv, write_json
from landuse.outputs import damaged, read_csv
from landuse.params import PARTS
from landuse.splits import geography, leakage, picture, published, spatial, stratified, subset
from landuse.tiles import COLUMNS, TileStore, open_store

SPLIT = Path("data/split.csv")
NEAR = Path("data/near_duplicates.csv")
REPORT = Path("reports/split.json")
PICTURE = Path("plots/split_map.png")
_LABELS = Path("data/labels.csv")
_LEFT_OUT = ("aside", "unlisted", "buffer", "unused")
_LABELLED = COLUMNS | {"label": "str", "target": "int64"}
_DEALT = _LABELLED | {"split": "str"}


def run(p: params.Params) -> None:
    """Deal the labelled tiles into train, val and test; report what leaks from one to another.

    Writes ``data/split.csv`` (row, file, class, label, target, split), where split is train, val, test, or the reason
    why a tile is in none: aside (no label), unlisted (in no published list), buffer (too near to another part), unused
    (beyond ``data.fraction``); ``data/near_duplicates.csv`` (see ``leakage.audit``); ``reports/split.json``; and
    ``plots/split_map.png``.

    Raises:
        UserError: inputs are missing, a class or label cannot be in every part, or the same pixels are in two.
    """
    store = open_store()
    tiles = _read_labels(store)
    parts, extra = _deal(p.split, tiles)
    tiles["split"] = parts.where(tiles["target"] >= 0, "aside")
    train = tiles[tiles["split"] == "train"]
    tiles.loc[train.index.difference(subset.keep(train, p.data.fraction, p.split.seed)), "split"] = "unused"
    near, duplicates = leakage.audit(store, tiles, p.split.near_duplicate_bits)
    places, distance = geography.audit(tiles, p.evaluate.confidence)
    report = {"method": p.split.method, **_counts(tiles), "duplicates": duplicates, **places, **extra}
    picture.write(PICTURE, tiles, distance)
    write_csv(SPLIT, tiles[list(_DEALT)])
    write_csv(NEAR, near)
    write_json(REPORT, report)
    _say(report)


def _say(report: dict[str, Any]) -> None:
    print(", ".join(f"{part}: {count:,}" for part, count in report["tiles"].items() if count or part in PARTS))
    print(f"near duplicates across parts: {report['duplicates']['near_across_parts']:,} ({NEAR})")
    if report["coordinates_only"]:
        alone, majority = (report["coordinates_only"][name]["value"] for name in ("accuracy", "majority"))
        print(
            f"coordinates alone are right for {alone:.1%} of test, the commonest label for {majority:.1%} ({PICTURE})"
        )


def read_split(store: TileStore, path: Path = SPLIT) -> pd.DataFrame:
    """Read what ``run`` wrote to ``data/split.csv`` for these tiles.

    Raises:
        UserError: it is missing or damaged, or of other tiles.
    """
    split = _read(path, "split", _DEALT, store)
    foreign = split.loc[~split["split"].isin([*PARTS, *_LEFT_OUT]), "split"]
    if len(foreign):
        raise damaged(path, "split", f"no part is called {foreign.iloc[0]!r}")
    if not ((split["target"] < 0) == (split["split"] == "aside")).all():
        raise damaged(path, "split", "the tiles without a label are not those that are kept aside")
    return split


def labels_of(split: pd.DataFrame) -> list[str]:
    """Return the labels to learn, in the order of their targets."""
    known = split[split["target"] >= 0]
    return known.drop_duplicates("target").sort_values("target")["label"].tolist()


def _read_labels(store: TileStore) -> pd.DataFrame:
    """The labelled tiles, with latitude and longitude where the store has them."""
    labels = _read(_LABELS, "map_to_binary", _LABELLED, store)
    return labels.join(store.index[store.index.columns.intersection(["latitude", "longitude"])])


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


def _deal(settings: params.Split, tiles: pd.DataFrame) -> tuple["pd.Series[str]", dict[str, Any]]:
    """The part of every labelled tile, and what the method adds to the report."""
    fractions, seed = settings.fractions, settings.seed
    if settings.method == "published":
        parts, counts = published.deal(tiles, settings.published)
        return parts, {"published": counts}
    if settings.method in ("stratified", "kfold"):
        known = tiles[tiles["target"] >= 0]
        if settings.method == "stratified":
            parts = stratified.deal(known, fractions, seed)
        else:
            parts = stratified.kfold(known, fractions, settings.folds, settings.fold, seed)
        return parts.reindex(tiles.index), {}
    if settings.method == "spatial":
        parts = spatial.deal(tiles, fractions, settings.block_km, seed)
    else:
        parts = spatial.kfold(tiles, fractions, settings.folds, settings.fold, settings.block_km, seed)
    return spatial.leave_buffer(tiles, parts, settings.buffer_km), {}


def _counts(tiles: pd.DataFrame) -> dict[str, Any]:
    """Tiles in each part: altogether, by label and by class of the data."""
    used = tiles[tiles["split"].isin(PARTS)]
    return {
        "tiles": {part: int((tiles["split"] == part).sum()) for part in (*PARTS, *_LEFT_OUT)},
        "labels": {label: _parts(group) for label, group in used.groupby("label")},
        "classes": {name: _parts(group) for name, group in used.groupby("class")},
    }


def _parts(group: pd.DataFrame) -> dict[str, int]:
    return {part: int((group["split"] == part).sum()) for part in PARTS}
