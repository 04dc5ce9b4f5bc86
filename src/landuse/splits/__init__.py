"""Which tile is for training, which for validation, which for the test."""

import json
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
_TEXT = {"file": "str", "class": "str", "label": "str", "split": "str"}


def run(p: params.Params) -> None:
    """Deal the labelled tiles into train, val and test; report duplicates between them.

    Writes data/split.csv: row, file, class, label, target, split. split is train, val, test, aside (no label)
    or unlisted (labelled, but in no published list).

    Raises:
        UserError: a class cannot be in every part, or the same pixels are in two parts.
    """
    if not _LABELS.is_file():
        raise UserError(f"no labels at {_LABELS}: run 'dvc repro map_to_binary' first")
    store = open_store()
    labels = pd.read_csv(_LABELS, dtype={k: v for k, v in _TEXT.items() if k != "split"}, keep_default_na=False)
    labels["split"] = "aside"
    known = labels[labels["target"] >= 0]
    labels.loc[known.index, "split"] = _deal(p.split, known, store)
    near, audit = leakage.audit(store, labels, p.split.near_duplicate_bits)
    report = {"method": p.split.method, **_counts(labels), "duplicates": audit}
    distance = spatial.nearest_km(store.index, labels)
    if distance is not None:
        report["nearest_test_to_train_km"] = distance
    write_csv(SPLIT, labels)
    write_csv(NEAR, near)
    write_json(METRICS, report)
    print(json.dumps(report["tiles"]))


def read_split(path: Path = SPLIT) -> pd.DataFrame:
    """Read data/split.csv."""
    if not path.is_file():
        raise UserError(f"no split at {path}: run 'dvc repro split' first")
    return pd.read_csv(path, dtype=_TEXT, keep_default_na=False)


def _deal(settings: params.Split, known: pd.DataFrame, store: TileStore) -> "pd.Series[str]":
    """The part of every labelled tile."""
    if settings.method == "stratified":
        return stratified.deal(known, settings.fractions, settings.seed)
    if settings.method == "spatial":
        places = store.index.loc[known["row"]].set_axis(known.index)
        return spatial.deal(known, places, settings.fractions, settings.block_km, settings.seed)
    return published.deal(known, settings.published)


def _counts(split: pd.DataFrame) -> dict[str, Any]:
    """Tiles in each part: altogether, by label and by original class."""
    used = split[split["split"].isin(PARTS)]
    return {
        "tiles": {part: int((split["split"] == part).sum()) for part in (*PARTS, "aside", "unlisted")},
        "labels": {label: _parts(group) for label, group in used.groupby("label")},
        "classes": {name: _parts(group) for name, group in used.groupby("class")},
    }


def _parts(group: pd.DataFrame) -> dict[str, int]:
    return {part: int((group["split"] == part).sum()) for part in PARTS}
