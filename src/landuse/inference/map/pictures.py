"""quicklook.png, and map.png for a slide: the classes over it, what they cover, and a scale."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from landuse.core.files import atomic
from landuse.inference.map.cells import Cells
from landuse.palette import rgb

LARGEST = 2048  # pixels a side of the quicklook
_MAP, _MARGIN, _PANEL, _LINE = 1200, 40, 400, 76  # pixels of map.png: longer side of the land, and what is around it
_INK, _PALE = (33, 33, 33), (130, 130, 130)
_STRIPE = 4  # pixels of a stripe over cells unlike the training tiles, of every third
_UNSURE = 0.6  # of white in the colour of a cell without an answer that is sure enough
_STRETCH = (2, 98)  # percentiles that become black and white

Bytes = npt.NDArray[np.uint8]


def write_quicklook(path: Path, cells: Cells) -> Image.Image:
    """Write the scene's true colours (or one band, grey) as RGBA, exactly on the extent of the cells."""
    picture = _stretched(cells.picture, cells.seen)
    colours = np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    image = Image.fromarray(np.dstack([colours, np.where(cells.seen, 255, 0).astype(np.uint8)]))
    image.thumbnail((LARGEST, LARGEST))
    _save(image, path)
    return image


def write_map(path: Path, cells: Cells, quicklook: Image.Image, summary: dict[str, Any]) -> None:
    """Draw the classes over a grey quicklook, beside a legend with what they cover."""
    colours = summary["colours"]
    rows, cols = cells.classes.shape
    size = (max(1, round(cols * _MAP / max(rows, cols))), max(1, round(rows * _MAP / max(rows, cols))))
    height = max(size[1] + 40, 70 + _LINE * (len(colours) + 3) + 90)
    sheet = Image.new("RGB", (size[0] + _PANEL + 3 * _MARGIN, height + 2 * _MARGIN), "white")
    sheet.paste(_land(cells, quicklook, colours, size), (_MARGIN, _MARGIN))
    draw = ImageDraw.Draw(sheet)
    _scale_bar(draw, (_MARGIN, _MARGIN + size[1] + 16), size[0], cols * summary["cell_metres"])
    left, top = size[0] + 2 * _MARGIN, _MARGIN
    draw.text((left, top - 8), "Land use", _INK, _font(38))
    for number, (paint, name, told) in enumerate(_legend(summary)):
        _entry(draw, (left, top + 70 + _LINE * number), paint, name, told)
    cell = f"cells of {summary['cell_metres']:g} m, {summary['crs']}"
    notes = [summary["date"][:10], cell] if summary["date"] else [cell]
    for number, note in enumerate(reversed(notes)):
        draw.text((left, sheet.height - _MARGIN - 22 - 26 * number), note, _PALE, _font(18))
    _save(sheet, path)


def _legend(summary: dict[str, Any]) -> list[tuple[list[tuple[int, ...]], str, str]]:
    """Colours, name and numbers of each entry: the classes, what is unsure, what is strange, what has no answer."""
    counts, colours, valid = summary["counts"], summary["colours"], summary["valid_cells"]
    entries: list[tuple[list[tuple[int, ...]], str, str]] = [
        ([rgb(colour)], name, f"{counts[name]['hectares']:,.0f} ha, {counts[name]['share']:.1%}")
        for name, colour in colours.items()
    ]
    if summary["abstained_cells"]:
        pale = [_pale(rgb(colour)) for colour in list(colours.values())[:2]]
        entries.append((pale, "unsure (pale)", f"{summary['abstained_cells'] / valid:.1%} of the cells"))
    if summary["strange_cells"]:
        stripes: list[tuple[int, ...]] = [_INK, (255, 255, 255), (255, 255, 255)] * 4
        told = f"{summary['strange_cells'] / valid:.1%}, a guess (striped)"
        entries.append((stripes, "unlike the training tiles", told))
    if summary["masked_cells"]:
        entries.append(([(170, 170, 170)], "no answer", "no data, or masked"))
    return entries


def _entry(draw: ImageDraw.ImageDraw, at: tuple[int, int], paint: list[tuple[int, ...]], name: str, told: str) -> None:
    x, y = at
    width = 44 // len(paint)
    for part, colour in enumerate(paint):
        draw.rectangle((x + part * width, y, x + (part + 1) * width, y + 44), colour)
    draw.rectangle((x, y, x + 44, y + 44), outline=_PALE)
    draw.text((x + 62, y - 6), name, _INK, _font(24))
    draw.text((x + 62, y + 24), told, _PALE, _font(20))


def _land(cells: Cells, quicklook: Image.Image, colours: dict[str, str], size: tuple[int, int]) -> Image.Image:
    """The colours of the classes, darker where the scene is dark, striped where it is strange; else grey."""
    resized = quicklook.resize(size, Image.Resampling.BILINEAR)
    grey = np.asarray(resized.convert("L"), dtype=np.float32)[..., None]
    seen = np.asarray(resized.getchannel("A"), dtype=np.float32)[..., None] / 255
    index = [np.minimum(np.arange(n) * m // n, m - 1) for n, m in zip(size[::-1], cells.classes.shape, strict=True)]
    at = np.ix_(*index)
    table = np.zeros((2, 256, 3), dtype=np.float32)
    table[0, : len(colours)] = [rgb(colour) for colour in colours.values()]
    table[1, : len(colours)] = [_pale(rgb(colour)) for colour in colours.values()]
    paint = table[cells.abstained[at].astype(int), cells.classes[at]]
    stripes = np.add.outer(*map(np.arange, size[::-1])) // _STRIPE % 3 == 0
    paint[cells.strange[at] & stripes] = _INK
    painted = np.where(cells.valid[at][..., None], paint * (0.72 + 0.4 * grey / 255), 0.5 * grey + 110)
    return Image.fromarray(np.rint(painted * seen + 255 * (1 - seen)).clip(0, 255).astype(np.uint8))


def _pale(colour: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(round(value * (1 - _UNSURE) + 255 * _UNSURE) for value in colour)


def _scale_bar(draw: ImageDraw.ImageDraw, at: tuple[int, int], pixels: int, metres: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten, at most a third of the map."""
    steps = [base * 10.0**power for power in range(7) for base in (1, 2, 5)]
    length = max(step for step in steps if step <= max(1.0, metres / 3))
    x, y = at
    end = x + round(length / metres * pixels)
    draw.rectangle((x, y, end, y + 8), _INK)
    draw.rectangle(((x + end) // 2, y + 2, end - 2, y + 6), "white")
    told = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    draw.text((end + 12, y - 9), told, _INK, _font(20))


def _stretched(picture: npt.NDArray[Any], seen: npt.NDArray[np.bool_]) -> Bytes:
    low, high = np.percentile(picture[seen], _STRETCH, axis=0)
    scaled = (picture - low) / np.maximum(high - low, 1) * 255
    stretched: Bytes = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    return stretched


def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _save(image: Image.Image, path: Path) -> None:
    with atomic(path) as part:
        image.save(part, format="png")
