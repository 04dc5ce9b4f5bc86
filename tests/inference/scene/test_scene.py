"""A scene is read window by window, on the model's scale."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
from made_scenes import ALL_BANDS_MODEL, RGB_MODEL, SIDE, numbers, place, write_raster, write_safe

from landuse import sensors
from landuse.inference.scene import Scene, SceneOptions, open_scene

NAMES = ("B02", "B03", "B04")
PIXELS = numbers()


def open_raster(path: Path, pixels: np.ndarray = PIXELS, names: tuple[str, ...] = NAMES, **form: object) -> Scene:
    return open_scene([write_raster(path / "scene.tif", pixels, names, **form)], RGB_MODEL, SceneOptions())


def whole(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    return scene.read(0, 0, scene.height, scene.width)


def as_rgb(digital_numbers: np.ndarray) -> np.ndarray:
    """(bands, H, W) of B02, B03, B04 as the RGB model takes them."""
    return sensors.to_rgb(np.moveaxis(digital_numbers[::-1], 0, -1))


def test_bands_come_in_the_models_order_and_units(tmp_path: Path) -> None:
    pixels, valid = whole(open_raster(tmp_path))
    assert np.array_equal(pixels, as_rgb(PIXELS)) and valid.all()


def test_beyond_the_border_there_is_nothing(tmp_path: Path) -> None:
    scene = open_raster(tmp_path)
    pixels, valid = scene.read(-3, -4, 64, 64)
    assert not valid[:3].any() and not valid[:, :4].any() and valid[3:, 4:].all()
    assert not pixels[~valid].any() and np.array_equal(pixels[3:, 4:], whole(scene)[0][:61, :60])
    assert not scene.read(1000, 0, 64, 64)[1].any()


def test_a_scene_travels_to_another_process(tmp_path: Path) -> None:
    scene = open_raster(tmp_path)
    again = pickle.loads(pickle.dumps(scene))
    assert again == scene and np.array_equal(again.read(5, 5, 9, 9)[0], scene.read(5, 5, 9, 9)[0])


def test_zero_is_no_data_in_any_band(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[1, :7] = 0
    found, valid = whole(open_raster(tmp_path, pixels))
    assert not valid[:7].any() and valid[7:].all() and not found[:7].any()


def test_what_a_file_calls_no_data_is_none(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[:, 4] = 65535
    assert not whole(open_raster(tmp_path, pixels, nodata=65535))[1][4].any()


def test_a_mask_inside_the_file_holds(tmp_path: Path) -> None:
    import rasterio

    path = write_raster(tmp_path / "scene.tif", PIXELS, NAMES)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.arange(SIDE * SIDE).reshape(SIDE, SIDE) >= 5 * SIDE)
    _, valid = whole(open_scene([path], RGB_MODEL, SceneOptions()))
    assert not valid[:5].any() and valid[5:].all()


def test_an_offset_stops_at_one(tmp_path: Path) -> None:
    pixels = PIXELS + np.uint16(1000)
    pixels[:, 3] = 990  # darker than black: noise
    path = write_raster(tmp_path / "scene.tif", pixels, NAMES)
    found, valid = whole(open_scene([path], RGB_MODEL, SceneOptions(offset=-1000)))
    expected = PIXELS.copy()
    expected[:, 3] = 1
    assert valid.all() and np.array_equal(found, as_rgb(expected))


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_floating_point_values_are_reflectance_or_digital_numbers(tmp_path: Path, scale: float) -> None:
    pixels = (PIXELS * scale).astype(np.float32)
    pixels[2, :5] = np.nan
    scene = open_raster(tmp_path, pixels)
    found, valid = whole(scene)
    assert not valid[:5].any() and valid[5:].all() and np.array_equal(found[5:], as_rgb(PIXELS)[5:])
    assert any("floating-point" in line for line in scene.decisions)


def test_a_picture_is_taken_as_it_is_and_said_so(tmp_path: Path) -> None:
    pixels = (PIXELS // 11).astype(np.uint8)
    pixels[:, 0] = 0
    scene = open_raster(tmp_path, pixels, names=())
    found, valid = whole(scene)
    assert np.array_equal(found, np.moveaxis(pixels, 0, -1)) and not valid[0].any() and valid[1:].all()
    assert any("8-bit" in line for line in scene.decisions)


def test_any_window_equals_its_cut_of_the_whole_at_any_mix_of_resolutions(tmp_path: Path) -> None:
    truth = write_safe(tmp_path / "made.SAFE", "L1C", -1000)
    scene = open_scene([str(tmp_path / "made.SAFE")], ALL_BANDS_MODEL, SceneOptions())
    pixels, valid = whole(scene)
    assert pixels.shape == (SIDE, SIDE, 13) and pixels.dtype == np.uint16 and valid.all()
    assert np.array_equal(pixels[..., 3], truth["B04"])
    for row, column, height, width in [(0, 0, 17, 23), (31, 47, 64, 64), (SIDE - 5, SIDE - 7, 5, 7), (1, 1, 1, 1)]:
        cut = pixels[row : row + height, column : column + width]
        assert np.array_equal(scene.read(row, column, height, width)[0], cut)
    fresh = pickle.loads(pickle.dumps(scene))
    assert np.array_equal(fresh.read(31, 47, 64, 64)[0], pixels[31:95, 47:111])


def test_coarse_bands_lie_where_they_are(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(SIDE // 2, dtype=np.uint16) * 20 + 110, (SIDE // 2, 1))  # 20 m: 10 a pixel of 10 m
    for name in NAMES[:2]:
        write_raster(tmp_path / f"{name}.tif", PIXELS[:1])
    write_raster(tmp_path / "B04.tif", ramp[None], transform=place(20))
    model = RGB_MODEL.model_copy(update={"dtype": "uint16", "units": sensors.UNITS})
    pixels, _ = whole(open_scene([str(tmp_path)], model, SceneOptions()))
    inside = slice(8, -8)  # at the border the kernel is cut
    expected = np.arange(SIDE) * 10 + 105
    assert np.abs(pixels[:, inside, 0] - expected[inside].astype(int)).max() <= 1


def test_a_scene_in_a_zip_is_the_same(tmp_path: Path) -> None:
    write_safe(tmp_path / "made.SAFE", "L1C", -1000)
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as file:
        for path in (tmp_path / "made.SAFE").rglob("*.*"):
            if path.is_file():
                file.write(path, path.relative_to(tmp_path))
    scenes = [open_scene([str(tmp_path / name)], RGB_MODEL, SceneOptions()) for name in ("made.SAFE", "made.zip")]
    assert np.array_equal(whole(scenes[0])[0], whole(scenes[1])[0])


def test_the_digest_changes_with_the_files_and_the_options(tmp_path: Path) -> None:
    scene = open_raster(tmp_path)
    path = tmp_path / "scene.tif"
    assert open_scene([str(path)], RGB_MODEL, SceneOptions()).digest == scene.digest
    assert open_scene([str(path)], RGB_MODEL, SceneOptions(offset=0)).digest != scene.digest
    os.utime(path, ns=(0, 0))
    assert open_scene([str(path)], RGB_MODEL, SceneOptions()).digest != scene.digest


def test_the_digest_changes_with_the_sources_of_a_vrt_of_a_vrt(tmp_path: Path) -> None:
    path = Path(write_raster(tmp_path / "scene.tif", PIXELS, NAMES))
    rasterio.shutil.copy(path, tmp_path / "one.vrt", driver="VRT")
    (tmp_path / "two.vrt").write_text((tmp_path / "one.vrt").read_text().replace("scene.tif", "one.vrt"))
    before, again = (open_scene([str(tmp_path / "two.vrt")], RGB_MODEL, SceneOptions()) for _ in range(2))
    assert before.digest == again.digest
    os.utime(path, ns=(0, 0))
    assert open_scene([str(tmp_path / "two.vrt")], RGB_MODEL, SceneOptions()).digest != before.digest


@pytest.mark.real
def test_a_tile_of_eurosat_is_read_as_it_is(real_data: Path) -> None:
    path = f"/vsizip/{real_data}/EuroSAT_MS_469.zip/EuroSAT_MS/River/River_1.tif"
    scene = open_scene([path], ALL_BANDS_MODEL, SceneOptions(bands=sensors.BANDS))
    import rasterio

    with rasterio.open(path) as file:
        assert np.array_equal(whole(scene)[0], np.moveaxis(file.read(), 0, -1))
    assert scene.crs.to_epsg() in range(32600, 32800) and any("0 in B10" in d or "B10" in d for d in scene.decisions)


def test_a_model_of_ones_own_pictures_takes_pictures_of_any_pixel(tmp_path: Path) -> None:
    own = {"bands": ["red", "green", "blue"], "units": "8-bit display values", "ground_resolution": None}
    model = RGB_MODEL.model_copy(update={**own, "source": "folder"})
    pixels = (PIXELS // 11).astype(np.uint8)
    path = write_raster(tmp_path / "air.tif", pixels, transform=place(0.5))
    scene = open_scene([path], model, SceneOptions())
    assert np.array_equal(whole(scene)[0], np.moveaxis(pixels, 0, -1)) and scene.transform.a == 0.5
