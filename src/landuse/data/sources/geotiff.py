"""GeoTIFFs of digital numbers, with their place on the map. Importing this loads GDAL (half a second)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from landuse import sensors
from landuse.data.sources.collection import GeoRef
from landuse.pictures import BadTile

ALIKE = 1.05  # ratio of the widths of pixels that are of one resolution
# GDAL's messages name the file, which here has a random name: the same fault must read the same in every run
_NAME_IN_MEMORY = re.compile(r"'?(/vsimem/)?[0-9a-f]{8}-[-0-9a-f/]+(\.tif)?'?:? ?")


def decode(content: bytes, size: int, bands: int) -> tuple[npt.NDArray[np.uint16], GeoRef | None]:
    """Decode a GeoTIFF of EuroSAT: (size, size, bands) pixels in file order, and its place, where the file tells it.

    Every call opens a data set of its own, in memory: that GDAL allows from several threads.

    Raises BadTile: not a readable GeoTIFF, another size, number or order of bands, pixels that are not of 10 m, or
    values that are not uint16.
    """
    with opened(content) as image:
        if (image.width, image.height, image.count) != (size, size, bands):
            found = f"{image.width} x {image.height} pixels, {image.count} bands"
            raise BadTile(f"{found}: expected {size} x {size}, {bands}")
        _check_eurosat(image)
        pixels, bounds, epsg = image.read(), image.bounds, epsg_of(image)
    if pixels.dtype != np.uint16:
        nan = " with NaN" if pixels.dtype.kind == "f" and np.isnan(pixels).any() else ""
        raise BadTile(f"{pixels.dtype} values{nan}: expected uint16 digital numbers (reflectance x 10000)")
    georef = GeoRef(epsg, bounds.left, bounds.bottom, bounds.right, bounds.top) if epsg else None
    return np.ascontiguousarray(pixels.transpose(1, 2, 0)), georef


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    """Open a GeoTIFF in memory as a rasterio data set; raises BadTile for what goes wrong with it, here and inside."""
    if not content:
        raise BadTile("empty file")
    try:
        with MemoryFile(content) as file, file.open(driver="GTiff") as image:
            yield image
    except (RasterioError, ValueError) as error:  # ValueError: a broken definition or text of the file
        reason = _NAME_IN_MEMORY.sub("", str(error.__cause__ or error)).lstrip(", ")
        raise BadTile(f"broken GeoTIFF: {reason}") from None


def metres(image: Any) -> float | None:
    """How wide the pixels of a data set are, where it tells that."""
    known = image.crs is not None and image.crs.is_projected and image.crs.linear_units_factor[1] == 1
    return abs(image.transform.a) or None if known else None


def _check_eurosat(image: Any) -> None:
    """Raise BadTile where a file says that it is none of EuroSAT's, which name no bands."""
    width = metres(image)
    if width and not 1 / ALIKE < width / 10 < ALIKE:
        raise BadTile(f"pixels of {width:g} m, EuroSAT's have 10 m: use -S data.source=folder")
    if any(image.descriptions):
        names = [sensors.spelled(text or "?") for text in image.descriptions]
        if names != list(sensors.BANDS):
            raise BadTile(
                f"bands {', '.join(names)}, not in EuroSAT's order, which ends B12, B8A: use -S data.source=folder, "
                "which goes by names"
            )


def epsg_of(image: Any) -> int | None:
    """The EPSG code of a data set's coordinate system, where it has one."""
    return _epsg(image.crs.to_wkt()) if image.crs else None


@lru_cache
def _epsg(wkt: str) -> int | None:
    # looking up the code of a definition is slow, and a data set has few UTM zones
    code: int | None = CRS.from_wkt(wkt).to_epsg()
    return code
