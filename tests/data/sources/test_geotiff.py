"""Decoding GeoTIFFs: pixels, place, and what is refused."""

import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio import Affine
from rasterio.io import MemoryFile
from rasters import geotiff as raster

from landuse import params, sensors
from landuse.data import writer
from landuse.data.sources import geotiff, open_source
from landuse.data.sources.collection import GeoRef
from landuse.pictures import BadTile
from landuse.tiles.store import open_store

RANDOM = np.random.default_rng(3)


def encode(pixels: np.ndarray[Any, Any], crs: str | None = "EPSG:32633") -> bytes:
    """A GeoTIFF of (bands, H, W) pixels of 10 m, its upper left corner at 500000, 5000000."""
    bands, height, width = pixels.shape
    form = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": pixels.dtype}
    with MemoryFile() as file:
        with file.open(crs=crs, transform=Affine(10, 0, 500_000, 0, -10, 5_000_000), **form) as image:
            image.write(pixels)
        return bytes(file.read())


def numbers(bands: int = 13, kind: str = "uint16") -> np.ndarray[Any, Any]:
    return RANDOM.integers(0, 5000, (bands, 64, 64)).astype(kind)


def test_geotiff_with_its_place() -> None:
    made = numbers()
    pixels, georef = geotiff.decode(encode(made), 64, 13)
    assert np.array_equal(pixels, made.transpose(1, 2, 0))
    assert georef == GeoRef(32633, 500_000, 4_999_360, 500_640, 5_000_000)


def test_geotiff_without_a_place_is_still_a_tile_without_a_word(
    tmp_path: Path, data: Callable[..., params.Data], recwarn: pytest.WarningsRecorder
) -> None:
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as made:
        for n in range(2):
            with MemoryFile() as file:
                with file.open(driver="GTiff", count=13, height=64, width=64, dtype="uint16") as image:
                    image.write(numbers())
                made.writestr(f"Forest/Forest_{n}.tif", bytes(file.read()))
    assert recwarn.list  # of rasterio, who wrote it
    recwarn.clear()
    writer.write(tmp_path / "store", open_source(data(source="eurosat_ms", url=str(tmp_path / "made.zip"))))
    assert not recwarn.list
    assert "left" not in open_store(tmp_path / "store").index


def with_width(width: int) -> bytes:
    """A GeoTIFF whose header promises another width."""
    content = bytearray(encode(numbers()))
    at = content.index(struct.pack("<HHIHH", 256, 3, 1, 64, 0))  # the tag ImageWidth, of one short
    content[at : at + 12] = struct.pack("<HHII", 256, 4, 1, width)
    return bytes(content)


def with_nan() -> np.ndarray[Any, Any]:
    pixels = numbers(kind="float32")
    pixels[2, 5, 5] = np.nan
    return pixels


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encode(with_nan()), "float32 values with NaN: expected uint16"),
        (encode(numbers(kind="float32")), "float32 values: expected uint16"),
        (encode(numbers(kind="int16")), "int16 values: expected uint16"),
        (encode(numbers(bands=12)), "64 x 64 pixels, 12 bands: expected 64 x 64, 13"),
        (raster(numbers(), metres=20), "pixels of 20 m, EuroSAT's have 10 m: use -S data.source=folder"),
        (
            raster(numbers(), sensors.BANDS_BY_WAVELENGTH),
            "B08, B8A, B09, .* not in EuroSAT's order.*=folder",
        ),
        (with_width(2_000_000_000), "2000000000 x 64 pixels|broken GeoTIFF"),
        (encode(numbers())[:50_000], "broken GeoTIFF"),
        (encode(numbers())[:300], "broken GeoTIFF"),
        (b"hello" * 100, "broken GeoTIFF"),
        (b"", "empty file"),
    ],
)
def test_geotiffs_that_cannot_be_used_say_why(content: bytes, reason: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadTile, match=reason):
        geotiff.decode(content, 64, 13)
    assert capfd.readouterr().err == ""


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_random_damage_gives_a_picture_or_the_same_reason_twice() -> None:
    whole, reasons = encode(numbers()), set()
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[RANDOM.integers(0, 600, 4)] = RANDOM.integers(0, 256, 4)
        if reason := reason_of(damaged.tobytes()):
            assert reason_of(damaged.tobytes()) == reason
            assert "\n" not in reason
            reasons.add(reason)
    assert len(reasons) > 3


def reason_of(content: bytes) -> str | None:
    try:
        geotiff.decode(content, 64, 13)
    except BadTile as error:
        return str(error)
    return None


def test_the_rgb_bands_are_found_by_name(tmp_path: Path, data: Callable[..., params.Data]) -> None:
    made = numbers()
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        archive.writestr("Forest/Forest_1.tif", encode(made))
    section = data(source="eurosat_ms", url=str(tmp_path / "made.zip"), bands="rgb")
    tile = open_source(section).read("Forest/Forest_1.tif")
    assert np.array_equal(tile.pixels, sensors.to_rgb(np.stack([made[3], made[2], made[1]], axis=-1)))


def test_an_empty_band_is_refused_where_it_is_asked_for(tmp_path: Path, data: Callable[..., params.Data]) -> None:
    made = numbers()
    made[9] = 0  # B10
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        archive.writestr("Forest/Forest_1.tif", encode(made))
    section = partial(data, source="eurosat_ms", url=str(tmp_path / "made.zip"))
    with pytest.raises(BadTile, match="band B10 is 0 everywhere: no data"):
        open_source(section(bands="all")).read("Forest/Forest_1.tif")
    assert open_source(section(bands="no_cirrus")).read("Forest/Forest_1.tif").pixels.shape == (64, 64, 12)
