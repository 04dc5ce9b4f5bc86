"""A sample of a map's cells that people are to label: its strata, and a file of it, read and checked."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyogrio

from landuse.core.errors import UserError
from landuse.inference.folder import UNKNOWN, MapFolder
from landuse.inference.parts import NODATA

OTHER = "other"  # the label of land that is none of the model's classes
COLUMNS = ("cell", "row", "col", "mapped")

Sampled = tuple[int, int, int, str]  # number of the cell, its row and column on the map, the class it is mapped as


def strata(found: MapFolder) -> tuple[list[str], npt.NDArray[np.uint8]]:
    """Names of the strata, and (rows, cols) the index of each cell's; NODATA where there is no cell.

    They are the classes that cells are mapped as, and last the land that the model does not know.

    Raises:
        UserError: the map has no valid cell, or a class that is called as unknown land is.
    """
    classes = found.summary["classes"]
    if UNKNOWN in classes:
        raise UserError(f"{found.name} has a class called {UNKNOWN!r}, which is land of no class: name it otherwise")
    if not found.valid.any():
        raise UserError(f"{found.name} has no valid cell: make a map of a scene that has data")
    return [*classes, UNKNOWN], np.where(found.unknown, len(classes), found.classes).astype(np.uint8)


def read_sample(path: Path, folder: Path) -> list[Sampled]:
    """Read the cells in the order of the file. folder: of the map that they were drawn from.

    Raises:
        UserError: it is missing or damaged, has other columns, or is of another map.
    """
    if not path.is_file():
        raise UserError(f"no {path}: name a GeoPackage of sampled cells")
    found = read_columns(path, COLUMNS)
    return checked(path, list(zip(*found.values(), strict=True)), MapFolder.read(folder))


def read_columns(path: Path, names: tuple[str, ...]) -> dict[str, list[Any]]:
    """Read columns of a GeoPackage; raises UserError where it is none, or lacks one."""
    try:
        known, _, _, columns = pyogrio.raw.read(path, columns=list(names), read_geometry=False)
    except pyogrio.errors.DataSourceError as error:
        raise UserError(f"{path} is no GeoPackage, or damaged ({error}): make the sample again") from None
    found = dict(zip(known["fields"], columns, strict=True))
    lacking = [name for name in names if name not in found]
    if lacking:
        raise UserError(f"{path} has no column {lacking[0]}: a sample has {', '.join(names)}")
    return {name: found[name].tolist() for name in names}


def checked(path: Path, sampled: list[Sampled], found: MapFolder) -> list[Sampled]:
    """Return the cells, each known to be one of the map, mapped as the sample says.

    Raises:
        UserError: there is none, one is twice there, or one is of another map.
    """
    numbers = [cell for cell, *_ in sampled]
    if not numbers:
        raise UserError(f"{path} has no cell: make the sample again")
    twice = next((cell for cell, times in Counter(numbers).items() if times > 1), None)
    if twice is not None:
        raise UserError(f"{path} has cell {twice} twice: leave one of its rows")
    names, shown = strata(found)
    for cell, row, column, mapped in sampled:
        if not all(isinstance(number, int) for number in (cell, row, column)):
            raise UserError(f"{path} has a cell without a number, row or column: make the sample again")
        inside = 0 <= row < shown.shape[0] and 0 <= column < shown.shape[1]
        here = shown[row, column] if inside else NODATA
        if here == NODATA or names[here] != mapped or cell != row * shown.shape[1] + column:
            raise UserError(
                f"{path} is of another map (cell {cell} is not {mapped} here): name the map it was drawn from"
            )
    return sampled
