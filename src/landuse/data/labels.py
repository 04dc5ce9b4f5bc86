"""From the classes of the data to the labels to learn."""

from pathlib import Path

from landuse import params
from landuse.core.errors import UserError, did_you_mean
from landuse.core.files import write_csv
from landuse.core.outputs import read_csv
from landuse.core.paths import LABELS, TILES

_COLUMNS = {"row": "int64", "file": "str", "class": "str"}


def run(p: params.Params, tiles_index: Path = TILES / "index.csv", out: Path = LABELS) -> None:
    """Write a label and a target number for every tile: row, file, class, label, target.

    Tiles of classes without a label are kept aside, with an empty label and the target -1: they serve as
    out-of-distribution material.

    Raises UserError: there are no tiles yet, their index is damaged, or the mapping does not fit them; see
    ``label_classes``.
    """
    tiles = read_csv(tiles_index, "download", _COLUMNS)[list(_COLUMNS)]
    classes_of = label_classes(p.mapping, sorted(tiles["class"].unique()))
    label_of = {name: label for label, names in classes_of.items() for name in names}
    target_of = {label: target for target, label in enumerate(classes_of)}
    tiles["label"] = tiles["class"].map(label_of).fillna("")
    tiles["target"] = tiles["label"].map(target_of).fillna(-1).astype(int)
    write_csv(out, tiles)
    for label, names in classes_of.items():
        print(f"{label}: {(tiles['label'] == label).sum():,} tiles of {', '.join(names)}")
    print(f"kept aside: {(tiles['target'] < 0).sum():,} tiles")


def label_classes(mapping: params.Mapping, classes: list[str]) -> dict[str, list[str]]:
    """Return label -> classes in the order of the targets: as in the table, or alphabetical for all_classes.

    classes: of the data, sorted.

    Raises UserError: a class that the data does not have or that is named twice, or fewer than two labels.
    """
    if mapping.table is None:
        if len(classes) < 2:
            raise UserError(
                f"mapping.preset is 'all_classes', but the data has one class only ({', '.join(classes)}): "
                "a classifier needs two; add a second class folder to data.url"
            )
        return {name: [name] for name in classes}
    _check(mapping.table, classes, f"mapping.tables.{mapping.preset}")
    return mapping.table


def _check(table: dict[str, list[str]], classes: list[str], place: str) -> None:
    label_of: dict[str, str] = {}
    for label, names in table.items():
        for name in names:
            if name not in classes:
                raise UserError(
                    f"{place}: the data has no class {name!r}, named under {label} (to learn every class of your own "
                    f"data: -S mapping.preset=all_classes){did_you_mean(name, classes)}"
                )
            if name in label_of:
                under = label if label_of[name] == label else f"{label_of[name]} and {label}"
                raise UserError(f"{place}: the class {name!r} is named twice, under {under}: leave it in one place")
            label_of[name] = label
    if len(table) < 2:
        raise UserError(
            f"{place}: a classifier needs two labels, here {'is one' if table else 'is none'}: add another with its "
            "classes, or use -S mapping.preset=all_classes"
        )
