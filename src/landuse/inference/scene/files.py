"""Plain rasters: what their bands are, by what people say, descriptions and file names."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import PurePath
from typing import Any

from rasterio.errors import RasterioError

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene import rasters
from landuse.inference.scene.masks import classification
from landuse.inference.scene.product import Found, Log, Product, baseline_offset, date_in

_PRODUCT = re.compile(r"MSI(L1C|L2A)_\d{8}T\d{6}_N(\d{4})_")  # in the name of a product, or of a folder
_L2A = re.compile(r"(?<![A-Za-z0-9])(MSI)?L2A(?![A-Za-z0-9])|_[126]0m\.jp2$")


def find(paths: Sequence[str], bands: Sequence[str], log: Log) -> Product:
    """Look at rasters, one of all bands or several.

    bands: what the person says they are, see ``SceneOptions``.

    Raises:
        UserError: one cannot be read, or names contradict each other.
    """
    found = [band for path in paths for band in _bands(path, told=bool(bands))]
    if bands:
        found = _as_told(found, bands, log)
    name = next(filter(None, map(_PRODUCT.search, paths)), None)
    if name:
        offset, source = float(baseline_offset(name[2])), f"the processing baseline of {name[0].rstrip('_')}"
        found = [b if b.source else replace(b, gain=1.0, offset=offset, source=source) for b in found]
    l2a = name is None and any(map(_L2A.search, paths))
    return Product(
        bands=tuple(found),
        level=name[1] if name else "L2A" if l2a else None,
        date=next(filter(None, (date_in(path) or _acquired(path) for path in paths)), None),
        clouds=tuple(classification(band.path, band.index) for band in found if band.name == "scl"),
    )


def _acquired(path: str) -> str | None:
    """The time of acquisition in GDAL's metadata of imagery; a TIFF's own DateTime is when the file was made."""
    told = rasters.opened(path).tags(ns="IMAGERY").get("ACQUISITIONDATETIME", "")
    try:
        return f"{datetime.strptime(told, '%Y-%m-%d %H:%M:%S').isoformat()}Z"
    except ValueError:
        return None


def _bands(path: str, told: bool) -> list[Found]:
    raster = rasters.opened(path)
    by_file = sensors.spelled(PurePath(path).stem) if raster.count == 1 else None
    try:
        names = sensors.named(raster, sensors.EITHER)
    except RasterioError as error:
        raise UserError(f"{path} is damaged ({error}): copy it again") from error
    bands = []
    for index, (name, how) in enumerate(names, 1):
        if by_file in (*sensors.BANDS, "scl"):
            if name in sensors.BANDS and name != by_file and not told:
                raise UserError(
                    f"{path} is {by_file} by its name and {name} by its description: say which with --bands"
                )
            name, how = by_file, "by its file's name"
        bands.append(_tagged(Found(path, index, name, how), raster))
    return bands


def _tagged(band: Found, raster: Any) -> Found:
    """With the scale and the offset that a GeoTIFF may carry: of reflectance, or an offset of digital numbers alone."""
    scale, offset = raster.scales[band.index - 1], raster.offsets[band.index - 1]
    if scale == 1 and offset == 0:
        return band
    by = 1 if scale == 1 else 10_000
    return replace(band, gain=scale * by, offset=offset * by, source=f"the scale and offset in {band.path}")


def _as_told(found: list[Found], bands: Sequence[str], log: Log) -> list[Found]:
    parts = [name.partition("=") for name in bands]
    numbered = any(equals for _, equals, _ in parts)
    numbers = [number if numbered else str(place) for place, (_, _, number) in enumerate(parts, 1)]
    fits = all(n.isdecimal() and 1 <= int(n) <= len(found) for n in numbers) and len({*numbers}) == len(bands)
    if not fits or not (numbered or len(bands) == len(found)):
        raise UserError(
            f"--bands {','.join(bands)}: the files have {len(found)} bands, give {len(found)} names, "
            f"or NAME=NUMBER with numbers of 1 to {len(found)}, each once"
        )
    told = {int(number) - 1: sensors.spelled(name) for number, (name, _, _) in zip(numbers, parts, strict=True)}
    for place, name in told.items():
        band = found[place]
        if band.name in sensors.BANDS and band.name != name:
            log.append(f"--bands makes band {place + 1} {name}; it is {band.name} {band.how}")
    return [replace(band, name=told.get(place), how="by --bands") for place, band in enumerate(found)]
