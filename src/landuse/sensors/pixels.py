"""What pixel values look like to a person: which bands are red, green and blue, and pictures of any bands."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.sensors.tables import BY_NAME

RGB = ("B04", "B03", "B02")
RGB_UNITS = "1..255, from 0..2750 digital numbers (reflectance x 10000)"
_COLOURS = ("red", "green", "blue")
_STRETCH = (2, 98)  # percentiles that become black and white
# common names as red, green and blue: crops, bare soil and roofs, and water apart, through haze; and colour infrared
_FALSE = (("nir08", "swir16", "red"), ("nir", "swir16", "red"), ("nir", "red", "green"))


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


def false_colours(bands: Sequence[str]) -> list[int]:
    """Places of the three bands, or the one, that are shown as red, green and blue and are not.

    Near infrared, shortwave infrared and red (B8A, B11, B04) where they are there, or near infrared, red and green;
    else bands that fall in wavelength, as true colours do.
    """
    known = [at for at, name in enumerate(bands) if name in BY_NAME] or range(len(bands))
    of = {common: at for at in known for common in (BY_NAME[bands[at]].common if bands[at] in BY_NAME else ())}
    for wanted in _FALSE:
        if set(wanted) <= set(of):
            return [of[common] for common in wanted]
    falling = sorted(known, key=lambda at: -_wavelength(bands[at]))
    return [falling[0], falling[len(falling) // 2], falling[-1]] if len(falling) >= 3 else falling[:1]


def shown(bands: Sequence[str]) -> list[int]:
    """Places of the bands of a single picture: true colours where there are, else false ones."""
    return visible(bands) or false_colours(bands)


def shown_in_turn(bands: Sequence[str]) -> list[list[int]]:
    """Places of the bands of each picture of a tile: true colours, then false ones, as far as there are both."""
    true, false = shown(bands), false_colours(bands)
    return [true] if sorted(true) == sorted(false) else [true, false]


def stretch(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(..., C) pixels -> (2, C) values of each channel that become black and white: the 2nd and the 98th percentile."""
    ends: npt.NDArray[np.float64] = np.percentile(pixels.reshape(-1, pixels.shape[-1]), _STRETCH, axis=0)
    return ends


def stretched(pixels: npt.NDArray[Any], ends: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """(..., 1 or 3) pixels -> (..., 3) from black to white between the ends, as of ``stretch``; one channel is grey."""
    low, high = ends
    scaled = np.rint((pixels - low) / np.maximum(high - low, 1) * 255).clip(0, 255).astype(np.uint8)
    return np.repeat(scaled, 3 // scaled.shape[-1], axis=-1)


def picture(
    pixels: npt.NDArray[Any],
    bands: Sequence[str],
    places: Sequence[int] | None = None,
    ends: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.uint8]:
    """(H, W, C) pixels as stored -> (H, W, 3), as a person would see them; true colours as EuroSAT has them.

    places: of the bands to show; None: ``shown``. ends: (2, C) of each band, which false colours are stretched to, the
    same for pictures that are to be compared; None: the tile's own.
    """
    if is_rgb(bands, pixels.dtype):
        return pixels
    chosen = [*places] if places else shown(bands)
    part = pixels[..., chosen]
    if chosen == visible(bands):
        return part if part.dtype == np.uint8 else to_rgb(part)
    return stretched(part, stretch(part) if ends is None else ends[:, chosen])


def _colour(name: str) -> str:
    """The common name of a band; a picture's channels are called by it."""
    return BY_NAME[name].common[0] if name in BY_NAME else name


def _wavelength(name: str) -> int:
    return BY_NAME[name].wavelength if name in BY_NAME else 0
