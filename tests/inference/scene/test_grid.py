"""Where a scene lies and what its pixels are: what the model does not take is refused, or resampled if one says so."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from made_scenes import NORTH, RGB_MODEL, SIDE, WEST, numbers, place, write_jp2, write_raster
from rasterio import Affine
from rasterio.transform import from_origin

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene import OPTIONS, SceneOptions, open_scene

NAMES = ("B02", "B03", "B04")
DEGREES = {"crs": "EPSG:4326", "transform": from_origin(9, 45, 1e-4, 1e-4)}
ROTATED = {"transform": place(10) @ Affine.rotation(15)}
SOUTH_UP = {"transform": Affine(10, 0, WEST, 0, 10, NORTH)}
ODD = [
    (DEGREES, "has pixels in degrees"),
    (ROTATED, "is rotated"),
    (SOUTH_UP, "has its south up"),
    ({"transform": place(20)}, "has pixels of 20 x 20 m on the ground"),
    ({"crs": "EPSG:3857", "transform": from_origin(1e6, 6e6, 10, 10)}, "has pixels of 6.77 x 6.77 m on the ground"),
    ({"crs": "EPSG:2263", "transform": from_origin(1e6, 2e5, 32.8, 32.8)}, "has pixels in units of US survey foot"),
]


@pytest.mark.parametrize(("form", "line"), ODD)
def test_other_pixels_than_the_models_are_refused_and_can_be_resampled(
    tmp_path: Path, form: dict[str, Any], line: str
) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(), NAMES, **form)
    with pytest.raises(UserError, match=f"a.tif {line}, the model needs 10 m.*: --resample"):
        open_scene([path], RGB_MODEL, SceneOptions())
    scene = open_scene([path], RGB_MODEL, SceneOptions(resample=True))
    assert scene.crs.is_projected and (scene.transform.a, scene.transform.e) == (10, -10)
    assert any("--resample" in decision for decision in scene.decisions)
    pixels, valid = scene.read(0, 0, scene.height, scene.width)
    assert valid.mean() > 0.6
    assert np.array_equal(scene.read(11, 22, 33, 44)[0], pixels[11:44, 22:66])


def test_a_scene_that_has_its_south_up_is_turned_over(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(), NAMES, **SOUTH_UP)
    scene = open_scene([path], RGB_MODEL, SceneOptions(resample=True))
    expected = sensors.to_rgb(np.moveaxis(numbers()[::-1, ::-1], 0, -1))
    assert np.array_equal(scene.read(0, 0, SIDE, SIDE)[0], expected)
    assert scene.transform.f == NORTH + SIDE * 10


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("form", [{"crs": None}, {"crs": None, "transform": None}])
def test_a_scene_without_a_place_is_refused(tmp_path: Path, form: dict[str, Any]) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(), NAMES, **form)
    with pytest.raises(UserError, match=r"does not say where it lies .* gdal_translate -a_srs"):
        open_scene([path], RGB_MODEL, SceneOptions())


def test_fewer_pixels_than_a_tile_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(side=63), NAMES)
    with pytest.raises(UserError, match="63 x 63 pixels, a tile of the model 64 a side"):
        open_scene([path], RGB_MODEL, SceneOptions())


@pytest.mark.parametrize(
    ("form", "line"),
    [({"crs": "EPSG:32633"}, "different CRS"), ({"transform": from_origin(0, 0, 10, 10)}, "do not overlap")],
)
def test_bands_of_different_places_are_refused(tmp_path: Path, form: dict[str, Any], line: str) -> None:
    for name in NAMES:
        write_raster(tmp_path / f"{name}.tif", numbers(1), **(form if name == "B03" else {}))
    with pytest.raises(UserError, match=line):
        open_scene([str(tmp_path)], RGB_MODEL, SceneOptions())


def test_a_truncated_geotiff_is_refused(tmp_path: Path) -> None:
    path = Path(write_raster(tmp_path / "a.tif", numbers(side=400)))
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError, match=r"a.tif is damaged .*: copy it again"):
        open_scene([str(path)], RGB_MODEL, SceneOptions(bands=NAMES))


def test_a_truncated_jp2_is_refused(tmp_path: Path) -> None:
    for name in NAMES:
        path = Path(write_jp2(tmp_path / f"{name}.jp2", numbers(1), 10))
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(UserError, match=r"B04.jp2 is damaged .*: copy it again"):
        open_scene([str(tmp_path)], RGB_MODEL, SceneOptions())


@pytest.mark.parametrize(
    ("name", "line"), [("nowhere.tif", "no .*nowhere.tif: check the path"), ("text.tif", "cannot be read as a raster"),
                       ("empty", "neither a product's metadata nor rasters"), ("text.zip", "is damaged")]
)  # fmt: skip
def test_what_is_no_scene_is_refused(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / "empty").mkdir()
    for text in ("text.tif", "text.zip"):
        (tmp_path / text).write_text("no scene")
    with pytest.raises(UserError, match=line):
        open_scene([str(tmp_path / name)], RGB_MODEL, SceneOptions())


def write_sparse(path: Path, side: int) -> None:
    """A raster that holds the digital numbers of its first corner, and no other block."""
    form = {"width": side, "height": side, "count": 3, "dtype": "uint16", "crs": "EPSG:32632", "transform": place(10)}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "sparse_ok": True, "bigtiff": "YES"}
    with rasterio.open(path, "w", **form, **tiles) as file:
        file.descriptions = NAMES
        file.write(numbers(), window=rasterio.windows.Window(0, 0, SIDE, SIDE))


def test_a_raster_of_a_million_pixels_a_side_opens_at_once(tmp_path: Path) -> None:
    write_sparse(tmp_path / "a.tif", 10**6)
    scene = open_scene([str(tmp_path / "a.tif")], RGB_MODEL, SceneOptions())
    assert scene.width == 10**6 and scene.read(0, 0, 200, 200)[1].sum() == SIDE * SIDE


def test_a_huge_raster_without_data_is_not_searched_for_long(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.zeros((3, 64, 64), np.uint16), NAMES)
    text = f"""<VRTDataset rasterXSize="1000000" rasterYSize="1000000"><SRS>EPSG:32632</SRS>
        <GeoTransform>{WEST}, 10, 0, {NORTH}, 0, -10</GeoTransform>"""
    for index, name in enumerate(NAMES, 1):
        source = f"<SimpleSource><SourceFilename>{path}</SourceFilename><SourceBand>{index}</SourceBand></SimpleSource>"
        about = f'dataType="UInt16" band="{index}"'
        text += f"<VRTRasterBand {about}><Description>{name}</Description>{source}</VRTRasterBand>"
    (tmp_path / "a.vrt").write_text(text + "</VRTDataset>")
    with pytest.raises(UserError, match=r"no data in band 3 of .*gdal_translate -projwin"):
        open_scene([str(tmp_path / "a.vrt")], RGB_MODEL, SceneOptions())


@pytest.mark.real
def test_a_zone_of_tiles_as_one_huge_nearly_empty_scene(real_data: Path, tmp_path: Path) -> None:
    archive = f"/vsizip/{real_data}/EuroSAT_MS_469.zip/EuroSAT_MS/River"
    tiles = [rasterio.open(f"{archive}/River_{n}.tif") for n in range(1, 6)]
    tiles = [tile for tile in tiles if tile.crs == tiles[0].crs]
    west, north = min(t.bounds.left for t in tiles), max(t.bounds.top for t in tiles)
    right, bottom = max(t.bounds.right for t in tiles), min(t.bounds.bottom for t in tiles)
    width, height = int((right - west) / 10), int((north - bottom) / 10)
    bands = ""  # rasterio builds no VRT
    for index, name in enumerate(sensors.BANDS, 1):
        sources = "".join(
            f"<SimpleSource><SourceFilename>{t.name}</SourceFilename><SourceBand>{index}</SourceBand>"
            f'<SrcRect xOff="0" yOff="0" xSize="64" ySize="64"/><DstRect xOff="{int((t.bounds.left - west) / 10)}" '
            f'yOff="{int((north - t.bounds.top) / 10)}" xSize="64" ySize="64"/></SimpleSource>'
            for t in tiles
        )
        about = f'dataType="UInt16" band="{index}"'
        bands += f"<VRTRasterBand {about}><Description>{name}</Description>{sources}</VRTRasterBand>"
    (tmp_path / "zone.vrt").write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{tiles[0].crs.to_wkt()}</SRS>'
        f"<GeoTransform>{west}, 10, 0, {north}, 0, -10</GeoTransform>{bands}</VRTDataset>"
    )
    scene = open_scene([str(tmp_path / "zone.vrt")], RGB_MODEL, SceneOptions())
    first = tiles[0]
    row, column = int((north - first.bounds.top) / 10), int((first.bounds.left - west) / 10)
    pixels, valid = scene.read(row, column, 64, 64)
    assert valid.all() and np.array_equal(pixels, sensors.to_rgb(np.moveaxis(first.read([4, 3, 2]), 0, -1)))


def test_flags_of_a_command_are_the_options() -> None:
    parser = argparse.ArgumentParser()
    for flag, settings in OPTIONS.items():
        parser.add_argument(flag, **settings)
    assert SceneOptions.of(parser.parse_args([])) == SceneOptions()
    given = "--bands=B02,B03 --offset=-1000 --accept-level=l2a --resample --mask=a --mask=b --within=c --dilate=3"
    assert SceneOptions.of(parser.parse_args(given.split())) == SceneOptions(
        bands=("B02", "B03"), offset=-1000, accept_level="l2a", resample=True, mask=("a", "b"), within="c", dilate=3
    )
