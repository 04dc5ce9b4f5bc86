"""``data.bands``: presets, bands and spectral indices by name, and what of them is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from landuse.core import formulas
from landuse.core.errors import UserError
from landuse.sensors import catalogue
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

_USUAL = ("NDVI", "NDWI", "NDBI", "MNDWI", "BSI")  # of vegetation, water, buildings, water beside buildings, bare soil

Channels = list[tuple[str, str]]  # as ``ModelSpec`` has them


@dataclass(frozen=True)
class Choice:
    """What ``data.bands`` comes to.

    bands: as they are stored; those that only an index needs come last. channels: what a network sees, each as its name
    and its formula over the bands; None: the bands.
    """

    bands: tuple[str, ...]
    dtype: np.dtype[Any]
    units: str
    sensor: Sensor
    channels: tuple[tuple[str, str], ...] | None = None


def choose(asked: str | Sequence[str]) -> Choice:
    """Look up a preset, or bands and indices of one sensor.

    Raises:
        UserError: a name is not known or there twice, bands are of different sensors, or an index needs others.
    """
    if asked == "rgb":
        return Choice(RGB, np.dtype(np.uint8), RGB_UNITS, SENTINEL2)
    names = PRESETS[asked] if isinstance(asked, str) else tuple(asked)
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"data.bands has {name} twice: leave one of them out")
    own = tuple(name for name in names if name in BY_NAME)
    sensors = list(dict.fromkeys(SENSOR_OF[name] for name in own)) or [SENTINEL2]
    if len(sensors) > 1:
        whose = ", ".join(f"{name} of {SENSOR_OF[name].name}" for name in own)
        raise UserError(f"data.bands mixes sensors ({whose}): a tile is of one of them")
    channels = tuple((name, name if name in own else catalogue.formula(name, sensors[0])) for name in names)
    bands = tuple(dict.fromkeys([*own, *(band for _, formula in channels for band in formulas.names(formula))]))
    return Choice(bands, np.dtype(np.uint16), UNITS, sensors[0], channels if bands != names else None)


def with_indices(bands: Sequence[str], channels: Channels | None, layers: int = 0) -> Channels | None:
    """Add to what a network sees the usual indices that it lacks and whose bands are stored, before the layers."""
    seen = channels or [(name, name) for name in bands]
    lacking = [name for name in _USUAL if name not in [own for own, _ in seen]]
    sensor = SENSOR_OF.get(bands[0], SENTINEL2)
    usual = [(name, catalogue.formula(name, sensor)) for name in lacking]
    added = [(name, formula) for name, formula in usual if {*formulas.names(formula)} <= {*bands}]
    spectral = len(seen) - layers
    return [*seen[:spectral], *added, *seen[spectral:]] if added else channels
