"""Tiles to look at, with what the model makes of them."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from landuse.core.arrays import Pixels

_BUDGET = 3_000_000  # characters that all pictures together may take: the page stays below 5 MB
_SIDE = 160  # pixels of the longer side; larger ones are reduced
_QUALITY = 82  # of WebP; below 80 flat fields show blocks


@dataclass(frozen=True)
class Exhibit:
    """One tile.

    picture: (H, W, 3) uint8, as a person would see it. overlay: the same with what the model looked at, or None.
    truth: its label, None where it has none (a class kept aside). probability: of the prediction.
    """

    file: str
    picture: Pixels
    overlay: Pixels | None
    original_class: str
    truth: str | None
    prediction: str
    probability: float
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Exhibits with one question in common. name: short, for addresses; about: one sentence."""

    name: str
    title: str
    about: str
    exhibits: tuple[Exhibit, ...]


def encoded(galleries: Sequence[Gallery]) -> dict[str, list[tuple[Exhibit, str, str]]]:
    """For each gallery, by name, its exhibits with picture and overlay as data URIs, as many as the page can hold."""
    found: dict[str, list[tuple[Exhibit, str, str]]] = {}
    for gallery in galleries:
        budget, shown = _BUDGET // len(galleries), found.setdefault(gallery.name, [])
        for exhibit in gallery.exhibits:
            overlay = "" if exhibit.overlay is None else _encode(exhibit.overlay)
            picture = _encode(exhibit.picture)
            budget -= len(picture) + len(overlay)
            if budget < 0:
                break
            shown.append((exhibit, picture, overlay))
    return found


def _encode(pixels: Pixels) -> str:
    """(H, W, 3) uint8 -> a data URI. WebP: a third of PNG's size for a tile that was a JPEG before."""
    bitmap = Image.fromarray(pixels)
    bitmap.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    bitmap.save(memory, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(memory.getvalue()).decode()
