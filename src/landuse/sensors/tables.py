"""Sensors as tables: their bands by name, and what a number in a product's file means. A new sensor is a new table."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UNITS = "digital numbers: reflectance x 10000"  # of every sensor's bands in a tile store


@dataclass(frozen=True)
class Band:
    """One band. wavelength: of its centre, nm. resolution: metres a pixel.

    common: what else it is called: STAC's common names (extension eo) and keys of assets of well-known catalogues.
    """

    name: str
    wavelength: int
    resolution: int
    common: tuple[str, ...]


@dataclass(frozen=True)
class Sensor:
    """Bands in the order of the files that tiles come in; reflectance = scale x number in a product's file + offset."""

    name: str
    bands: tuple[Band, ...]
    scale: float
    offset: float

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(band.name for band in self.bands)

    def digital_numbers(self, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        """Numbers of a product's file as reflectance x 10000, at least 1 (0 is no data), any shape."""
        if (self.scale, self.offset) == (1e-4, 0.0):
            return values
        return from_reflectance(values.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset))


# The order of EuroSAT's files, whose last two are not in the order of their names. Wavelengths as ESA's user handbook
# rounds them. "rededge" alone may be any of three bands. The offset of baseline 04.00 and later is a product's own
SENTINEL2 = Sensor(
    "Sentinel-2",
    (
        Band("B01", 443, 60, ("coastal",)),
        Band("B02", 490, 10, ("blue",)),
        Band("B03", 560, 10, ("green",)),
        Band("B04", 665, 10, ("red",)),
        Band("B05", 705, 20, ("rededge071", "rededge1")),
        Band("B06", 740, 20, ("rededge075", "rededge2")),
        Band("B07", 783, 20, ("rededge078", "rededge3")),
        Band("B08", 842, 10, ("nir",)),
        Band("B09", 945, 60, ("nir09",)),
        Band("B10", 1375, 60, ("cirrus",)),
        Band("B11", 1610, 20, ("swir16",)),
        Band("B12", 2190, 20, ("swir22",)),
        Band("B8A", 865, 20, ("nir08",)),
    ),
    scale=1e-4,
    offset=0.0,
)

# Landsat 8 and 9, Collection 2 Level-2 (USGS: surface reflectance = 0.0000275 x number - 0.2), bands as its files call
# them: B2 of Landsat and B02 of Sentinel-2 are not the same
LANDSAT = Sensor(
    "Landsat 8/9",
    (
        Band("SR_B1", 443, 30, ("coastal",)),
        Band("SR_B2", 482, 30, ("blue",)),
        Band("SR_B3", 561, 30, ("green",)),
        Band("SR_B4", 655, 30, ("red",)),
        Band("SR_B5", 865, 30, ("nir", "nir08")),
        Band("SR_B6", 1609, 30, ("swir16",)),
        Band("SR_B7", 2201, 30, ("swir22",)),
    ),
    scale=2.75e-5,
    offset=-0.2,
)

SENSORS = (SENTINEL2, LANDSAT)
BY_NAME = {band.name: band for sensor in SENSORS for band in sensor.bands}
SENSOR_OF = {band.name: sensor for sensor in SENSORS for band in sensor.bands}


def from_reflectance(values: npt.NDArray[np.floating]) -> npt.NDArray[np.uint16]:
    """Reflectance x 10000, at least 1: 0 is no data, and water can come out below 0; any shape."""
    numbers: npt.NDArray[np.uint16] = np.clip(np.rint(values * np.float32(10_000)), 1, 65_535).astype(np.uint16)
    return numbers
