"""Folders of GeoTIFFs of any bands: which band is which, what values mean, where tiles lie, what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasters import geotiff
from trained import spec

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.data import writer
from landuse.data.sources import open_source
from landuse.inference.predict.decoding import decode
from landuse.tiles.store import TileStore, open_store

MakeData = Callable[..., params.Data]
Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(7)
SIX = ("B02", "B03", "B04", "B08", "B11", "B12")


def numbers(bands: int = 6, side: int = 16) -> Array:
    return RANDOM.integers(200, 5000, (bands, side, side), dtype=np.uint16)


def reflectance(bands: int = 6) -> Array:
    return numbers(bands).astype(np.float32) / 10_000


def stored(folder: Path, data: MakeData, files: list[bytes], bands: Any, **changes: Any) -> TileStore:
    """Write the files as tiles of two classes and store them, tiles of 16 pixels if not otherwise asked."""
    for number, content in enumerate(files):
        path = folder / "own" / ("Forest", "River")[number % 2] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    section = data(**({"source": "folder", "url": str(folder / "own"), "tile_size": 16, "bands": bands} | changes))
    writer.write(folder / "store", open_source(section), section.max_quarantined)
    return open_store(folder / "store")


def test_bands_are_taken_by_name_whatever_their_order(tmp_path: Path, data: MakeData) -> None:
    pixels = [numbers(), numbers()]
    files = [geotiff(pixels[0], SIX), geotiff(pixels[1][::-1], SIX[::-1])]
    store = stored(tmp_path, data, files, ["B08", "B02", "B12"])
    assert (store.info["bands"], store.info["units"], store.info["dtype"]) == (
        ["B08", "B02", "B12"], sensors.UNITS, "uint16",
    )  # fmt: skip
    assert store.info["ground_resolution"] == 10.0
    for image, truth in zip(store.images, pixels, strict=True):
        assert np.array_equal(image, truth[[3, 0, 5]].transpose(1, 2, 0))


def test_reflectance_becomes_digital_numbers_and_eight_bits_stay(tmp_path: Path, data: MakeData) -> None:
    shares = [reflectance(), reflectance()]
    shares[0][0, 0, 0] = -0.002  # of water, after the atmosphere is taken off
    store = stored(tmp_path / "a", data, [geotiff(pixels, SIX) for pixels in shares], list(SIX))
    assert store.images.dtype == np.uint16
    assert np.array_equal(store.images[1], np.rint(shares[1] * 10_000).astype(np.uint16).transpose(1, 2, 0))
    assert store.images[0, 0, 0, 0] == 1
    bytes_ = [RANDOM.integers(0, 255, (4, 16, 16), dtype=np.uint8) for _ in range(2)]
    store = stored(tmp_path / "b", data, [geotiff(pixels, SIX[:4]) for pixels in bytes_], "rgb_nir")
    assert (store.info["dtype"], store.info["units"]) == ("uint8", "8-bit values")
    assert np.array_equal(store.images[1], bytes_[1][[2, 1, 0, 3]].transpose(1, 2, 0))


def test_landsat_is_told_by_its_bands_and_scaled_as_its_products_are(tmp_path: Path, data: MakeData) -> None:
    names = ("blue", "green", "red", "nir08", "swir16")
    pixels = [RANDOM.integers(8000, 20_000, (5, 16, 16), dtype=np.uint16) for _ in range(2)]
    files = [geotiff(values, names, metres=30) for values in pixels]
    store = stored(tmp_path, data, files, ["SR_B4", "SR_B3", "SR_B2", "SR_B5", "SR_B6", "NDVI"])
    assert store.info["ground_resolution"] == 30.0
    expected = (pixels[0][[2, 1, 0, 3, 4]] * 2.75e-5 - 0.2) * 10_000
    assert np.abs(store.images[0].transpose(2, 0, 1) - expected).max() < 0.6
    assert store.info["channels"][-1] == ["NDVI", "(SR_B5 - SR_B4) / (SR_B5 + SR_B4)"]


def test_the_centre_of_larger_files_is_cut_out_and_keeps_its_place_in_any_zone(tmp_path: Path, data: MakeData) -> None:
    pixels = [numbers(side=16), numbers(side=20), numbers(side=32)]
    files = [geotiff(values, SIX, epsg) for values, epsg in zip(pixels, (32632, 32633, 32633), strict=True)]
    store = stored(tmp_path, data, files, list(SIX))
    rows = store.index.set_index("file")
    assert dict(rows["epsg"]) == {"Forest/0.tif": 32632, "River/1.tif": 32633, "Forest/2.tif": 32633}
    assert rows.loc["River/1.tif", ["left", "top", "right", "bottom"]].tolist() == [
        500_020, 4_999_980, 500_180, 4_999_820,
    ]  # fmt: skip
    assert rows["longitude"].loc["River/1.tif"] - rows["longitude"].loc["Forest/0.tif"] == pytest.approx(6, abs=0.01)
    at = list(store.index["file"]).index("River/1.tif")
    assert np.array_equal(store.images[at], pixels[1][:, 2:18, 2:18].transpose(1, 2, 0))


def test_with_resize_a_tile_is_the_whole_file_whatever_its_pixels(tmp_path: Path, data: MakeData) -> None:
    same, finer, coarser, wide = numbers(side=16), numbers(side=32), numbers(side=8), numbers(side=40)[:, :32]
    coarser[:] = np.arange(1000, 1800, 100).astype(np.uint16)  # from west to east
    pairs = ((same, 20), (finer, 10), (coarser, 40), (wide, 10))
    files = [geotiff(values, SIX, metres=metres) for values, metres in pairs]
    store = stored(tmp_path, data, files, list(SIX), resize=True)
    assert (store.info["ground_resolution"], store.info["resized"]) == (20.0, True)
    tiles = {file: image.transpose(2, 0, 1) for file, image in zip(store.index["file"], store.images, strict=True)}
    assert np.array_equal(tiles["Forest/0.tif"], same)
    for file, pixels in (("River/1.tif", finer), ("River/3.tif", wide[:, :, 4:36])):
        assert np.abs(tiles[file] - pixels.reshape(6, 16, 2, 16, 2).mean(axis=(2, 4))).max() <= 0.5
    assert tiles["Forest/2.tif"][0, 5, :5].tolist() == [1000, 1025, 1075, 1125, 1175]
    place = store.index.set_index("file").loc["River/3.tif"]
    assert place[["left", "top", "right", "bottom"]].tolist() == [500_040, 5_000_000, 500_360, 4_999_680]

    model = spec(bands=6, size=16, source="folder", resized=True).model_copy(update={"bands": list(SIX)})
    for file, content in zip(("Forest/0", "River/1", "Forest/2", "River/3"), files, strict=True):
        assert np.array_equal(decode(content, model).pixels.transpose(2, 0, 1), tiles[f"{file}.tif"])
    with pytest.raises(UserError, match=r"resized to pixels of 40 m, Forest/0.tif to 20 m: cut both to as much land"):
        stored(tmp_path, data, [files[0], geotiff(numbers(side=32), SIX, metres=20)], list(SIX), resize=True)


def test_nameless_bands_are_taken_in_the_order_that_was_asked_for_and_it_is_said(
    tmp_path: Path, data: MakeData, capsys: pytest.CaptureFixture[str]
) -> None:
    store = stored(tmp_path, data, [geotiff(numbers(), epsg=None)] * 1 + [geotiff(numbers())], list(SIX))
    assert store.info["bands"] == list(SIX)
    told = capsys.readouterr().err
    assert told == f"landuse: {', '.join(SIX)} are named by place: 6 bands without names, in the order of data.bands\n"


def empty_band() -> Array:
    pixels = numbers()
    pixels[4] = 0
    return pixels


def with_nan() -> Array:
    pixels = reflectance()
    pixels[2, 5, 5] = np.nan
    return pixels


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (geotiff(numbers(5), SIX[:5]), "band B12 is missing: the file has B02, B03, B04, B08, B11"),
        (geotiff(numbers()), "bands without names, Forest/0.tif names its own"),
        (geotiff(numbers(12)), "12 bands without names: data.bands asks for B02"),
        (geotiff(numbers(6), ("B02", "B02", *SIX[2:])), "band B02 is there twice"),
        (geotiff(numbers(), SIX, metres=20), "pixels of 20 m, Forest/0.tif has 10 m"),
        (geotiff(empty_band(), SIX), "band B11 is 0 everywhere"),
        (geotiff(reflectance(), SIX), "float32 values, Forest/0.tif has uint16"),
        (geotiff(numbers(side=12), SIX), "12 x 12 pixels: smaller than a tile, 16 x 16"),
        (b"hello" * 100, "broken GeoTIFF"),
        (b"", "empty file"),
    ],
)
def test_a_file_that_does_not_fit_the_others_is_told(tmp_path: Path, data: MakeData, bad: bytes, told: str) -> None:
    files = [geotiff(numbers(), SIX), geotiff(numbers(), SIX), bad]
    with pytest.raises(UserError) as error:
        stored(tmp_path, data, files, list(SIX))
    assert "1 of 3 tiles cannot be used (Forest/2.tif: " in str(error.value)
    assert told in str(error.value)
    assert not (tmp_path / "store").exists()
    store = stored(tmp_path, data, files, list(SIX), max_quarantined=1)
    assert (len(store.images), store.info["quarantined"]) == (2, 1)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (reflectance() * 10_000, "floating-point values up to .* are no reflectance"),
        (with_nan(), "no numbers"),
    ],
)
def test_digital_numbers_beside_reflectance_are_told(tmp_path: Path, data: MakeData, bad: Array, told: str) -> None:
    files = [geotiff(pixels.astype(np.float32), SIX) for pixels in (reflectance(), bad)]
    with pytest.raises(UserError, match=told):
        stored(tmp_path, data, files, list(SIX))


@pytest.mark.parametrize(
    ("pixels", "names", "bands", "told"),
    [
        (
            numbers(12),
            (),
            "all",
            "(Forest/0.tif: 12 bands without names: data.bands asks for B01,",
        ),
        (numbers(10), sensors.BANDS[:10], "all", "Forest/0.tif: band B11 is missing"),
        (numbers(4).astype(np.int32), SIX[:4], "ten_metre", "int32 values: give uint8, uint16, float32"),
        (numbers(4).astype(np.uint8), SIX[:4], ["B04", "NDVI"], "indices, which are of reflectance"),
        (numbers(6), SIX, ["B04", "B13"], "data.bands has 'B13', no band or index"),
        (numbers(6), SIX, ["SR_B4"], "band SR_B4 is missing: the file has B02, B03"),
    ],
)
def test_a_folder_that_has_not_what_is_asked_for_is_told(
    tmp_path: Path, data: MakeData, pixels: Array, names: tuple[str, ...], bands: Any, told: str
) -> None:
    with pytest.raises(UserError) as error:
        stored(tmp_path, data, [geotiff(pixels, names)], bands)
    assert told in str(error.value)


def test_pictures_where_bands_were_asked_for_name_the_remedy(tmp_path: Path, data: MakeData) -> None:
    (tmp_path / "Forest").mkdir()
    (tmp_path / "Forest/a.png").write_bytes(b"x")
    with pytest.raises(UserError, match=r"data.bands is all, .*-S data\.bands=rgb"):
        open_source(data(source="folder", url=str(tmp_path), bands="all"))
