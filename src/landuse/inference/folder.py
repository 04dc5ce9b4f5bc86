"""A folder that `landuse map` made, read and checked."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from PIL import Image
from pydantic import Field
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError
from typing_extensions import TypedDict

from landuse.core.errors import UserError
from landuse.core.outputs import as_json

NODATA = 255
UNKNOWN = "unknown"  # land of which the model does not know what it is
_ABSTAINED, _OOD = -2, -1  # the bands of scores.tif after the probabilities and the entropy

Flags = npt.NDArray[np.bool_]
Colour = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]


class Count(TypedDict):
    """A class on the map. share: of the valid cells."""

    cells: int
    hectares: float
    share: float
    abstained_hectares: float


class Interval(TypedDict):
    """Hectares of a class, corrected for the model's errors, with their 95 % interval."""

    hectares: float
    low: float
    high: float


class Source(TypedDict):
    """The model that answered."""

    backbone: str
    identity: str


class Summary(TypedDict):
    """What others tell of summary.json. strange_cells: None of a model without a reference to compare with."""

    model: Source
    shape: Annotated[list[int], Field(min_length=2, max_length=2)]
    cell_metres: float
    stride: int
    classes: Annotated[list[str], Field(min_length=1)]
    colours: dict[str, Colour]
    counts: dict[str, Count]
    valid_cells: int
    masked_cells: int
    abstained_cells: int
    strange_cells: int | None
    date: str | None
    area: dict[str, Interval] | None
    confusion: list[list[int]] | None
    confusion_sure: NotRequired[list[list[int]] | None]
    decisions: list[str]


@dataclass(frozen=True)
class MapFolder:
    """A map, whole or thinned.

    shape: rows and columns of the whole map. classes: (rows, columns) uint8, 255 where nothing is known. scores:
    (bands, rows, columns) uint8, 255 likewise. names, scales: of the bands; a value times its scale is the number.
    transform, crs: of these cells. step: every so manieth cell of the map is here. picture: true colour, RGBA, of the
    cells' extent.
    """

    name: str
    summary: Summary
    classes: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    scales: tuple[float, ...]
    transform: Affine
    crs: CRS
    step: float
    picture: Image.Image

    @classmethod
    def read(cls, folder: Path, longest: int | None = None) -> "MapFolder":
        """Read it; of one with more than ``longest`` cells a side every n-th cell of each n-th row.

        Raises:
            UserError: it is no such folder, or a file of it is missing, damaged, or of another map.
        """
        summary = _summary(folder / "summary.json")
        classes = _raster(folder / "classes.tif", summary, longest)
        scores = _raster(folder / "scores.tif", summary, longest)
        expected = (*(f"probability {name}" for name in summary["classes"]), "entropy", "abstained", "ood")
        if scores.names != expected:
            raise _disagree(folder / "scores.tif", f"its bands are {scores.names}, not {expected}")
        if (classes.crs, classes.transform) != (scores.crs, scores.transform):
            raise _disagree(folder / "scores.tif", "it lies elsewhere than classes.tif")
        shown = classes.values[0]
        if shown[shown != NODATA].max(initial=0) >= len(summary["classes"]):
            raise _disagree(folder / "classes.tif", "it has a class that summary.json does not name")
        return cls(
            name=folder.resolve().name,
            summary=summary,
            classes=shown,
            scores=scores.values,
            names=scores.names,
            scales=scores.scales,
            transform=classes.transform,
            crs=classes.crs,
            step=summary["shape"][0] / shown.shape[0],
            picture=_picture(folder / "quicklook.png"),
        )

    @property
    def valid(self) -> Flags:
        flags: Flags = self.classes != NODATA
        return flags

    @property
    def abstained(self) -> Flags:
        flags: Flags = self.scores[_ABSTAINED] == 1
        return flags

    @property
    def strange(self) -> Flags:
        """Where the out-of-distribution score is above its limit, and known."""
        ood = self.scores[_OOD]
        flags: Flags = (ood * self.scales[_OOD] > 1) & (ood != NODATA)
        return flags

    @property
    def unknown(self) -> Flags:
        """Land of no class: the model is not sure of it, or has never seen the like."""
        flags: Flags = self.valid & (self.abstained | self.strange)
        return flags

    @property
    def probabilities(self) -> npt.NDArray[np.float32]:
        """(classes, rows, columns), rounded to 1 / 250; NaN where nothing is known."""
        count = len(self.summary["classes"])
        return np.where(self.valid, self.scores[:count] * np.float32(self.scales[0]), np.float32(np.nan))


@dataclass(frozen=True)
class _Raster:
    values: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    scales: tuple[float, ...]
    transform: Affine
    crs: CRS


def _summary(path: Path) -> Summary:
    try:
        summary = as_json(path.read_bytes(), Summary)
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path) from None
    except ValueError as error:
        raise _damaged(path, error) from None
    unknown = [
        name for name in summary["classes"] if not {name} <= summary["counts"].keys() & summary["colours"].keys()
    ]
    if unknown:
        raise _damaged(path, f"class {unknown[0]} has no count or no colour")
    return summary


def _raster(path: Path, summary: Summary, longest: int | None) -> _Raster:
    """Read a raster, thinned where it is large.

    Overviews are left alone: those of classes and of scores are made in other ways, and would not agree.
    """
    if not path.is_file():
        raise _missing(path)
    try:
        # without overviews, rasterio does not know the names of bands
        with rasterio.open(path) as file, rasterio.open(path, OVERVIEW_LEVEL="NONE") as plain:
            if [file.height, file.width] != summary["shape"] or file.dtypes[0] != "uint8":
                rows, columns = summary["shape"]
                found = f"{file.height} x {file.width} cells of {file.dtypes[0]}"
                raise _disagree(path, f"it has {found}, summary.json says {rows} x {columns} of uint8")
            if file.crs is None:
                raise _damaged(path, "it has no CRS")
            step = math.ceil(max(file.shape) / longest) if longest else 1
            rows, columns = (math.ceil(side / step) for side in file.shape)
            values = plain.read(out_shape=(file.count, rows, columns))
            coarser = file.transform @ Affine.scale(file.width / columns, file.height / rows)
            return _Raster(values, file.descriptions, file.scales, coarser, file.crs)
    except RasterioIOError as error:
        raise _damaged(path, error) from error


def _picture(path: Path) -> Image.Image:
    try:
        with Image.open(path) as file:
            return file.convert("RGBA")
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: Pillow's for a broken PNG
        raise _damaged(path, error) from None


def _missing(path: Path) -> UserError:
    return UserError(f"no {path}: name a folder that 'landuse map' made")


def _damaged(path: Path, reason: Any) -> UserError:
    return UserError(f"{path} is damaged ({reason}): make the map again with 'landuse map'")


def _disagree(path: Path, reason: str) -> UserError:
    return UserError(f"{path} is of another map ({reason}): make the map again with 'landuse map'")
