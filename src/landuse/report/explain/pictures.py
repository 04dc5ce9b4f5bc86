"""Tiles as a person sees them, plain and with a heat map."""

from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import gaussian_filter

from landuse import sensors
from landuse.core.arrays import Floats32, Pixels
from landuse.tiles.store import TileStore

_SIDE = 128  # pixels of a picture, at least: smaller tiles are enlarged by a whole factor
_BLUR = 1 / 20  # of a picture's side, standard deviation: hides the grid of a heat map of 4 x 4, and moves nothing
_OPACITY = 0.6  # of the hottest place; what is cold stays as it is


def picture(store: TileStore, row: int) -> Pixels:
    """Return a tile in natural colours, (H, W, 3); each pixel a square of pixels where the tile is small."""
    bands = store.info["bands"]
    pixels: npt.NDArray[Any] = store.images[row]
    shown = pixels if len(bands) == 3 else sensors.to_rgb(pixels[..., [bands.index(band) for band in sensors.RGB]])
    factor = max(1, _SIDE // len(shown))
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
