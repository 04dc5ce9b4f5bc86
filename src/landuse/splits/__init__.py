"""Which tile is for training, which for validation, which for the test."""

from pathlib import Path
from typing import Any

import pandas as pd

from landuse import params
from landuse.errors import UserError
from landuse.files import write_csv, write_json
from landuse.params import PARTS
from landuse.splits import leakage, published, spatial, stratified
from landuse.tiles import TileStore, open_store

SPLIT = Path("data/split.csv")
NEAR = Path("data/near_duplicates.csv")
METRICS = Path("metrics/split.json")
_LABELS = Path("data/labels.csv")
_TEXT = {"file": "str", "class": "str", "label": "str", "split": "str"}  # a class may be called 2018, or NA
_COLUMNS = ["row", "file", "class", "label", "target", "split"]


def run(p: params.Params) -> None:
    """Deal the labelled tiles into train, val and test; report duplicates between the parts.

    Writes ``data/split.csv`` (row, file, class, label, target, split), where split is train, val, test, aside (no
    label) or unlisted (labelled, but in no published list); ``data/near_duplicates.csv`` (see ``leakage.audit``);
    and ``metrics/split.json``.

    Raises:
        UserError: inputs are missing, a class or label cannot be in every part, or the same pixels are in two.
    """
    store = open_store()
    tiles = _read_labels(store)
    parts, extra = _deal(p.split, tiles)
    tiles["split"] = parts.where(tiles["target"] >= 0, "aside")
    near, duplicates = leakage.audit(store, tiles, p.split.near_duplicate_bits)
    report = {"method": p.split.method, **_counts(tiles), "duplicates": duplicates, **extra}
    distance = spatial.nearest_km(tiles)
    if distance is not None:
        report["nearest_test_to_train_km"] = distance
    write_csv(SPLIT, tiles[_COLUMNS])
    write_csv(NEAR, near)
    write_json(METRICS, report)
    print(", ".join(f"{part}: {count:,}" for part, count in report["tiles"].items()))
    print(f"near duplicates across parts: {duplicates['near_across_parts']:,} ({NEAR})")


def read_split(path: Path = SPLIT) -> pd.DataFrame:
    """Read what ``run`` wrote to ``data/split.csv``."""
    if not path.is_file():
        raise UserError(f"no split at {path}: run 'dvc repro split' first")
    return pd.read_csv(path, dtype=_TEXT, keep_default_na=False)


def _read_labels(store: TileStore) -> pd.DataFrame:
    """The labelled tiles, with latitude and longitude where the store has them."""
    if not _LABELS.is_file():
        raise UserError(f"no labels at {_LABELS}: run 'dvc repro map_to_binary' first")
    text = {name: kind for name, kind in _TEXT.items() if name != "split"}
    labels = pd.read_csv(_LABELS, dtype=text, keep_default_na=False)
    if list(labels["file"]) != list(store.index["file"]):
        raise UserError(f"{_LABELS} does not belong to the tiles in data/tiles: run 'dvc repro map_to_binary' again")
    return labels.join(store.index[store.index.columns.intersection(["latitude", "longitude"])])


def _deal(settings: params.Split, tiles: pd.DataFrame) -> tuple["pd.Series[str]", dict[str, Any]]:
    """The part of every labelled tile, and what the method adds to the report."""
    if settings.method == "stratified":
        known = tiles[tiles["target"] >= 0]
        return stratified.deal(known, settings.fractions, settings.seed).reindex(tiles.index), {}
    if settings.method == "spatial":
        return spatial.deal(tiles, settings.fractions, settings.block_km, settings.seed), {}
    parts, counts = published.deal(tiles, settings.published)
    return parts, {"published": counts}


def _counts(tiles: pd.DataFrame) -> dict[str, Any]:
    """Tiles in each part: altogether, by label and by class of the data."""
    used = tiles[tiles["split"].isin(PARTS)]
    return {
        "tiles": {part: int((tiles["split"] == part).sum()) for part in (*PARTS, "aside", "unlisted")},
        "labels": {label: _parts(group) for label, group in used.groupby("label")},
        "classes": {name: _parts(group) for name, group in used.groupby("class")},
    }


def _parts(group: pd.DataFrame) -> dict[str, int]:
    return {part: int((group["split"] == part).sum()) for part in PARTS}
