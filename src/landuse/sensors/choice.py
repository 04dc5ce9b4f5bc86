"""``data.bands``: presets, bands and spectral indices by name, and what of them is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from landuse.core.errors import UserError, did_you_mean
from landuse.sensors.pixels import RGB, RGB_UNITS
from landuse.sensors.tables import BY_NAME, SENSOR_OF, SENTINEL2, UNITS, Sensor

PRESETS = {
    "rgb": RGB,  # in EuroSAT's 8 bits; the others are digital numbers
    "rgb_nir": (*RGB, "B08"),
    "ten_metre": tuple(band.name for band in SENTINEL2.bands if band.resolution == 10),
    "twenty_metre": tuple(band.name for band in SENTINEL2.bands if band.resolution == 20),
    "all": SENTINEL2.names,
    "no_cirrus": tuple(name for name in SENTINEL2.names if name != "B10"),
}
# (sum of the first - sum of the others) / sum of all, by common names: NDVI (Rouse et al. 1974), NDWI (McFeeters 1996),
# NDBI (Zha et al. 2003), MNDWI (Xu 2006), BSI (Rikimaru et al. 2002). The forms are those of Awesome Spectral Indices
INDICES = {
    "NDVI": (("nir",), ("red",)),
    "NDWI": (("green",), ("nir",)),
    "NDBI": (("swir16",), ("nir",)),
    "MNDWI": (("green",), ("swir16",)),
    "BSI": (("swir16", "red"), ("nir", "blue")),
}

Channels = list[tuple[str, list[str], list[str]]]  # as ``ModelSpec`` has them


@dataclass(frozen=True)
class Choice:
    """What ``data.bands`` comes to.

    bands: as they are stored; those that only an index needs come last. channels: what a network sees, each as its name
    with the bands that are added and, for an index, those that are subtracted; None: the bands.
    """

    bands: tuple[str, ...]
    dtype: np.dtype[Any]
    units: str
    sensor: Sensor
    channels: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] | None = None


def choose(asked: str | Sequence[str]) -> Choice:
    """Look up a preset, or bands and indices of one sensor.

    Raises:
        UserError: a name is not known or there twice, or bands are of different sensors.
    """
    if asked == "rgb":
        return Choice(RGB, np.dtype(np.uint8), RGB_UNITS, SENTINEL2)
    names = PRESETS[asked] if isinstance(asked, str) else tuple(asked)
    for name in names:
        if name not in BY_NAME and name not in INDICES:
            raise UserError(f"data.bands has {name!r}, no band or index{did_you_mean(name, [*BY_NAME, *INDICES])}")
        if names.count(name) > 1:
            raise UserError(f"data.bands has {name} twice: leave one of them out")
    own = tuple(name for name in names if name in BY_NAME)
    sensors = list(dict.fromkeys(SENSOR_OF[name] for name in own)) or [SENTINEL2]
    if len(sensors) > 1:
        whose = ", ".join(f"{name} of {SENSOR_OF[name].name}" for name in own)
        raise UserError(f"data.bands mixes sensors ({whose}): a tile is of one of them")
    channels = tuple(_channel(name, sensors[0]) for name in names)
    bands = tuple(dict.fromkeys([*own, *(band for _, plus, minus in channels for band in (*plus, *minus))]))
    return Choice(bands, np.dtype(np.uint16), UNITS, sensors[0], channels if bands != names else None)


def with_indices(bands: Sequence[str], channels: Channels | None) -> Channels | None:
    """Add to what a network sees the indices of ``INDICES`` that it lacks and whose bands are stored."""
    seen = channels or [(name, [name], []) for name in bands]
    sensor = SENSOR_OF.get(bands[0], SENTINEL2)
    usual = [_channel(name, sensor) for name in INDICES if name not in [own for own, *_ in seen]]
    added = [(name, [*plus], [*minus]) for name, plus, minus in usual if {*plus, *minus} <= {*bands}]
    return [*seen, *added] if added else channels


def _channel(name: str, sensor: Sensor) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    if name in BY_NAME:
        return name, (name,), ()
    of = {common: band.name for band in sensor.bands for common in band.common}
    plus, minus = (tuple(of[common] for common in part) for part in INDICES[name])
    return name, plus, minus
