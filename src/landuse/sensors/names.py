"""Bands by all their names."""

import re

from landuse.sensors.tables import BY_NAME, LANDSAT, SENTINEL2, Sensor

BANDS = SENTINEL2.names
# the order of a product's metadata
BANDS_BY_WAVELENGTH = (*BANDS[:8], "B8A", *BANDS[8:12])

_NAME = re.compile(r"(?<![A-Za-z0-9])(?<!SR_)B(?:and)?[ _]?(0?[1-9]|1[0-2]|0?8A)(?![A-Za-z0-9])", re.IGNORECASE)
_LANDSAT = re.compile(r"(?<![A-Za-z0-9])SR_B([1-7])(?![A-Za-z0-9])", re.IGNORECASE)
_COMMON = {
    sensor.name: {common: band.name for band in sensor.bands for common in band.common}
    for sensor in (SENTINEL2, LANDSAT)
}

_LIGHT = {  # by how a common name begins
    "coastal": "coastal aerosol",
    "rededge": "red edge",
    "nir09": "water vapour",
    "nir": "near infrared",
    "swir": "shortwave infrared",
}


def called(name: str) -> str:
    """A band's name with its light in words, "B8A, near infrared"; any other name as it is."""
    if name not in BY_NAME:
        return name
    common = BY_NAME[name].common[0]
    return f"{name}, {next((words for begin, words in _LIGHT.items() if common.startswith(begin)), common)}"


def band(text: str, sensor: Sensor = SENTINEL2) -> str | None:
    """The one band that a description, a key or a file's name names, as the sensor's table spells it.

    "B4", "B04 (665 nm)", "T32UMU_20210908T042701_B04_10m" and "red" are B04 of Sentinel-2. "SR_B4" is of Landsat, and
    "B04" of Sentinel-2, whatever the sensor.
    """
    landsat = {f"SR_B{number}" for number in _LANDSAT.findall(text)}
    if landsat:
        return landsat.pop() if len(landsat) == 1 else None
    found = {number.upper() for number in _NAME.findall(text)}
    if not found:
        return _COMMON[sensor.name].get(text.strip().lower())
    landsat = {f"SR_B{number}" for number in found} & set(LANDSAT.names) if sensor is LANDSAT else set()
    names = landsat or {f"B{number.lstrip('0').rjust(2, '0')}" for number in found}
    return names.pop() if len(names) == 1 else None
