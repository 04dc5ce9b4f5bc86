"""A sample of a map's cells that people are to label: a GeoPackage, read and checked for the page."""

from pathlib import Path

import pyogrio
import rasterio

from landuse.core.errors import UserError
from landuse.inference.parts import NODATA

OTHER = "other"  # the label of land that is none of the model's classes
_COLUMNS = ("cell", "row", "col", "mapped")

Sampled = tuple[int, int, int, str]  # number of the cell, its row and column on the map, the class it is mapped as


def read_sample(path: Path, folder: Path, classes: list[str]) -> list[Sampled]:
    """Read the cells in the order of the file. folder: of the map that they were drawn from.

    Raises:
        UserError: it is missing or damaged, has other columns, or is of another map.
    """
    if not path.is_file():
        raise UserError(f"no {path}: name a GeoPackage of sampled cells")
    try:
        known, _, _, columns = pyogrio.raw.read(path, columns=list(_COLUMNS), read_geometry=False)
    except pyogrio.errors.DataSourceError as error:
        raise UserError(f"{path} is no GeoPackage, or damaged ({error}): make the sample again") from None
    found = dict(zip(known["fields"], columns, strict=True))
    lacking = [name for name in _COLUMNS if name not in found]
    if lacking:
        raise UserError(f"{path} has no column {lacking[0]}: a sample has {', '.join(_COLUMNS)}")
    sampled = list(zip(*(found[name].tolist() for name in _COLUMNS), strict=True))
    if len({cell for cell, *_ in sampled}) < len(sampled) or not sampled:
        raise UserError(f"{path} has no cell, or one of them twice: make the sample again")
    with rasterio.open(folder / "classes.tif") as file:
        shown = file.read(1)
    names = dict(enumerate(classes))
    for cell, row, column, mapped in sampled:
        if not all(isinstance(number, int) for number in (cell, row, column)):
            raise UserError(f"{path} has a cell without a number, row or column: make the sample again")
        inside = 0 <= row < shown.shape[0] and 0 <= column < shown.shape[1]
        if not inside or shown[row, column] == NODATA or names.get(int(shown[row, column])) != mapped:
            raise UserError(
                f"{path} is of another map (cell {cell} is not {mapped} here): name the map it was drawn from"
            )
    return sampled
