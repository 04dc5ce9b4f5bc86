"""What every source hands on: a sorted list of tile names and a way to read one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.core.arrays import constant
from landuse.core.layers import LayerBand


@dataclass(frozen=True)
class GeoRef:
    """Where a tile lies: its bounds in the units (metres for UTM) of an EPSG coordinate system."""

    epsg: int
    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class Tile:
    """One decoded tile.

    pixels: (H, W, C), in the dtype of its collection. sha256: of the bytes it was decoded from.
    latitude, longitude: WGS84 degrees of the centre, where known without a GeoRef. group: what it was cut from (a tile,
    a polygon), which no split divides; None: it stands for itself.
    """

    pixels: npt.NDArray[Any]
    sha256: str
    georef: GeoRef | None = None
    latitude: float | None = None
    longitude: float | None = None
    group: str | None = None


@dataclass(frozen=True)
class Collection:
    """Labelled tiles that can be read one by one, from several threads.

    names: ``<Class>/<file>``, sorted. read: name -> Tile; raises BadTile.
    channels: what a network is to see, where it is not the bands: see ``sensors.Choice``. units: of the pixel values.
    resized: files are resampled to tiles of this size; else their centres are cut out. Pictures always are.
    radiometric_offset: to be added to digital numbers before scaling. ground_resolution:
    metres a pixel; None: unknown.
    licence: of the data, for the model card. digest: the content digest of the official data set, if
    there is one. official_only: other content is refused; off for what the user brings, which may be a part.
    area: where its tiles can lie, as southern and northern latitude, western and eastern longitude; None: anywhere.
    layers: the last bands, which are of other rasters. simulated: (layer, tile) -> path of the simulated raster.
    patches: its tiles are cut from larger ones, and may have one value.
    """

    source: str
    names: list[str]
    read: Callable[[str], Tile]
    bands: tuple[str, ...]
    size: int
    dtype: np.dtype[Any]
    units: str
    licence: str
    radiometric_offset: int = 0
    ground_resolution: float | None = None
    digest: str | None = None
    official_only: bool = False
    area: tuple[float, float, float, float] | None = None
    channels: tuple[tuple[str, str], ...] | None = None
    layers: tuple[LayerBand, ...] = ()
    simulated: Callable[[str, str], str] | None = None
    patches: bool = False
    resized: bool = False

    def constant(self, pixels: npt.NDArray[Any]) -> str | None:
        """Say so where all pixels (H, W, C) of a tile are the same, whatever the layers have."""
        spectral = pixels[..., : len(self.bands) - len(self.layers)]
        return f"constant: every pixel is {pixels[0, 0].tolist()}" if constant(spectral) else None
