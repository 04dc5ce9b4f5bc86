"""Labels that people gave to a sample of a map's cells: labels.csv of the page, or the GeoPackage filled in."""

import csv
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from landuse.core.errors import UserError
from landuse.inference.area.stratified import Labelled
from landuse.inference.folder import UNKNOWN, MapFolder
from landuse.inference.sample import COLUMNS, OTHER, Sampled, checked, read_columns, strata

_COLUMNS = (*COLUMNS, "label")
_NEEDED = 2  # labels that a variance takes


def names_of_labels(found: MapFolder) -> list[str]:
    """The classes of the model, and what is none of them."""
    return list(dict.fromkeys([*found.summary["classes"], OTHER]))


def read_labels(path: Path, found: MapFolder) -> Labelled:
    """Read what people labelled of a sample of the map; cells without a label are left out.

    Raises:
        UserError: the file is missing, damaged, no labelled sample, of another map, or has too few labels.
    """
    if not path.is_file():
        raise UserError(f"no {path}: name labels.csv of the labelling page, or a GeoPackage with labels filled in")
    columns = read_columns(path, _COLUMNS) if path.suffix == ".gpkg" else _csv(path)
    rows = [row for row in zip(*columns.values(), strict=True) if (row[-1] or "").strip()]
    if not rows:
        raise UserError(f"{path} has no label: fill in its column label")
    sampled: list[Sampled] = [row[:-1] for row in rows]
    checked(path, sampled, found)
    known = names_of_labels(found)
    labels = [str(label).strip() for *_, label in rows]
    for (cell, *_), label in zip(sampled, labels, strict=True):
        if label not in known:
            hint = get_close_matches(label, known, 1)
            raise UserError(
                f"{path}: cell {cell} is labelled {label[:40]!r}{f' ({hint[0]}?)' if hint else ''}: "
                f"labels are {', '.join(known)}"
            )
    names, shown = strata(found)
    sizes = np.bincount(shown[found.valid], minlength=len(names))
    rows_, cols = np.array([(row, col) for _, row, col, _ in sampled]).T
    stratum = shown[rows_, cols].astype(np.int64)
    _refuse_few(path, names, sizes, np.bincount(stratum, minlength=len(names)))
    probabilities = found.probabilities
    return Labelled(
        sizes=sizes,
        stratum=stratum,
        labels=np.array([known.index(label) for label in labels]),
        probabilities=probabilities[:, rows_, cols].T.astype(np.float64),
        means=np.stack([_mean(probabilities, shown == number) for number in range(len(names))]),
    )


def _mean(probabilities: Any, cells: Any) -> Any:
    return probabilities[:, cells].mean(axis=1, dtype=np.float64) if cells.any() else np.zeros(len(probabilities))


def _refuse_few(path: Path, names: list[str], sizes: Any, counts: Any) -> None:
    for name, size, count in zip(names, sizes.tolist(), counts.tolist(), strict=True):
        if count < min(_NEEDED, size):
            which = "of unknown land" if name == UNKNOWN else f"mapped as {name}"
            raise UserError(
                f"{path} has labels of {count} of the {size:,} cells {which}, which is too few to tell of them: label "
                f"{min(_NEEDED, size)} or more, drawn by 'landuse sample'"
            )


def _csv(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, strict=True)
            lacking = [name for name in _COLUMNS if name not in (table.fieldnames or [])]
            if lacking:
                raise UserError(
                    f"{path} is no labelled sample of this map (it has no column {lacking[0]}): hectares need cells "
                    "drawn at random from the very map, by 'landuse sample'. Test tiles, or a model's confusion of "
                    "them, have other shares of the classes: without labels, leave out --labels"
                )
            rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no CSV file in UTF-8, or damaged ({error})") from None
    columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    return {name: [_whole(value) for value in columns[name]] for name in COLUMNS[:3]} | {
        name: columns[name] for name in _COLUMNS[3:]
    }


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None
