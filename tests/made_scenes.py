"""Small scenes as files, in the forms that scenes come in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from exported import _spec
from rasterio import Affine
from rasterio.transform import from_origin

from landuse import sensors

RGB_MODEL = _spec(list(sensors.RGB), "uint8", 64).model_copy(update={"source": "eurosat_rgb"})
ALL_BANDS_MODEL = _spec(list(sensors.BANDS), "uint16", 64).model_copy(update={"source": "eurosat_ms"})
WEST, NORTH = 500_000, 5_000_000
SIDE = 120  # pixels of 10 m
METRES = dict.fromkeys(sensors.BANDS, 20) | dict.fromkeys(("B02", "B03", "B04", "B08"), 10)
METRES |= dict.fromkeys(("B01", "B09", "B10"), 60)
_METADATA = """<n1:Product xmlns:n1="https://example.org">
<PRODUCT_START_TIME>2024-01-01T10:24:31.024Z</PRODUCT_START_TIME>{offsets}
<QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE><BOA_QUANTIFICATION_VALUE>10000</BOA_QUANTIFICATION_VALUE>
{bands}</n1:Product>"""
_OFFSET_TAGS = {"L1C": "RADIO_ADD_OFFSET", "L2A": "BOA_ADD_OFFSET"}


def numbers(bands: int = 3, side: int = SIDE, low: int = 200, high: int = 2700) -> npt.NDArray[np.uint16]:
    """Random digital numbers (bands, side, side)."""
    return np.random.default_rng(5).integers(low, high, (bands, side, side)).astype(np.uint16)


def place(metres: float) -> Affine:
    return from_origin(WEST, NORTH, metres, metres)


def write_raster(path: Path, pixels: npt.NDArray[Any], names: tuple[str, ...] = (), **form: Any) -> str:
    """A GeoTIFF (or what ``driver`` says) of (bands, height, width) pixels of 10 m; returns its path."""
    bands, height, width = pixels.shape
    form = {"driver": "GTiff", "crs": "EPSG:32632", "transform": place(10), "dtype": pixels.dtype} | form
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", count=bands, height=height, width=width, **form) as file:
        file.write(pixels)
        if names:
            file.descriptions = names
    return str(path)


def write_safe(
    folder: Path, level: str, offset: int | None, shift: int | None = None, metadata: bytes | None = None
) -> Mapping[str, npt.NDArray[np.uint16]]:
    """A product of all bands at their resolutions, JPEG 2000.

    offset: in the metadata, None for a product before baseline 04.00. shift: of the pixels, as the offset if None.
    metadata: those of a real product instead.

    Returns:
        Reflectance x 10000 of each band.
    """
    pixels = {name: numbers(1, SIDE * 10 // METRES[name], 1, 2700)[0] for name in sensors.BANDS}
    if level == "L2A":
        del pixels["B10"]
    images = folder / "GRANULE" / f"{level}_T32TNR_A000000_20240101T102736" / "IMG_DATA"
    for name, values in pixels.items():
        metres = METRES[name]
        stem = f"T32TNR_20240101T102431_{name}"
        path = images / f"{stem}.jp2" if level == "L1C" else images / f"R{metres}m" / f"{stem}_{metres}m.jp2"
        stored = values.astype(int) - (shift if shift is not None else offset or 0)
        write_jp2(path, stored[None].astype(np.uint16), metres)
    (folder / f"MTD_MSI{level}.xml").write_bytes(metadata or _metadata(level, offset).encode())
    return pixels


def write_jp2(path: Path, pixels: npt.NDArray[Any], metres: float) -> str:
    form = {"QUALITY": "100", "REVERSIBLE": "YES"}
    return write_raster(path, pixels, driver="JP2OpenJPEG", transform=place(metres), **form)


def _metadata(level: str, offset: int | None) -> str:
    tag = _OFFSET_TAGS[level]
    names = [name.replace("B0", "B") for name in sensors.BANDS_BY_WAVELENGTH]
    bands = "".join(f'<Spectral_Information bandId="{i}" physicalBand="{name}"/>' for i, name in enumerate(names))
    offsets = "".join(f'<{tag} band_id="{i}">{offset}</{tag}>' for i in range(13)) if offset is not None else ""
    return _METADATA.format(offsets=offsets, bands=bands)


def write_item(path: Path, assets: Mapping[str, Any], **properties: Any) -> str:
    """A STAC item of the sensor's L1C; ``collection`` is a property of the item itself."""
    properties = {"datetime": "2024-01-01T10:24:31Z"} | properties
    collection = properties.pop("collection", "sentinel-2-l1c")
    item = {"type": "Feature", "id": "made", "collection": collection, "properties": properties, "assets": assets}
    path.write_text(json.dumps(item))
    return str(path)
