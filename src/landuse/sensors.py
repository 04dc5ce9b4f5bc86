"""Sentinel-2's bands as EuroSAT stores them, and EuroSAT's way from digital numbers to RGB."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# the order in EuroSAT's files, whose last two are not in the order of their names
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")

RGB = ("B04", "B03", "B02")
UNITS = "digital numbers: reflectance x 10000"
RGB_UNITS = "1..255, from 0..2750 digital numbers (reflectance x 10000)"


def form(bands: Literal["rgb", "all"]) -> tuple[tuple[str, ...], np.dtype[Any], str]:
    """The names, the dtype and the units of EuroSAT's RGB, or of all bands."""
    return (RGB, np.dtype(np.uint8), RGB_UNITS) if bands == "rgb" else (BANDS, np.dtype(np.uint16), UNITS)


def to_rgb(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Scale digital numbers (reflectance x 10000), any shape, to the 8-bit values of EuroSAT's RGB.

    ``gdal_translate -scale 0 2750 1 255`` (Helber et al. 2019): 0..2750 becomes 1..255, rounded to the
    nearest; what is brighter is clamped to 255.
    """
    scaled = pixels.astype(np.float32) * np.float32(254 / 2750) + np.float32(1.5)
    clamped: npt.NDArray[np.uint8] = np.minimum(scaled, 255).astype(np.uint8)
    return clamped
