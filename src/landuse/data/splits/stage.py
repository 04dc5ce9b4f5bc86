"""Which tile is for training, which for validation, which for the test."""

from typing import Any

import pandas as pd

from landuse import params
from landuse.core.files import write_csv, write_json
from landuse.core.paths import NEAR_DUPLICATES, SPLIT, SPLIT_REPORT
from landuse.data.splits import geography, leakage, published, spatial, stratified
from landuse.data.splits.groups import spread, whole
from landuse.params import PARTS
from landuse.tiles.split import DEALT, LEFT_OUT, read_labels
from landuse.tiles.store import open_store


def run(p: params.Params) -> None:
    """Deal the labelled tiles into train, val and test; report what leaks from one to another.

    Writes ``data/split.csv`` (row, file, class, label, target, split), where split is train, val, test, or the reason
    why a tile is in none: aside (no label), unlisted (in no published list), buffer (too near to another part), unused
    (beyond ``data.fraction`` or ``data.shots``); ``data/near_duplicates.csv`` (see ``leakage.audit``); and
    ``reports/split.json``.

    No method divides a group: patches of one tile, or one polygon.

    Raises UserError: inputs are missing, a class or label cannot be in every part, or the same pixels are in two.
    """
    store = open_store()
    tiles = read_labels(store)
    parts, extra = _deal(p.split, tiles)
    tiles["split"] = parts.where(tiles["target"] >= 0, "aside")
    train = tiles[tiles["split"] == "train"]
    fewer = stratified.subset(whole(train), p.data.fraction, p.data.shots, p.split.seed, p.data.draw)
    kept = pd.Series("train", index=fewer)
    tiles.loc[train.index, "split"] = spread(kept, train).fillna("unused")
    near, duplicates = leakage.audit(store, tiles, p.split.near_duplicate_bits)
    places = geography.audit(tiles, p.evaluate.confidence)
    report = {"method": p.split.method, **_counts(tiles), "duplicates": duplicates, **places, **extra}
    write_csv(SPLIT, tiles[list(DEALT)])
    write_csv(NEAR_DUPLICATES, near)
    write_json(SPLIT_REPORT, report)
    print(", ".join(f"{part}: {count:,}" for part, count in report["tiles"].items() if count or part in PARTS))
    print(f"near duplicates across parts: {duplicates['near_across_parts']:,} ({NEAR_DUPLICATES})")
    if places["coordinates_only"]:
        alone, majority = (places["coordinates_only"][name]["value"] for name in ("accuracy", "majority"))
        print(f"right for that share of test: coordinates alone {alone:.1%}, the commonest label {majority:.1%}")


def _deal(settings: params.Split, tiles: pd.DataFrame) -> tuple["pd.Series[str]", dict[str, Any]]:
    """The part of every labelled tile, and what the method adds to the report."""
    if settings.method == "published":
        parts, counts = published.deal(tiles, settings.published)
        return parts, {"published": counts}
    places, fractions, seed = whole(tiles), settings.fractions, settings.seed
    known = places[places["target"] >= 0]
    if settings.method == "stratified":
        return spread(stratified.deal(known, fractions, seed), tiles), {}
    if settings.method == "kfold":
        return spread(stratified.kfold(known, fractions, settings.folds, settings.fold, seed), tiles), {}
    if settings.method == "spatial":
        parts = spatial.deal(places, fractions, settings.block_km, seed)
    else:
        parts = spatial.kfold(places, fractions, settings.folds, settings.fold, settings.block_km, seed)
    return spatial.leave_buffer(tiles, spread(parts, tiles), settings.buffer_km), {}


def _counts(tiles: pd.DataFrame) -> dict[str, Any]:
    """Tiles in each part: altogether, by label and by class of the data."""
    used = tiles[tiles["split"].isin(PARTS)]

    def parts(group: pd.DataFrame) -> dict[str, int]:
        return {part: int((group["split"] == part).sum()) for part in PARTS}

    return {
        "tiles": {part: int((tiles["split"] == part).sum()) for part in (*PARTS, *LEFT_OUT)},
        "labels": {label: parts(group) for label, group in used.groupby("label")},
        "classes": {name: parts(group) for name, group in used.groupby("class")},
    }
