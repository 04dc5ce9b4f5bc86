"""Tiles to look at, with what the model makes of them."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from landuse import sensors
from landuse.core.arrays import Floats32, Pixels
from landuse.tiles.store import TileStore

_LEAST_SIDE = 128  # pixels of a picture: smaller tiles are enlarged by a whole factor
_BLUR = 1 / 20  # of a picture's side, standard deviation: hides the grid of a heat map of 4 x 4, and moves nothing
_OPACITY = 0.6  # of the hottest place; what is cold stays as it is
_BUDGET = 3_000_000  # characters that all pictures together may take: the page stays below 5 MB
_SIDE = 160  # pixels of the longer side in the page; larger ones are reduced
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


def picture(store: TileStore, row: int) -> Pixels:
    """Return a tile as ``sensors.picture`` shows it, (H, W, 3); each pixel a square of pixels where it is small."""
    shown = sensors.picture(store.images[row], store.info["bands"])
    factor = max(1, _LEAST_SIDE // len(shown))
    return shown.repeat(factor, axis=0).repeat(factor, axis=1)


def overlay(shown: Pixels, heat: Floats32) -> Pixels:
    """Lay a heat map, (h, w) from 0 to 1, smoothly over a picture, (H, W, 3)."""
    resized = Image.fromarray(heat).resize(shown.shape[1::-1], Image.Resampling.BILINEAR)
    heat = gaussian_filter(np.asarray(resized), _BLUR * len(shown))
    heat = heat / max(heat.max(), 1e-6)
    colours = matplotlib.colormaps["inferno"](heat)[..., :3] * 255
    opacity = _OPACITY * heat[..., None]
    mixed: Pixels = np.rint(shown * (1 - opacity) + colours * opacity).astype(np.uint8)
    return mixed


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
