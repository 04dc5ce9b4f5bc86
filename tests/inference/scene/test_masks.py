"""Masks: the scene classification, other rasters, polygons. Any window is masked as its cut of the whole."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyogrio
import pytest
import shapely
from made_scenes import NORTH, RGB_MODEL, SIDE, WEST, numbers, place, write_raster
from rasterio.transform import from_origin
from rasterio.warp import transform

from landuse.core.errors import UserError
from landuse.inference.scene import Scene, SceneOptions, open_scene

NAMES = ("B02", "B03", "B04")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return write_raster(tmp_path / "scene.tif", numbers(), NAMES)


def validity(scene: Scene) -> npt.NDArray[np.bool_]:
    valid = scene.read(0, 0, scene.height, scene.width)[1]
    assert np.array_equal(scene.read(20, 30, 50, 40)[1], valid[20:70, 30:70])
    return valid


def write_polygons(path: Path, *shapes: shapely.Geometry, crs: str | None = "EPSG:32632") -> str:
    wkb = shapely.to_wkb(np.array(shapes, dtype=object))
    pyogrio.raw.write(path, wkb, [], [], crs=crs, geometry_type="Unknown", driver="GPKG")
    return str(path)


def box(row: float, column: float, bottom: float, right: float) -> shapely.Geometry:
    """Of pixels of the scene."""
    return shapely.box(WEST + column * 10, NORTH - bottom * 10, WEST + right * 10, NORTH - row * 10)


def test_classification_masks_clouds_wider_than_snow_and_no_data(tmp_path: Path) -> None:
    layer = np.full((1, SIDE // 2, SIDE // 2), 4, dtype=np.uint8)
    layer[0, 10, 10], layer[0, 10, 30], layer[0, 30, 10], layer[0, 30, 30] = 9, 11, 7, 0
    write_raster(tmp_path / "T_SCL_20m.tif", layer, transform=place(20))
    for i, name in enumerate(NAMES):
        write_raster(tmp_path / f"T_{name}_10m.tif", numbers()[i : i + 1])
    expected = np.ones((SIDE, SIDE), dtype=bool)
    expected[17:25, 17:25] = expected[60:62, 60:62] = False  # widened by 3; as it is
    with_snow = expected.copy()
    expected[20:22, 60:62] = False
    assert np.array_equal(validity(open_scene([str(tmp_path)], RGB_MODEL, SceneOptions(dilate=3))), expected)
    snowy = RGB_MODEL.model_copy(update={"classes": ["Snow", "City"]})
    assert np.array_equal(validity(open_scene([str(tmp_path)], snowy, SceneOptions(dilate=3))), with_snow)


def test_a_raster_masks_where_it_is_not_zero(tmp_path: Path, path: str) -> None:
    mask = np.zeros((1, SIDE // 2, SIDE // 2), dtype=np.uint8)
    mask[0, 10:20] = 7
    file = write_raster(tmp_path / "mask.tif", mask, transform=place(20))
    scene = open_scene([path], RGB_MODEL, SceneOptions(mask=(file,)))
    assert np.array_equal(~validity(scene), np.repeat(mask[0] != 0, 2, axis=0).repeat(2, axis=1))
    assert scene.read(25, 0, 1, 1)[0].any()  # it still has its pixels: a tile that overlaps it needs them


def test_polygons_mask_inside_them_in_any_crs(tmp_path: Path, path: str) -> None:
    corners = shapely.get_coordinates(box(10, 20, 60, 80))
    degrees = np.column_stack(transform("EPSG:32632", "EPSG:4326", *corners.T))
    file = write_polygons(tmp_path / "mask.gpkg", shapely.Polygon(degrees), crs="EPSG:4326")
    masked = ~validity(open_scene([path], RGB_MODEL, SceneOptions(mask=(file,))))
    expected = np.zeros((SIDE, SIDE), dtype=bool)
    expected[10:60, 20:80] = True
    assert np.array_equal(masked, expected)


def test_within_keeps_what_is_inside_and_reads_no_more_than_its_surroundings(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "wide.tif", numbers(side=400), NAMES)
    file = write_polygons(tmp_path / "in.gpkg", box(200, 210, 210, 230), box(190, 200, 195, 205))
    scene = open_scene([path], RGB_MODEL, SceneOptions(within=file))
    assert (scene.transform.c, scene.transform.f) == (WEST + (200 - 64) * 10, NORTH - (190 - 64) * 10)
    valid = validity(scene)
    row, column = 190 - 64, 200 - 64
    assert valid.sum() == 10 * 20 + 5 * 5 and valid[200 - row : 210 - row, 210 - column : 230 - column].all()
    whole = open_scene([path], RGB_MODEL, SceneOptions())
    assert np.array_equal(scene.read(64, 64, 20, 30)[0], whole.read(190, 200, 20, 30)[0])


@pytest.mark.filterwarnings("ignore:'crs' was not provided")
@pytest.mark.parametrize(
    ("shapes", "crs", "line"),
    [
        ([shapely.Point(WEST, NORTH)], "EPSG:32632", "has no polygons"),
        ([box(0, 0, 9, 9)], None, "has no CRS"),
        ([box(1000, 1000, 1010, 1010)], "EPSG:32632", "does not touch the scene"),
    ],
)
def test_polygons_that_cannot_mask_are_refused(
    tmp_path: Path, path: str, shapes: list[shapely.Geometry], crs: str | None, line: str
) -> None:
    file = write_polygons(tmp_path / "a.gpkg", *shapes, crs=crs)
    for options in (SceneOptions(mask=(file,)), SceneOptions(within=file)):
        with pytest.raises(UserError, match=line):
            open_scene([path], RGB_MODEL, options)


def test_masks_that_are_none_are_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "a.txt").write_text("no mask")
    elsewhere = write_raster(tmp_path / "far.tif", numbers(1), transform=from_origin(0, 0, 10, 10))
    for file, line in [(str(tmp_path / "a.txt"), "neither a raster nor polygons"), (elsewhere, "does not touch")]:
        with pytest.raises(UserError, match=line):
            open_scene([path], RGB_MODEL, SceneOptions(mask=(file,)))
