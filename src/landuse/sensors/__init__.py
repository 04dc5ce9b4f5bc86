"""The one room that knows sensors: bands, their names and units, and how they look to a person."""

from landuse.sensors.choice import Choice, choose, with_indices
from landuse.sensors.files import EITHER, EUROSAT, Unfit, centre, in_order_of, named, places, read, spelled, stored
from landuse.sensors.names import BANDS, BANDS_BY_WAVELENGTH, band, called
from landuse.sensors.pixels import (
    RGB,
    RGB_UNITS,
    is_rgb,
    picture,
    shown,
    shown_in_turn,
    stretch,
    stretched,
    to_rgb,
    visible,
)
from landuse.sensors.tables import BY_NAME, LANDSAT, SENSOR_OF, SENSORS, SENTINEL2, UNITS, Band, Sensor

# processing level of the tiles of each data.source, where known: L1C is reflectance at the top of the atmosphere
LEVELS = {"eurosat_rgb": "L1C", "eurosat_ms": "L1C", "sample": "L1C"}

__all__ = [
    "BANDS",
    "BANDS_BY_WAVELENGTH",
    "BY_NAME",
    "EITHER",
    "EUROSAT",
    "LANDSAT",
    "LEVELS",
    "RGB",
    "RGB_UNITS",
    "SENSORS",
    "SENSOR_OF",
    "SENTINEL2",
    "UNITS",
    "Band",
    "Choice",
    "Sensor",
    "Unfit",
    "band",
    "called",
    "centre",
    "choose",
    "in_order_of",
    "is_rgb",
    "named",
    "picture",
    "places",
    "read",
    "shown",
    "shown_in_turn",
    "spelled",
    "stored",
    "stretch",
    "stretched",
    "to_rgb",
    "visible",
    "with_indices",
]
