"""Whole simulated scenes as files, of one date or of two: what maps of land and of its change are tried on."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from rasterio.transform import from_origin
from tqdm import tqdm

from landuse import sensors
from landuse.core.arrays import Ints
from landuse.core.files import atomic, write_text
from landuse.data.sources.sample import simulation, surroundings
from landuse.data.sources.sample.covers import PAINTERS
from landuse.data.sources.sample.landscape import CITY, CLASSES, Places
from landuse.data.sources.sample.rasters import Raster, created
from landuse.data.sources.sample.simulation import Simulation
from landuse.palette import colours, rgb

_ZONE = 130  # pixels: mean width of a stretch of one land use
_ROWS, _COLUMNS = 256, 4096  # pixels of a block
_DATES = ("2018-06-30 10:30:00", "2023-08-29 10:30:00")  # UTC
_COURSES, _SPACE = 1.2, 4096  # rivers, and highways, on average; more in scenes of more pixels a side


def write_scene(
    folder: Path,
    seed: int,
    size: int = 1024,
    city: float | None = None,
    after: float | None = None,
    layers: bool = False,
) -> None:
    """Write scene.tif (13 bands of uint16 digital numbers) and land_use.tif (uint8, index of the true class).

    With ``after`` also after.tif and after_land_use.tif, a later date on the same grid, and transitions.csv. All are
    UTM GeoTIFFs with pixels of 10 m, tiled and deflated; the maps name their classes and colours. The first date is the
    same whether there is another or not.

    city: share of the land that is residential or industrial, about; None: a quarter. after: share of the farmland that
    becomes city. layers: write dem.tif and ndvi.tif of the first date, too; see ``surroundings``.

    Raises:
        UserError: there is no farmland.
    """
    blocks = _blocks(size)
    with tqdm(total=len(blocks), desc="scene", unit="block", disable=None, leave=False) as bar, atomic(folder) as part:
        first = simulation.draw(seed, 0, size, _ZONE, _weights(size, city), evenly=city is not None)
        dates = [first] if after is None else [first, simulation.later(seed, 0, first, after)]
        part.mkdir()
        crossed = np.zeros(len(CLASSES) ** 2, np.int64)
        with ExitStack() as stack:
            files = [stack.enter_context(_rasters(part, number, date)) for number, date in enumerate(dates)]
            for rows, columns in blocks:
                looks = simulation.look(dates, sensors.BANDS, rows, columns)
                for (land_use, pixels), (scene, truth) in zip(looks, files, strict=True):
                    scene.write(np.moveaxis(pixels, -1, 0), rows, columns)
                    truth.write(land_use[None], rows, columns)
                pairs = len(CLASSES) * looks[0][0].ravel() + looks[-1][0].ravel()
                crossed += np.bincount(pairs, minlength=len(crossed))
                bar.update()
        if layers:
            found = surroundings.draw(seed, 0, first)
            for name, kind in surroundings.KINDS.items():
                surroundings.write(part / f"{name}.tif", kind, found, first)
        if after is not None:
            _write_transitions(part / "transitions.csv", crossed)


def _weights(size: int, city: float | None) -> dict[str, float]:
    if city is None:
        weights = dict.fromkeys(PAINTERS, 1.0)
    else:
        built = [CLASSES[land_use] for land_use in CITY]
        others = [name for name in PAINTERS if name not in built]
        # the city's side by side: where few zones are due to it, they are one or the other
        weights = dict.fromkeys(built, city / len(built)) | dict.fromkeys(others, (1 - city) / len(others))
    return weights | dict.fromkeys(("Highway", "River"), _COURSES * max(1.0, size / _SPACE))


def _blocks(size: int) -> list[tuple[Places, Places]]:
    """Rows and columns of each, in the order in which noise is drawn."""
    starts = [(top, left) for top in range(0, size, _ROWS) for left in range(0, size, _COLUMNS)]
    return [(np.arange(t, min(t + _ROWS, size)), np.arange(x, min(x + _COLUMNS, size))) for t, x in starts]


@contextmanager
def _rasters(folder: Path, number: int, date: Simulation) -> Iterator[tuple[Raster, Raster]]:
    """Open the scene and the land-use map of a date to write."""
    size = date.plan.size
    place = {"crs": f"EPSG:{date.epsg}", "transform": from_origin(date.west, date.north, 10, 10)}
    form = {"width": size, "height": size, **place}
    scene, truth = folder / ("scene.tif", "after.tif")[number], folder / ("land_use.tif", "after_land_use.tif")[number]
    with (
        created(scene, **form, count=len(sensors.BANDS), dtype="uint16") as image,
        created(truth, **form, count=1, dtype="uint8") as classes,
    ):
        image.file.descriptions = sensors.BANDS
        image.file.update_tags(ns="IMAGERY", ACQUISITIONDATETIME=_DATES[number])
        if number:
            down, right = date.date.shift
            image.file.update_tags(shift_x_metres=10 * right, shift_y_metres=-10 * down)
        palette = {k: (*rgb(colour), 255) for k, colour in enumerate(colours(CLASSES).values())}
        classes.file.write_colormap(1, palette)
        classes.file.update_tags(1, **{str(k): name for k, name in enumerate(CLASSES)})
        yield image, classes


def _write_transitions(path: Path, pixels: Ints) -> None:
    """Write from, to and hectares of all pairs of land uses that are there."""
    pairs = [(CLASSES[k // len(CLASSES)], CLASSES[k % len(CLASSES)], pixels[k] / 100) for k in np.flatnonzero(pixels)]
    lines = [f"{before},{after},{hectares:.2f}\n" for before, after, hectares in pairs]
    write_text(path, "".join(["from,to,hectares\n", *lines]))
