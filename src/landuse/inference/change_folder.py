"""A folder that `landuse change` made, read and checked."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from PIL import Image
from pydantic import Field
from rasterio.crs import CRS
from typing_extensions import TypedDict

from landuse.inference import parts
from landuse.inference.parts import NODATA, Colour, Interval, Shape, Source

_MOST = 2**27  # bytes of a thinned change: of ten classes there are 93 numbers a cell

_damaged, _of_another = (partial(made, command="change") for made in (parts.damaged, parts.of_another))


class Date(TypedDict):
    """A map that was compared. date: ISO 8601, where known."""

    name: str
    date: str | None
    valid_cells: int


Transition = TypedDict(
    "Transition",
    {"from": str, "to": str, "hectares": float, "low": float, "high": float, "compared_hectares": float},
)  # compared_hectares: what a comparison of the two maps' labels would say


class Shift(TypedDict):
    """How far the second date lies to the right of the first (x), and above it (y)."""

    x_metres: float
    y_metres: float
    cells: float


class Correlated(TypedDict):
    """What would have changed if errors of the two dates hung together."""

    correlation: float
    changed_hectares: float


class Change(TypedDict):
    """What the page tells of change.json. transitions: each class (from) to each (to), row by row.

    correlation: of errors of the two dates at one place, as found. unknown: unlike the training tiles in a date. shift:
    None where the pictures have too little in common.
    """

    model: Source
    shape: Shape
    cell_metres: float
    classes: Annotated[list[str], Field(min_length=1)]
    colours: dict[str, Colour]
    before: Date
    after: Date
    transitions: list[Transition]
    compared_cells: int
    changed_hectares: Interval
    unknown_hectares: float
    unknown_cells: int
    unsure_hectares: float
    masked_cells: int
    shift: Shift | None
    correlation: float
    sensitivity: list[Correlated]
    decisions: list[str]


@dataclass(frozen=True)
class ChangeFolder:
    """A change, whole or thinned.

    before, after: (rows, columns) uint8, classes of the two dates. transitions: likewise, the likeliest, from * classes
    + to; 255 where nothing is known, in all. change: (bands, rows, columns) uint8, of change, and of each transition.
    names, scales: of its bands. colours: of the transitions, by their numbers. pictures: of the two dates, true colour.
    The rest as in ``MapFolder``.
    """

    name: str
    summary: Change
    before: npt.NDArray[np.uint8]
    after: npt.NDArray[np.uint8]
    transitions: npt.NDArray[np.uint8]
    change: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    scales: tuple[float, ...]
    colours: list[str]
    transform: Affine
    crs: CRS
    step: float
    pictures: tuple[Image.Image, Image.Image]

    @classmethod
    def read(cls, folder: Path, longest: int) -> "ChangeFolder":
        """Read it, thinned to ``longest`` cells a side, and to fewer where there are many classes.

        Raises:
            UserError: it is no such folder, or a file of it is missing, damaged, or of another change.
        """
        summary = _summary(folder / "change.json")
        classes = summary["classes"]
        expected = ("probability of change", *(f"probability {a} to {b}" for a in classes for b in classes if a != b))
        longest = min(longest, math.isqrt(_MOST // (len(expected) + 3)))
        read = {
            name: parts.read_raster(folder / name, summary["shape"], longest, "change")
            for name in ("before.tif", "after.tif", "transitions.tif", "change.tif")
        }
        change = read["change.tif"]
        if change.names != expected:
            raise _of_another(folder / "change.tif", f"its bands are {change.names}, not {expected}")
        numbers = {"before.tif": len(classes), "after.tif": len(classes), "transitions.tif": len(classes) ** 2}
        for name, count in numbers.items():
            shown = read[name].values[0]
            if (read[name].crs, read[name].transform) != (change.crs, change.transform):
                raise _of_another(folder / name, "it lies elsewhere than change.tif")
            if shown[shown != NODATA].max(initial=0) >= count:
                raise _of_another(folder / name, "it has a number that change.json does not name")
        return cls(
            name=folder.resolve().name,
            summary=summary,
            before=read["before.tif"].values[0],
            after=read["after.tif"].values[0],
            transitions=read["transitions.tif"].values[0],
            change=change.values,
            names=change.names,
            scales=change.scales,
            colours=_palette(folder / "transitions.tif", len(classes) ** 2),
            transform=change.transform,
            crs=change.crs,
            step=summary["shape"][0] / change.values.shape[1],
            pictures=(
                parts.read_picture(folder / "before.png", "change"),
                parts.read_picture(folder / "after.png", "change"),
            ),
        )


def _summary(path: Path) -> Change:
    summary = parts.read_json(path, Change, "change")
    classes = summary["classes"]
    if not {*classes} <= summary["colours"].keys():
        raise _damaged(path, "a class has no colour")
    if [(part["from"], part["to"]) for part in summary["transitions"]] != [(a, b) for a in classes for b in classes]:
        raise _damaged(path, "its transitions are not each class to each")
    return summary


def _palette(path: Path, count: int) -> list[str]:
    try:
        with rasterio.open(path) as file:
            colours = file.colormap(1)
    except ValueError as error:
        raise _damaged(path, error) from None
    return ["#" + bytes(colours[number][:3]).hex() for number in range(count)]
