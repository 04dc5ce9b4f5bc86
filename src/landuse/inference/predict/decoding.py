"""From the bytes of a file to the pixels that a model takes."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine

from landuse import pictures, sensors
from landuse.pictures import BadTile
from landuse.sensors import EUROSAT
from landuse.sensors.layers import Layer, Pixels, fault, read
from landuse.spec.model import ModelSpec

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # first bytes, of BigTIFF too
_NAME_IN_MEMORY = re.compile(r"'?(/vsimem/)?[0-9a-f]{8}-[-0-9a-f/]+(\.tif)?'?:? ?")  # GDAL names it in its messages


@dataclass(frozen=True)
class Tile:
    """One tile.

    pixels: (tile_size, tile_size, C) in the model's dtype. place: (crs as WKT, x, y) of the centre, where the file
    tells it. note: a decision about its bands that a person should know.
    """

    pixels: npt.NDArray[Any]
    place: tuple[str, float, float] | None = None
    note: str | None = None


def decode(content: bytes, spec: ModelSpec, layers: Sequence[Layer] = ()) -> Tile:
    """Decode a picture (PNG, JPEG, ...: as the training tiles were) or a GeoTIFF.

    A GeoTIFF of digital numbers gives an RGB model of EuroSAT its 8 bits. A picture of another size is scaled and cut,
    and of a larger GeoTIFF the centre is taken, or all is resampled (data.resize), only if the training tiles were
    treated so (data.source=folder). layers: of the model; a GeoTIFF gets them where it lies.

    Raises:
        BadTile: it is broken, or not what the model takes; says both.
    """
    if content.startswith(_TIFF):
        return _from_tiff(content, spec, layers)
    return Tile(_from_picture(content, spec))


def _from_picture(content: bytes, spec: ModelSpec) -> npt.NDArray[np.uint8]:
    image = pictures.decode(content)
    if not sensors.is_rgb(spec.bands, spec.dtype):
        raise BadTile(f"an 8-bit picture: this model takes a GeoTIFF of {spec.units}, bands {', '.join(spec.bands)}")
    if spec.source == "folder":
        return pictures.square(image, spec.tile_size)
    _check_size(image.size, spec)
    return np.asarray(image)


def _from_tiff(content: bytes, spec: ModelSpec, layers: Sequence[Layer]) -> Tile:
    from rasterio.errors import RasterioError  # GDAL takes a third of a second to load
    from rasterio.io import MemoryFile

    try:
        with MemoryFile(content) as file, file.open(driver="GTiff") as image:
            left, bottom, right, top = image.bounds
            place = (image.crs.to_wkt(), (left + right) / 2, (bottom + top) / 2) if image.crs else None
            if image.dtypes[0] == "uint8" and sensors.is_rgb(spec.bands, spec.dtype) and _is_picture(image):
                if image.count in (1, 3) and not image.dataset_mask().all():
                    raise BadTile("pixels without data are not land: leave the tile out")
                pixels = _from_picture(content, spec)
                if image.count >= 3:
                    pixels = pixels[..., sensors.places(sensors.named(image, EUROSAT)[:3], spec.bands)[0]]
                return Tile(pixels, place)
            if spec.source != "folder":
                _check_size((image.width, image.height), spec)
            pixels, note = _numbers(image, spec)
            if layers:
                pixels = np.concatenate([pixels, *_layers(image, spec, layers)], axis=-1)
            return Tile(pixels, place, note)
    except sensors.Unfit as error:
        raise BadTile(str(error)) from None
    except (RasterioError, ValueError) as error:  # ValueError: a broken definition or text of the file
        reason = _NAME_IN_MEMORY.sub("", str(error.__cause__ or error)).lstrip(", ")
        raise BadTile(f"broken GeoTIFF: {reason}") from None


def _is_picture(image: Any) -> bool:
    return image.count in (1, 3) or image.colorinterp[-1].name == "alpha"


def _numbers(image: Any, spec: ModelSpec) -> tuple[npt.NDArray[Any], str | None]:
    """Read the model's bands: (H, W, C) in its dtype and units, and how they were told apart, if not by name.

    image: a rasterio data set.
    """
    as_rgb, own = spec.units == sensors.RGB_UNITS, spec.source == "folder"
    kind = image.dtypes[0]
    taken = ["uint16"] if as_rgb else [spec.dtype]
    if own and spec.dtype == "uint16":  # as the training tiles may have been
        taken += ["float32", "float64"]
    if kind not in taken:
        asked = f"{spec.units}, {spec.dtype}" + (f", or uint16 {sensors.UNITS}" if as_rgb else "")
        raise BadTile(f"{image.count} bands of {kind}: this model takes {', '.join(spec.spectral)} ({asked})")
    sensor = sensors.SENSOR_OF.get(spec.bands[0], sensors.SENTINEL2)
    order = sensors.in_order_of("the model", spec.spectral) if own and image.count == len(spec.spectral) else EUROSAT
    places, note = sensors.places(sensors.named(image, order, sensor), spec.spectral, sensor)
    window = sensors.centre(image.width, image.height, _side(image, spec))
    pixels = sensors.read(image, places, window, spec.tile_size)
    pixels = sensors.stored(pixels, spec.spectral, sensor) if own else pixels
    pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    return (sensors.to_rgb(pixels) if as_rgb else pixels), note


def _side(image: Any, spec: ModelSpec) -> int:
    """Pixels a side of the middle that becomes the tile."""
    return min(image.width, image.height) if spec.resized else spec.tile_size


def _layers(image: Any, spec: ModelSpec, layers: Sequence[Layer]) -> Iterator[npt.NDArray[np.uint16]]:
    """Yield (size, size, bands) of each layer in the middle of a rasterio data set."""
    from rasterio.windows import Window

    if image.crs is None:
        raise BadTile("it does not say where it lies (a CRS), and this model needs layers there")
    side, size = _side(image, spec), spec.tile_size
    window = Window.from_slices(*sensors.centre(image.width, image.height, side))
    pixels = Pixels(image.crs, image.window_transform(window) @ Affine.scale(side / size), size, size)
    for layer in layers:
        stored = read(layer, pixels)
        if told := fault(layer, stored):
            raise BadTile(told)
        yield stored.transpose(1, 2, 0)


def _check_size(size: tuple[int, int], spec: ModelSpec) -> None:
    if size != (spec.tile_size, spec.tile_size):
        raise BadTile(
            f"{size[0]} x {size[1]} pixels: this model takes tiles of {spec.tile_size} x {spec.tile_size}; "
            "cut larger ones, or use 'landuse map'"
        )
