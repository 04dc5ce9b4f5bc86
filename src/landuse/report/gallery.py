"""Tiles to look at, with what the model makes of them."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from landuse import sensors
from landuse.core.arrays import Floats, Floats32, Pixels
from landuse.tiles.store import TileStore

_LEAST_SIDE = 128  # pixels of a picture: smaller tiles are enlarged by a whole factor
_BLUR = 1 / 20  # of a picture's side, standard deviation: hides the grid of a heat map of 4 x 4, and moves nothing
_OPACITY = 0.6  # of the hottest place; what is cold stays as it is
_BUDGET = 3_000_000  # characters that all pictures together may take: the page stays below 5 MB
_SIDE = 160  # pixels of the longer side in the page; larger ones are reduced
_LOOKED_AT = 200  # tiles that the stretch is taken from
_QUALITY = 82  # of WebP; below 80 flat fields show blocks


@dataclass(frozen=True)
class Exhibit:
    """One tile.

    picture: (H, W, 3) uint8, as a person would see it. false: the same land in false colours, or None. overlay: the
    picture with what the model looked at, or None.
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
    false: Pixels | None = None


@dataclass(frozen=True)
class Gallery:
    """Exhibits with one question in common. name: short, for addresses; about: one sentence."""

    name: str
    title: str
    about: str
    exhibits: tuple[Exhibit, ...]


def stretch(store: TileStore) -> Floats:
    """(2, C) values of each band that become black and white in false colours: of all tiles, by some of them."""
    return sensors.stretch(store.images[:: math.ceil(len(store.images) / _LOOKED_AT)])


def pictures(store: TileStore, row: int, ends: Floats) -> list[Pixels]:
    """Return a tile's pictures, (H, W, 3), as ``sensors.shown_in_turn`` chooses them: true and false colours.

    Each pixel is a square of pixels where it is small. ends: see ``stretch``.
    """
    pixels, bands = store.images[row], store.info["bands"]
    factor = max(1, _LEAST_SIDE // len(pixels))
    each = [sensors.picture(pixels, bands, places, ends) for places in sensors.shown_in_turn(bands)]
    return [shown.repeat(factor, axis=0).repeat(factor, axis=1) for shown in each]


def overlay(shown: Pixels, heat: Floats32) -> Pixels:
    """Lay a heat map, (h, w) from 0 to 1, smoothly over a picture, (H, W, 3)."""
    resized = Image.fromarray(heat).resize(shown.shape[1::-1], Image.Resampling.BILINEAR)
    heat = gaussian_filter(np.asarray(resized), _BLUR * len(shown))
    heat = heat / max(heat.max(), 1e-6)
    colours = matplotlib.colormaps["inferno"](heat)[..., :3] * 255
    opacity = _OPACITY * heat[..., None]
    mixed: Pixels = np.rint(shown * (1 - opacity) + colours * opacity).astype(np.uint8)
    return mixed


def encoded(galleries: Sequence[Gallery]) -> dict[str, list[tuple[Exhibit, str, str, str]]]:
    """For each gallery, by name, its exhibits with picture, false colours and overlay as data URIs ("" for none).

    They are as many as the page can hold.
    """
    found: dict[str, list[tuple[Exhibit, str, str, str]]] = {}
    for gallery in galleries:
        budget, shown = _BUDGET // len(galleries), found.setdefault(gallery.name, [])
        for exhibit in gallery.exhibits:
            each = (exhibit.picture, exhibit.false, exhibit.overlay)
            picture, false, overlay = ("" if pixels is None else _encode(pixels) for pixels in each)
            budget -= len(picture) + len(false) + len(overlay)
            if budget < 0:
                break
            shown.append((exhibit, picture, false, overlay))
    return found


def _encode(pixels: Pixels) -> str:
    """(H, W, 3) uint8 -> a data URI. WebP: a third of PNG's size for a tile that was a JPEG before."""
    bitmap = Image.fromarray(pixels)
    bitmap.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    memory = io.BytesIO()
    bitmap.save(memory, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(memory.getvalue()).decode()
