"""The sample: labelled tiles cut from simulated scenes of Sentinel-2. No network, the same bytes every time."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse import params
from landuse.errors import UserError
from landuse.sources import sentinel2
from landuse.sources.collection import Collection, GeoRef, Tile
from landuse.sources.sample import landscape, radiometry
from landuse.sources.sample.landscape import CLASSES

LICENCE = "MIT (simulated by landuse)"
_LARGEST = 256


def collection(data: params.Data) -> Collection:
    """Simulate scenes until every class has its tiles."""
    if data.tile_size > _LARGEST:
        raise UserError("")
    tiles = _cut(data.sample.seed, data.sample.tiles_per_class, data.tile_size, data.bands == "rgb")
    bands = sentinel2.RGB if data.bands == "rgb" else sentinel2.BANDS
    return Collection(
        source="sample",
        names=sorted(tiles),
        read=tiles.__getitem__,
        bands=bands,
        size=data.tile_size,
        dtype=np.dtype(np.uint8 if data.bands == "rgb" else np.uint16),
        units="x",
        licence=LICENCE,
    )
