"""Pictures around sampled cells in the scene's own pixels, in true and in false colour, for people who label them."""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt
from affine import Affine
from PIL import Image
from tqdm import tqdm

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.folder import MapFolder
from landuse.inference.sample import Sampled
from landuse.inference.scene import Scene, SceneOptions, open_scene
from landuse.inference.view import mercator
from landuse.inference.view.uri import data_uri
from landuse.spec.model import ModelSpec

_TRUE = ("red", "green", "blue")
_FALSE = ("nir", "red", "green")  # as red, green and blue: vegetation is red. The sharpest bands, unlike B8A and B11
_AROUND = 1.5  # cells on each side of the sampled one
_MOST = 2000  # cells: a page with more would not open
_LOOKED_AT = 50  # cells that these are taken from

Floats = npt.NDArray[np.float64]
Corner = tuple[int, int]  # row and column of a window


class Pictures(TypedDict):
    """Of a cell. box: as of ``mercator.Placed``. colours: data URIs, true and, with near infrared, false colours."""

    box: tuple[float, float, float, float]
    colours: list[str]


def pictures_of(
    sample: Sequence[Sampled], found: MapFolder, paths: Sequence[str], options: SceneOptions
) -> list[Pictures]:
    """Cut the surroundings of each cell from the scene that the map was made of.

    Raises:
        UserError: the scene cannot be read, or is not that of the map; or the sample is too large for a page.
    """
    if len(sample) > _MOST:
        raise UserError(f"a page has no room for pictures of {len(sample):,} cells: draw {_MOST:,} at most")
    scenes = _scenes(paths, options)
    cell, first = _cells(found, scenes[0], paths[0])
    margin = round(_AROUND * cell)
    size = cell + 2 * margin
    corners = [(first[0] + row * cell - margin, first[1] + col * cell - margin) for _, row, col, _ in sample]
    ends = [_ends(scene, corners, size) for scene in scenes]
    shown = []
    for row, col in tqdm(corners, desc="pictures", unit="cell", disable=None, leave=False):
        place = (scenes[0].transform @ Affine.translation(col, row), scenes[0].crs, (size, size))
        placed = mercator.place(*place)
        images = [
            _image(scene.read(row, col, size, size)[0], low_high) for scene, low_high in zip(scenes, ends, strict=True)
        ]
        colours = [data_uri(mercator.picture(image, *place, placed)) for image in images]
        shown.append(Pictures(box=placed.box, colours=colours))
    return shown


def _scenes(paths: Sequence[str], options: SceneOptions) -> list[Scene]:
    """The scene in true and, where it has near infrared, in false colours, of whatever sensor it is."""
    refused: list[UserError] = []
    for sensor in sensors.SENSORS:
        of = {common: band.name for band in sensor.bands for common in band.common}
        true, false = ([of[common] for common in wanted] for wanted in (_TRUE, _FALSE))
        try:
            scenes = [_open(paths, true, sensors.RGB_UNITS, "uint8", options)]  # 8-bit pictures, too
        except UserError as error:
            refused.append(error)
            continue
        with suppress(UserError):
            scenes.append(_open(paths, false, sensors.UNITS, "uint16", options))
        return scenes
    raise refused[0]


def _open(paths: Sequence[str], bands: list[str], units: str, dtype: str, options: SceneOptions) -> Scene:
    """Open it as for a model that takes these bands, whatever the pixels' size and the level."""
    spec = ModelSpec.model_construct(
        bands=bands, units=units, dtype=dtype, radiometric_offset=None, ground_resolution=None, tile_size=1, classes=[],
        source="",
    )  # fmt: skip
    return open_scene(paths, spec, options)


def _cells(found: MapFolder, scene: Scene, name: str) -> tuple[int, Corner]:
    """Pixels of the scene that a cell is wide, and where the first cell begins."""
    cell = round(found.summary["cell_metres"] / scene.transform.a)
    col, row = (round(at) for at in ~scene.transform @ (found.transform.c, found.transform.f))
    rows, cols = found.summary["shape"]
    last = (row + (rows - 1) * cell, col + (cols - 1) * cell)
    if scene.crs != found.crs or cell < 1 or min(row, col) < 0 or last[0] >= scene.height or last[1] >= scene.width:
        raise UserError(f"{name} is not the scene of this map: name the one that it was made of")
    return cell, (row, col)


def _ends(scene: Scene, corners: Sequence[Corner], size: int) -> Floats:
    """(2, 3) values of each band that become black and white, the same in all pictures."""
    some = corners[:: math.ceil(len(corners) / _LOOKED_AT)]
    pixels = np.concatenate([scene.read(*corner, size, size)[0].reshape(-1, 3) for corner in some])
    seen = pixels[pixels.any(axis=1)]
    if not len(seen):
        raise UserError("the scene has no data around the sampled cells: name the scene that the map was made of")
    return sensors.stretch(seen)


def _image(pixels: npt.NDArray[Any], ends: Floats) -> Image.Image:
    alpha = np.where(pixels.any(axis=2), 255, 0).astype(np.uint8)
    return Image.fromarray(np.dstack([sensors.stretched(pixels, ends), alpha]))
