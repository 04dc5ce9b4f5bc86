"""A sheet for a slide: land on the left, a legend beside it, a scale under it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from landuse.core.files import atomic

_LONGEST, _MARGIN, _PANEL, _LINE = 1200, 40, 400, 76  # pixels: longer side of the land, and what is around it
INK, _PALE = (33, 33, 33), (130, 130, 130)
_UNSURE = 0.6  # of white in a pale colour

Colour = tuple[int, ...]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Entry:
    """Of a legend. paint: its colours, side by side. told: a line, or several, under its name."""

    paint: Sequence[Colour]
    name: str
    told: str


@dataclass(frozen=True)
class Canvas:
    """The land of a sheet: so many cells, each on some pixels.

    grey, seen: (height, width, 1) 0 to 255 how bright, and 0 to 1 how much of it a quicklook shows. cell: row and
    column of the cell of each pixel, as an index.
    """

    grey: Floats
    seen: Floats
    cell: tuple[npt.NDArray[np.int64], ...]

    @classmethod
    def over(cls, shape: tuple[int, ...], quicklook: Image.Image) -> "Canvas":
        """Lay (rows, cols) cells over their quicklook."""
        size = [max(1, round(side * _LONGEST / max(shape))) for side in shape]
        resized = quicklook.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        index = [np.minimum(np.arange(n) * m // n, m - 1) for n, m in zip(size, shape, strict=True)]
        return cls(
            np.asarray(resized.convert("L"), dtype=np.float32)[..., None],
            np.asarray(resized.getchannel("A"), dtype=np.float32)[..., None] / np.float32(255),
            np.ix_(*index),
        )

    def image(self, painted: Floats) -> Image.Image:
        """Of (height, width, 3) colours, white where nothing is seen."""
        on_paper = painted * self.seen + 255 * (1 - self.seen)
        return Image.fromarray(np.rint(on_paper).clip(0, 255).astype(np.uint8))


def write_sheet(
    path: Path, land: Image.Image, title: str, legend: Sequence[Entry], notes: Sequence[str], metres: float
) -> None:
    """Draw a sheet. notes: lines at its foot. metres: width of the land."""
    lines = sum(1 + entry.told.count("\n") / 3 for entry in legend)
    height = max(land.height + 40, 70 + round(_LINE * lines) + 14 + 26 * len(notes))
    sheet = Image.new("RGB", (land.width + _PANEL + 3 * _MARGIN, height + 2 * _MARGIN), "white")
    sheet.paste(land, (_MARGIN, _MARGIN))
    draw = ImageDraw.Draw(sheet)
    _scale_bar(draw, (_MARGIN, _MARGIN + land.height + 16), land.width, metres)
    left, top = land.width + 2 * _MARGIN, _MARGIN
    draw.text((left, top - 8), title, INK, _font(38))
    top += 70
    for entry in legend:
        _draw_entry(draw, (left, top), entry)
        top += round(_LINE * (1 + entry.told.count("\n") / 3))
    for number, note in enumerate(reversed(notes)):
        draw.text((left, sheet.height - _MARGIN - 22 - 26 * number), note, _PALE, _font(18))
    save(sheet, path)


def pale(colour: Colour) -> Colour:
    return tuple(round(value * (1 - _UNSURE) + 255 * _UNSURE) for value in colour)


def save(image: Image.Image, path: Path) -> None:
    with atomic(path) as part:
        image.save(part, format="png")


def _draw_entry(draw: ImageDraw.ImageDraw, at: tuple[int, int], entry: Entry) -> None:
    x, y = at
    width = 44 // len(entry.paint)
    for part, colour in enumerate(entry.paint):
        draw.rectangle((x + part * width, y, x + (part + 1) * width, y + 44), colour)
    draw.rectangle((x, y, x + 44, y + 44), outline=_PALE)
    draw.text((x + 62, y - 6), entry.name, INK, _font(24))
    draw.text((x + 62, y + 24), entry.told, _PALE, _font(20))


def _scale_bar(draw: ImageDraw.ImageDraw, at: tuple[int, int], pixels: int, metres: float) -> None:
    """Draw a bar of 1, 2 or 5 times a power of ten, at most a third of the land."""
    steps = [base * 10.0**power for power in range(7) for base in (1, 2, 5)]
    length = max(step for step in steps if step <= max(1.0, metres / 3))
    x, y = at
    end = x + round(length / metres * pixels)
    draw.rectangle((x, y, end, y + 8), INK)
    draw.rectangle(((x + end) // 2, y + 2, end - 2, y + 6), "white")
    told = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    draw.text((end + 12, y - 9), told, INK, _font(20))


def _font(size: int) -> Any:
    return ImageFont.load_default(size)
