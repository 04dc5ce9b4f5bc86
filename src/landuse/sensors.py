"""Sentinel-2's bands by all their names, as EuroSAT stores them, and EuroSAT's way from digital numbers to RGB."""

import re
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

# the order in EuroSAT's files, whose last two are not in the order of their names
BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B09", "B10", "B11", "B12", "B8A")

RGB = ("B04", "B03", "B02")
# the order of a product's metadata
BANDS_BY_WAVELENGTH = (*BANDS[:8], "B8A", *BANDS[8:12])
COMMON_NAMES = {  # of STAC's extension eo, and of Earth Search's assets; "rededge" alone may be any of three
    "coastal": "B01", "blue": "B02", "green": "B03", "red": "B04", "rededge071": "B05", "rededge1": "B05",
    "rededge075": "B06", "rededge2": "B06", "rededge078": "B07", "rededge3": "B07", "nir": "B08", "nir08": "B8A",
    "nir09": "B09", "cirrus": "B10", "swir16": "B11", "swir22": "B12",
}  # fmt: skip
# processing level of the tiles of each data.source, where known: L1C is reflectance at the top of the atmosphere
LEVELS = {"eurosat_rgb": "L1C", "eurosat_ms": "L1C", "sample": "L1C"}
UNITS = "digital numbers: reflectance x 10000"
RGB_UNITS = "1..255, from 0..2750 digital numbers (reflectance x 10000)"

_NAME = re.compile(r"(?<![A-Za-z0-9])B(?:and)?[ _]?(0?[1-9]|1[0-2]|0?8A)(?![A-Za-z0-9])", re.IGNORECASE)


def band(text: str) -> str | None:
    """The one band that a description, a key or a file's name names, as ``BANDS`` spells it.

    "B4", "B04 (665 nm)", "T32UMU_20210908T042701_B04_10m" and "red" are B04.
    """
    found = {number.upper().lstrip("0").rjust(2, "0") for number in _NAME.findall(text)}
    return f"B{found.pop()}" if len(found) == 1 else COMMON_NAMES.get(text.strip().lower())


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
