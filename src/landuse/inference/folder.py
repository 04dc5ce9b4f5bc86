"""A folder that `landuse map` made, read and checked."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NotRequired

import numpy as np
import numpy.typing as npt
from affine import Affine
from PIL import Image
from pydantic import Field
from rasterio.crs import CRS
from typing_extensions import TypedDict

from landuse.inference import parts
from landuse.inference.parts import NODATA, Colour, Interval, Shape, Source

UNKNOWN = "unknown"  # land of which the model does not know what it is
_ABSTAINED, _OOD = -2, -1  # the bands of scores.tif after the probabilities and the entropy

Flags = npt.NDArray[np.bool_]
_damaged, _of_another = (partial(made, command="map") for made in (parts.damaged, parts.of_another))


class Count(TypedDict):
    """A class on the map. share: of the valid cells."""

    cells: int
    hectares: float
    share: float
    abstained_hectares: float


class Summary(TypedDict):
    """What others tell of summary.json. strange_cells: None of a model without a reference to compare with.

    level: of the scene, "L1C" or "L2A", where known. stretch: (2, bands) what is black and white in the quicklook.
    """

    model: Source
    shape: Shape
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
    level: NotRequired[str | None]
    stretch: NotRequired[list[list[float]]]


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
        classes = parts.read_raster(folder / "classes.tif", summary["shape"], longest, "map")
        scores = parts.read_raster(folder / "scores.tif", summary["shape"], longest, "map")
        expected = (*(f"probability {name}" for name in summary["classes"]), "entropy", "abstained", "ood")
        if scores.names != expected:
            raise _of_another(folder / "scores.tif", f"its bands are {scores.names}, not {expected}")
        if (classes.crs, classes.transform) != (scores.crs, scores.transform):
            raise _of_another(folder / "scores.tif", "it lies elsewhere than classes.tif")
        shown = classes.values[0]
        if shown[shown != NODATA].max(initial=0) >= len(summary["classes"]):
            raise _of_another(folder / "classes.tif", "it has a class that summary.json does not name")
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
            picture=parts.read_picture(folder / "quicklook.png", "map"),
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


def _summary(path: Path) -> Summary:
    summary = parts.read_json(path, Summary, "map")
    unknown = [
        name for name in summary["classes"] if not {name} <= summary["counts"].keys() & summary["colours"].keys()
    ]
    if unknown:
        raise _damaged(path, f"class {unknown[0]} has no count or no colour")
    return summary
