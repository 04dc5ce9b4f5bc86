"""What pixel values look like to a person: which bands are red, green and blue, and pictures of any bands."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.sensors.tables import BY_NAME

RGB = ("B04", "B03", "B02")
RGB_UNITS = "1..255, from 0..2750 digital numbers (reflectance x 10000)"
_COLOURS = ("red", "green", "blue")
_STRETCH = (2, 98)  # percentiles that become black and white, of bands that no eye sees


def to_rgb(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale digital numbers (reflectance x 10000), any shape, to the 8-bit values of EuroSAT's RGB.

    ``gdal_translate -scale 0 2750 1 255`` (Helber et al. 2019): 0..2750 becomes 1..255, rounded to the
    nearest; what is brighter is clamped to 255.
    """
    scaled = pixels.astype(np.float32) * np.float32(254 / 2750) + np.float32(1.5)
    clamped: npt.NDArray[np.uint8] = np.minimum(scaled, 255).astype(np.uint8)
    return clamped


def visible(bands: Sequence[str]) -> list[int] | None:
    """Places of red, green and blue among the bands, counted from 0; None where one is missing."""
    names = [_colour(name) for name in bands]
    return [names.index(colour) for colour in _COLOURS] if set(_COLOURS) <= set(names) else None


def is_rgb(bands: Sequence[str], dtype: np.dtype[Any] | str) -> bool:
    """Whether pixels are red, green and blue in 8 bits, as pictures are, and nothing else."""
    return np.dtype(dtype) == np.uint8 and len(bands) == 3 and visible(bands) == [0, 1, 2]


def shown(bands: Sequence[str]) -> list[int]:
    """Places of the three bands, or the one, that a picture shows: true colours where there are, else false ones.

    False colours fall in wavelength from red to blue, as true ones do.
    """
    spectral = [at for at, name in enumerate(bands) if name in BY_NAME] or range(len(bands))  # no layers, if possible
    falling = sorted(spectral, key=lambda at: -_wavelength(bands[at]))
    false = [falling[0], falling[len(falling) // 2], falling[-1]] if len(falling) >= 3 else falling[:1]
    return visible(bands) or false


def picture(pixels: npt.NDArray[Any], bands: Sequence[str]) -> npt.NDArray[np.uint8]:
    """(H, W, C) pixels as stored -> (H, W, 3), as a person would see them; false colours are stretched."""
    if is_rgb(bands, pixels.dtype):
        return pixels
    chosen = pixels[..., shown(bands)]
    if visible(bands):
        return chosen if chosen.dtype == np.uint8 else to_rgb(chosen)
    low, high = np.percentile(chosen, _STRETCH, axis=(0, 1))
    stretched = np.rint((chosen - low) / np.maximum(high - low, 1) * 255).clip(0, 255).astype(np.uint8)
    return np.repeat(stretched, 3 // stretched.shape[-1], axis=-1)


def _colour(name: str) -> str:
    """The common name of a band; a picture's channels are called by it."""
    return BY_NAME[name].common[0] if name in BY_NAME else name


def _wavelength(name: str) -> int:
    return BY_NAME[name].wavelength if name in BY_NAME else 0
