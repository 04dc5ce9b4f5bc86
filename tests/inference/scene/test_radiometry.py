"""Units and offset: by metadata, people and pixels, and a stop where these disagree."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from made_scenes import ALL_BANDS_MODEL, RGB_MODEL, SIDE, numbers, place, write_raster

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene import Scene, SceneOptions, open_scene

NAMES = ("B02", "B03", "B04")
DARK, BRIGHT = numbers(), numbers(low=1500)
L1C = "S2B_MSIL1C_20220413T150759_N{}_R025_T33XWJ_20220414T082126.tif"


def offsets(scene: Scene) -> set[float]:
    return {band.offset for band in scene.bands}


def open_raster(path: Path, pixels: np.ndarray, names: tuple[str, ...] = NAMES, **options: object) -> Scene:
    model = RGB_MODEL if len(names) == 3 else ALL_BANDS_MODEL
    return open_scene([write_raster(path, pixels, names)], model, SceneOptions(**options))  # type: ignore[arg-type]


def test_without_metadata_dark_pixels_tell_that_there_is_no_offset(tmp_path: Path) -> None:
    scene = open_raster(tmp_path / "a.tif", DARK)
    assert offsets(scene) == {0} and any("by the pixels" in line for line in scene.decisions)


def test_without_metadata_the_cirrus_band_tells_that_there_is_one(tmp_path: Path) -> None:
    pixels = numbers(13, low=1500)
    pixels[9] = 1010  # B10: next to black
    assert offsets(open_raster(tmp_path / "a.tif", pixels, sensors.BANDS)) == {-1000}


def test_without_metadata_a_bright_scene_needs_a_word(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--offset -1000 .* or --offset 0 .* decides"):
        open_raster(tmp_path / "a.tif", BRIGHT)
    assert offsets(open_raster(tmp_path / "b.tif", BRIGHT, offset=-1000)) == {-1000}
    assert offsets(open_raster(tmp_path / "c.tif", BRIGHT, offset=0)) == {0}


@pytest.mark.parametrize(
    ("baseline", "shift", "offset"), [("0209", 0, 0), ("0400", 1000, -1000), ("0510", 1000, -1000)]
)
def test_the_name_of_a_product_tells_its_baseline(tmp_path: Path, baseline: str, shift: int, offset: int) -> None:
    scene = open_raster(tmp_path / L1C.format(baseline), DARK + np.uint16(shift))
    assert offsets(scene) == {offset} and scene.date == "2022-04-13T15:07:59Z"


def test_an_offset_that_was_removed_stops_unless_a_flag_decides(tmp_path: Path) -> None:
    path = tmp_path / L1C.format("0510")
    with pytest.raises(
        UserError,
        match=r"offset is -1000 by the processing baseline .* 1 % of pixels of B0. reach 22., as if it had been",
    ):
        open_raster(path, DARK)
    assert offsets(open_raster(path, DARK, offset=0)) == {0}


def test_an_offset_that_metadata_deny_stops(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"offset is 0 by the processing baseline .* reach 1,22., as if it were -1000"):
        open_raster(tmp_path / L1C.format("0301"), DARK + np.uint16(1000))


@pytest.mark.parametrize(
    ("scale", "offset", "by"), [(1e-4, -0.1, "scale and offset"), (1.0, -1000.0, "scale and offset")]
)
def test_scale_and_offset_in_a_geotiff_hold(tmp_path: Path, scale: float, offset: float, by: str) -> None:
    path = write_raster(tmp_path / "a.tif", DARK + np.uint16(1000), NAMES)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (scale,) * 3, (offset,) * 3
    scene = open_scene([path], RGB_MODEL, SceneOptions())
    expected = sensors.to_rgb(np.moveaxis(DARK[::-1], 0, -1))
    assert np.array_equal(scene.read(0, 0, scene.height, scene.width)[0], expected)
    assert any(by in line for line in scene.decisions)


def test_a_model_that_adds_an_offset_itself_gets_values_with_it(tmp_path: Path) -> None:
    model = ALL_BANDS_MODEL.model_copy(update={"radiometric_offset": -1000})
    scene = open_scene([write_raster(tmp_path / "a.tif", numbers(13), sensors.BANDS)], model, SceneOptions())
    assert offsets(scene) == {1000}


@pytest.mark.parametrize(
    ("pixels", "line"),
    [
        (np.zeros_like(DARK), "no data in band 3"),
        (np.full(DARK.shape, np.nan, dtype=np.float32), "no data in band 3"),
        (DARK.astype(np.float32) * 1e5, "neither reflectance .* --units dn or --units reflectance decides"),
        (DARK // 11, "99 % of its values are up to"),
        (DARK * 24, "99 % of its values are up to"),
        (DARK.astype(np.complex64), "the bands hold complex64"),
    ],
)
def test_values_that_mean_nothing_are_refused(tmp_path: Path, pixels: np.ndarray, line: str) -> None:
    with pytest.raises(UserError, match=line):
        open_raster(tmp_path / "a.tif", pixels)


def test_a_model_of_digital_numbers_takes_no_picture(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is an 8-bit picture, the model takes digital numbers"):
        open_raster(tmp_path / "a.tif", (numbers(13) // 11).astype(np.uint8), sensors.BANDS)


def test_a_model_of_pictures_takes_no_reflectance(tmp_path: Path) -> None:
    model = RGB_MODEL.model_copy(update={"units": "8-bit display values"})
    with pytest.raises(UserError, match="give it an 8-bit picture"):
        open_scene([write_raster(tmp_path / "a.tif", DARK, NAMES)], model, SceneOptions())


def test_numbers_of_landsats_products_become_reflectance(tmp_path: Path) -> None:
    names = ("SR_B2", "SR_B3", "SR_B4", "SR_B5")
    model = ALL_BANDS_MODEL.model_copy(
        update={"bands": ["SR_B4", "SR_B5"], "ground_resolution": 30.0, "source": "folder"}
    )
    pixels = numbers(4, low=7600, high=20_000)
    path = write_raster(tmp_path / "LC08_L2SP.tif", pixels, names, transform=place(30))
    scene = open_scene([path], model, SceneOptions())
    found, valid = scene.read(0, 0, SIDE, SIDE)
    reflectance = np.moveaxis(pixels[2:], 0, -1) * 2.75e-5 - 0.2  # USGS, Collection 2 Level-2
    assert valid.all() and np.abs(found - reflectance * 10_000).max() < 0.6
    assert any("by the products of Landsat 8/9" in line for line in scene.decisions)
    with pytest.raises(UserError, match="B04"):
        open_scene([path], RGB_MODEL, SceneOptions(resample=True))
