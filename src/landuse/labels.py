"""From the classes of the data to the labels to learn."""

from collections import Counter
from pathlib import Path

import pandas as pd

from landuse import params
from landuse.errors import UserError, did_you_mean
from landuse.files import write_csv

LABELS = Path("data/labels.csv")
_TEXT = {"file": "str", "class": "str"}  # a class may be called 2018, or NA


def run(p: params.Params, index: Path = Path("data/tiles/index.csv"), out: Path = LABELS) -> None:
    """Write a label and a target number for every tile; tiles of other classes are kept aside.

    Writes row, file, class, label, target; the label is empty and the target -1 for tiles kept aside, which
    serve as out-of-distribution material.
    """
    if not index.is_file():
        raise UserError(f"no tile index at {index}: run 'dvc repro download' first")
    tiles = pd.read_csv(index, usecols=["row", "file", "class"], dtype=_TEXT, keep_default_na=False)
    table = check(p.mapping, sorted(tiles["class"].unique()))
    label_of = {name: label for label, names in table.items() for name in names}
    targets = {label: target for target, label in enumerate(table)}
    tiles["label"] = tiles["class"].map(label_of).fillna("")
    tiles["target"] = tiles["label"].map(targets).fillna(-1).astype(int)
    write_csv(out, tiles)
    for label, names in table.items():
        print(f"{label}: {(tiles['label'] == label).sum():,} tiles of {', '.join(names)}")
    print(f"kept aside: {(tiles['target'] < 0).sum():,} tiles")


def check(mapping: params.Mapping, classes: list[str]) -> dict[str, list[str]]:
    """Return label -> classes, with labels in the order of the table (alphabetical for all_classes).

    Raises:
        UserError: a class that the data does not have, or that is named twice; a label without a class;
            fewer than two labels.
    """
    table = mapping.table
    if table is None:
        table = {name: [name] for name in classes}
    place = f"mapping.tables.{mapping.preset}" if mapping.table is not None else "data"
    for label, names in table.items():
        if not names:
            raise UserError(f"{place}: the label {label!r} has no class: give it one, or remove it")
        for name in names:
            if name not in classes:
                raise UserError(
                    f"{place}: the data has no class {name!r} (named under {label!r}){did_you_mean(name, classes)} "
                    "To learn every class of your own data: -S mapping.preset=all_classes"
                )
    twice = [name for name, count in Counter(n for names in table.values() for n in names).items() if count > 1]
    if twice:
        raise UserError(f"{place}: the class {twice[0]!r} is named twice: leave it under one label")
    if len(table) < 2:
        raise UserError(f"{place}: {len(table)} label is too few, a classifier needs two: add classes or labels")
    return table
