"""Layers: rasters of anything, such as elevation, brought onto the pixels of a tile or a scene and stored as bands.

A raster gives one stored band, and more where slope or aspect are derived of it. Stored are uint16: a value is stored x
scale + offset, and 0 is no data.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, hypot, radians
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.core.arrays import Floats32
from landuse.core.errors import UserError
from landuse.core.layers import LayerBand, Resampling

_STEPS = 65_534  # from 1 to 65535
_DEGREE = 111_195  # metres of latitude, on the sphere
_EXACT = 1e-9  # pixels that a place may be off where it is interpolated: GDAL takes 0 for no answer
# what can be derived of an elevation in metres: suffixes of the names of its bands, with range and units. Aspect is
# circular and means nothing on flat land: its cosine and sine, times the sine of the slope, are neither
_SLOPE = ("_slope", (0.0, 90.0), "degrees")
_ASPECT = (("_northness", (-1.0, 1.0), "1"), ("_eastness", (-1.0, 1.0), "1"))
DERIVED = {"none": (), "slope": (_SLOPE,), "slope_aspect": (_SLOPE, *_ASPECT)}


@dataclass(frozen=True)
class Layer:
    """A raster and what is stored of it: bands, in order, all ``of`` it. path: as GDAL names it."""

    path: str
    bands: tuple[LayerBand, ...]

    @property
    def name(self) -> str:
        return self.bands[0]["of"]

    @property
    def method(self) -> Resampling:
        return self.bands[0]["resampling"]


@dataclass(frozen=True)
class Pixels:
    """Those of a tile, or of a part of a scene. crs: as rasterio takes it. transform: (column, row) to its units."""

    crs: Any
    transform: Any
    height: int
    width: int


def stored_bands(
    name: str, resampling: Resampling, limits: tuple[float, float], units: str, derive: str
) -> tuple[LayerBand, ...]:
    """The bands that are stored of a raster. limits: its smallest and largest value. derive: a key of DERIVED."""
    forms = [("", limits, units), *DERIVED[derive]]
    return tuple(_band(name, suffix, low, high, its, resampling) for suffix, (low, high), its in forms)


def grouped(bands: Sequence[LayerBand]) -> dict[str, tuple[LayerBand, ...]]:
    """Stored bands by the name of their raster."""
    return {name: tuple(band for band in bands if band["of"] == name) for name in dict.fromkeys(b["of"] for b in bands)}


def check(name: str, path: str) -> None:
    """Raise UserError, with the remedy, unless the raster can be opened, has one band and tells its place."""
    import rasterio  # GDAL takes a third of a second to load
    from rasterio.errors import RasterioError

    try:
        # that it lies nowhere is refused below
        with warnings.catch_warnings(action="ignore"), rasterio.open(path) as raster:
            count, crs, transform = raster.count, raster.crs, raster.transform
    except RasterioError as error:
        raise UserError(
            f"layer {name}: {path} cannot be read as a raster ({error}): mend the path or the file"
        ) from None
    if count != 1:
        raise UserError(f"layer {name}: {path} has {count} bands, a layer has one: cut it out (gdal_translate -b 1)")
    if crs is None or transform.is_identity:
        raise UserError(
            f"layer {name}: {path} does not say where it lies: give it a CRS and bounds (gdal_translate -a_srs)"
        )


def read(layer: Layer, pixels: Pixels) -> npt.NDArray[np.uint16]:
    """Read a layer on other pixels.

    Slope and aspect are derived there, from what is resampled, with one pixel around it: a border is like any place.

    Returns:
        (bands, height, width) as stored; 0 where the layer has no data, or a value beyond its limits.
    """
    derived = len(layer.bands) > 1
    values = _resampled(layer, _wider(pixels) if derived else pixels)
    (low, high), half = _limits(layer), layer.bands[0]["scale"] / 2
    values[~((low - half <= values) & (values <= high + half))] = np.nan  # a slope beside them means nothing
    own = values[1:-1, 1:-1] if derived else values
    of = {"": own} | (_terrain(values, *_ground_metres(pixels)) if derived else {})
    return np.stack([_encoded(of[band["name"].removeprefix(layer.name)], band) for band in layer.bands])


def fault(layer: Layer, stored: npt.NDArray[np.uint16]) -> str | None:
    """Why a layer, as ``read``, cannot be used for a tile: it must have data in all its pixels."""
    empty = int((stored == 0).any(axis=0).sum())
    if not empty:
        return None
    low, high = _limits(layer)
    kind = "does not cover it, or" if empty == stored[0].size else "covers a part of it, or"
    seen = "" if len(layer.bands) == 1 else ", and slopes need one pixel more around the tile"
    return (
        f"layer {layer.name} {kind} has no data there: none between {low:g} and {high:g} in {empty:,} of "
        f"{stored[0].size:,} pixels{seen}"
    )


def _band(name: str, suffix: str, low: float, high: float, units: str, resampling: Resampling) -> LayerBand:
    scale = (high - low) / _STEPS
    return LayerBand(name=name + suffix, scale=scale, offset=low - scale, units=units, resampling=resampling, of=name)


def _limits(layer: Layer) -> tuple[float, float]:
    """The smallest and the largest value of a raster."""
    band = layer.bands[0]
    return band["offset"] + band["scale"], band["offset"] + (_STEPS + 1) * band["scale"]


def _encoded(values: Floats32, band: LayerBand) -> npt.NDArray[np.uint16]:
    steps = np.rint((values.astype(np.float64) - band["offset"]) / band["scale"])
    return np.where(np.isnan(steps), 0, steps.clip(1, _STEPS + 1)).astype(np.uint16)


def _wider(pixels: Pixels) -> Pixels:
    """With one pixel more on each side."""
    to_corner = pixels.transform @ type(pixels.transform).translation(-1, -1)
    return Pixels(pixels.crs, to_corner, pixels.height + 2, pixels.width + 2)


def _resampled(layer: Layer, pixels: Pixels) -> Floats32:
    """(height, width) values; NaN where there is no data."""
    import rasterio
    from rasterio._err import CPLE_BaseError
    from rasterio.errors import RasterioError
    from rasterio.warp import Resampling as Method
    from rasterio.warp import reproject

    values = np.full((pixels.height, pixels.width), np.nan, np.float32)
    try:
        # opened for each part: a data set of GDAL bears one thread, and must not be shared by processes
        with rasterio.open(layer.path) as raster:
            try:
                scale = _scale(raster, pixels)
            except CPLE_BaseError:  # the raster's projection does not reach so far
                return values
            reproject(
                rasterio.band(raster, 1),
                values,
                dst_crs=pixels.crs,
                dst_transform=pixels.transform,
                dst_nodata=np.nan,
                resampling=Method[layer.method],
                tolerance=_EXACT,
                **scale,
            )
            return values * np.float32(raster.scales[0]) + np.float32(raster.offsets[0])
    except RasterioError as error:
        raise UserError(f"layer {layer.name}: {layer.path} is damaged ({error}): copy it again") from error


def _scale(raster: Any, pixels: Pixels) -> dict[str, float]:
    """How many pixels one of the raster is wide and high, which GDAL would guess, a little differently in each part."""
    from rasterio.warp import transform

    middle = (pixels.width / 2, pixels.height / 2)
    places = [pixels.transform @ (middle[0] + right, middle[1] + down) for right, down in ((0, 0), (1, 0), (0, 1))]
    x, y = transform(pixels.crs, raster.crs, *zip(*places, strict=True))
    columns, rows = zip(*(~raster.transform @ place for place in zip(x, y, strict=True)), strict=True)
    across, down = (hypot(columns[at] - columns[0], rows[at] - rows[0]) for at in (1, 2))
    return {"XSCALE": 1 / across, "YSCALE": 1 / down}


def _ground_metres(pixels: Pixels) -> tuple[float, float]:
    """Width and height of a pixel in the middle, on the ground; Web Mercator's metres are others."""
    from rasterio.warp import transform

    middle = (pixels.width / 2, pixels.height / 2)
    places = [pixels.transform @ (middle[0] + right, middle[1] + down) for right, down in ((0, 0), (1, 0), (0, 1))]
    longitude, latitude = transform(pixels.crs, "EPSG:4326", *zip(*places, strict=True))
    east = cos(radians(latitude[0]))
    right, down = (_DEGREE * hypot((longitude[at] - longitude[0]) * east, latitude[at] - latitude[0]) for at in (1, 2))
    return right, down


def _terrain(elevation: Floats32, right: float, down: float) -> dict[str, Floats32]:
    """Slope in degrees, and how far the surface faces north and east, -1 to 1, by suffix.

    Horn 1981 (doi:10.1109/PROC.1981.11918): differences over three rows, or columns, the middle one twice.

    elevation: (H + 2, W + 2), metres. right, down: metres of a pixel.
    """
    z = elevation
    east = (z[:-2, 2:] + 2 * z[1:-1, 2:] + z[2:, 2:] - z[:-2, :-2] - 2 * z[1:-1, :-2] - z[2:, :-2]) / (8 * right)
    south = (z[2:, :-2] + 2 * z[2:, 1:-1] + z[2:, 2:] - z[:-2, :-2] - 2 * z[:-2, 1:-1] - z[:-2, 2:]) / (8 * down)
    steep = np.hypot(east, south)
    long = np.hypot(steep, 1)
    # a surface faces where it falls; this is sin(slope) x cos(aspect), and x sin(aspect)
    return {"_slope": np.degrees(np.arctan(steep)), "_northness": south / long, "_eastness": -east / long}
