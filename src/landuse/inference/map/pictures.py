"""quicklook.png, and map.png for a slide: the classes over it, what they cover, and a scale."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from landuse import sensors
from landuse.inference.map.cells import Cells
from landuse.inference.sheet import INK, Canvas, Colour, Entry, pale, save, write_sheet
from landuse.palette import rgb

LARGEST = 2048  # pixels a side of the quicklook
_STRIPE = 4  # pixels of a stripe over cells unlike the training tiles, of every third


def stretch(cells: Cells) -> npt.NDArray[np.float64]:
    """(2, 1 or 3) values of each band that become black and white."""
    return sensors.stretch(cells.picture[cells.seen])


def write_quicklook(path: Path, cells: Cells) -> Image.Image:
    """Write what ``sensors.shown`` chooses of the scene's bands as RGBA, exactly on the extent of the cells."""
    colours = sensors.stretched(cells.picture, stretch(cells))
    image = Image.fromarray(np.dstack([colours, np.where(cells.seen, 255, 0).astype(np.uint8)]))
    image.thumbnail((LARGEST, LARGEST))
    save(image, path)
    return image


def write_map(path: Path, cells: Cells, quicklook: Image.Image, summary: dict[str, Any]) -> None:
    """Draw the classes over a grey quicklook, beside a legend with what they cover."""
    cell = f"cells of {summary['cell_metres']:g} m, {summary['crs']}"
    notes = [summary["date"][:10], cell] if summary["date"] else [cell]
    metres = cells.classes.shape[1] * summary["cell_metres"]
    write_sheet(path, _land(cells, quicklook, summary["colours"]), "Land use", _legend(summary), notes, metres)


def _legend(summary: dict[str, Any]) -> list[Entry]:
    """Colours, name and numbers of each entry: the classes, what is unsure, what is strange, what has no answer."""
    counts, colours, valid = summary["counts"], summary["colours"], summary["valid_cells"]
    entries = [
        Entry([rgb(colour)], name, f"{counts[name]['hectares']:,.0f} ha, {counts[name]['share']:.1%}")
        for name, colour in colours.items()
    ]
    if summary["abstained_cells"]:
        paint = [pale(rgb(colour)) for colour in list(colours.values())[:2]]
        entries.append(Entry(paint, "unsure (pale)", f"{summary['abstained_cells'] / valid:.1%} of the cells"))
    if summary["strange_cells"]:
        stripes: list[Colour] = [INK, (255, 255, 255), (255, 255, 255)] * 4
        told = f"{summary['strange_cells'] / valid:.1%}, unlike the training tiles"
        entries.append(Entry(stripes, "strange (striped)", told))
    if summary["masked_cells"]:
        entries.append(Entry([(170, 170, 170)], "no answer", "no data, or masked"))
    return entries


def _land(cells: Cells, quicklook: Image.Image, colours: dict[str, str]) -> Image.Image:
    """The colours of the classes, darker where the scene is dark, striped where it is strange; else grey."""
    canvas = Canvas.over(cells.classes.shape, quicklook)
    at, grey = canvas.cell, canvas.grey
    table = np.zeros((2, 256, 3), dtype=np.float32)
    table[0, : len(colours)] = [rgb(colour) for colour in colours.values()]
    table[1, : len(colours)] = [pale(rgb(colour)) for colour in colours.values()]
    paint = table[cells.abstained[at].astype(int), cells.classes[at]]
    stripes = np.add.outer(*map(np.arange, paint.shape[:2])) // _STRIPE % 3 == 0
    paint[cells.strange[at] & stripes] = INK
    return canvas.image(np.where(cells.valid[at][..., None], paint * (0.72 + 0.4 * grey / 255), 0.5 * grey + 110))
