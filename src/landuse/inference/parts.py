"""Files of a folder that a command made: read, checked, and refused in one line. command: map, or change."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from PIL import Image
from pydantic import Field
from rasterio.crs import CRS
from rasterio.errors import RasterioIOError
from rasterio.windows import Window
from tqdm import tqdm
from typing_extensions import TypedDict

from landuse.core.errors import UserError
from landuse.core.outputs import as_json

NODATA = 255
_STRIP = 256  # rows read at once: of a block

Colour = Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")]
Shape = Annotated[list[int], Field(min_length=2, max_length=2)]
Description = TypeVar("Description")


class Interval(TypedDict):
    """Hectares with their 95 % interval."""

    hectares: float
    low: float
    high: float


class Source(TypedDict):
    """The model that answered."""

    backbone: str
    identity: str


@dataclass(frozen=True)
class Raster:
    """values: (bands, rows, columns) uint8. names, scales: of the bands. transform: of these cells."""

    values: npt.NDArray[np.uint8]
    names: tuple[str, ...]
    scales: tuple[float, ...]
    transform: Affine
    crs: CRS


def read_json(path: Path, form: type[Description], command: str) -> Description:
    try:
        return as_json(path.read_bytes(), form)
    except (FileNotFoundError, NotADirectoryError):
        raise missing(path, command) from None
    except ValueError as error:
        raise damaged(path, error, command) from None


def read_raster(path: Path, shape: list[int], longest: int | None, command: str) -> Raster:
    """Read a raster; of one with more than ``longest`` cells a side every n-th cell of each n-th row.

    Overviews are left alone: those of classes and of scores are made in other ways, and would not agree.

    Raises:
        UserError: it is missing or damaged, or not of this shape (rows, columns).
    """
    if not path.is_file():
        raise missing(path, command)
    try:
        # without overviews, rasterio does not know the names of bands
        with rasterio.open(path) as file, rasterio.open(path, OVERVIEW_LEVEL="NONE") as plain:
            if [file.height, file.width] != shape or file.dtypes[0] != "uint8":
                found = f"{file.height} x {file.width} cells of {file.dtypes[0]}"
                raise of_another(path, f"it has {found}, not {shape[0]} x {shape[1]} of uint8", command)
            if file.crs is None:
                raise damaged(path, "it has no CRS", command)
            step = math.ceil(max(file.shape) / longest) if longest else 1
            rows, columns = (math.ceil(side / step) for side in file.shape)
            coarser = file.transform @ Affine.scale(file.width / columns, file.height / rows)
            return Raster(_thinned(plain, rows, columns), file.descriptions, file.scales, coarser, file.crs)
    except RasterioIOError as error:
        raise damaged(path, error, command) from error


def _thinned(file: rasterio.DatasetReader, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """The nearest cells to the middles of fewer rows and columns, read strip by strip."""
    values = np.empty((file.count, rows, columns), dtype=np.uint8)
    row, column = (
        np.floor((np.arange(few) + 0.5) * side / few).astype(int)
        for few, side in zip((rows, columns), file.shape, strict=True)
    )
    what = f"reading {Path(file.name).name}"
    with tqdm(total=file.height, desc=what, unit="row", delay=1, disable=None, leave=False) as bar:
        for top in range(0, file.height, _STRIP):
            strip = file.read(window=Window(0, top, file.width, min(_STRIP, file.height - top)))
            start, end = np.searchsorted(row, [top, top + _STRIP])
            values[:, start:end] = strip[:, row[start:end, None] - top, column]
            bar.update(strip.shape[1])
    return values


def read_picture(path: Path, command: str) -> Image.Image:
    try:
        with Image.open(path) as file:
            return file.convert("RGBA")
    except FileNotFoundError:
        raise missing(path, command) from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # SyntaxError: Pillow's for a broken PNG
        raise damaged(path, error, command) from None


def missing(path: Path, command: str) -> UserError:
    return UserError(f"no {path}: name a folder that 'landuse {command}' made")


def damaged(path: Path, reason: Any, command: str) -> UserError:
    return UserError(f"{path} is damaged ({reason}): make the {command} again with 'landuse {command}'")


def of_another(path: Path, reason: str, command: str) -> UserError:
    return UserError(f"{path} is of another {command} ({reason}): make the {command} again with 'landuse {command}'")
