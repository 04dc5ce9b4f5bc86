"""Layers: rasters brought onto other pixels, slope and aspect, and the code that they are stored by."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.warp import transform

from landuse.core.errors import UserError
from landuse.sensors import layers
from landuse.sensors.layers import Layer, Pixels

Array = np.ndarray[Any, Any]
LEFT, TOP = 500_000.0, 5_000_000.0
TILE = Pixels("EPSG:32633", Affine(10, 0, LEFT, 0, -10, TOP), 16, 16)
RANDOM = np.random.default_rng(3)


def raster(file: Path, values: Array, metres: float = 30.0, margin: int = 4, **form: Any) -> str:
    """Write values as a raster of UTM zone 33 that begins ``margin`` pixels before the tile."""
    corner = Affine(metres, 0, LEFT - margin * metres, 0, -metres, TOP + margin * metres)
    profile = {"crs": "EPSG:32633", "transform": corner, "count": 1, "dtype": values.dtype} | form
    with rasterio.open(file, "w", "GTiff", height=values.shape[-2], width=values.shape[-1], **profile) as image:
        image.write(np.broadcast_to(values, (image.count, *values.shape[-2:])))
    return str(file)


def layer(
    path: str, method: Any = "bilinear", limits: tuple[float, float] = (-500, 9000), derive: str = "none"
) -> Layer:
    return Layer(path, layers.stored_bands("dem", method, limits, "m", derive))


def values(read: Layer, pixels: Pixels = TILE) -> dict[str, Array]:
    """What is stored, decoded; NaN where there is no data."""
    stored = layers.read(read, pixels)
    assert stored.dtype == np.uint16
    return {
        band["name"]: np.where(part == 0, np.nan, part * band["scale"] + band["offset"])
        for band, part in zip(read.bands, stored, strict=True)
    }


def plane(east: float, north: float, side: int = 16, metres: float = 30.0, margin: int = 4) -> Array:
    """Elevation in the middles of pixels, with gradients to the east and to the north."""
    place = (np.arange(side) - margin + 0.5) * metres
    return (1000 + east * place[None, :] - north * place[:, None]).astype(np.float32)


@pytest.mark.parametrize("azimuth", range(0, 360, 45))
def test_a_plane_has_its_slope_and_faces_where_it_falls_in_every_pixel(tmp_path: Path, azimuth: int) -> None:
    to, steep = np.radians(azimuth), np.tan(np.radians(20))
    falls = plane(-steep * np.sin(to), -steep * np.cos(to))
    found = values(layer(raster(tmp_path / "dem.tif", falls), derive="slope_aspect"))
    assert list(found) == ["dem", "dem_slope", "dem_northness", "dem_eastness"]
    assert found["dem_slope"] == pytest.approx(20, abs=0.2)  # metres of UTM are not quite those of the ground
    assert found["dem_northness"] == pytest.approx(np.sin(np.radians(20)) * np.cos(to), abs=0.005)
    assert found["dem_eastness"] == pytest.approx(np.sin(np.radians(20)) * np.sin(to), abs=0.005)


def test_flat_land_faces_nowhere(tmp_path: Path) -> None:
    found = values(layer(raster(tmp_path / "dem.tif", plane(0, 0)), derive="slope_aspect"))
    assert found["dem_slope"] == pytest.approx(0) and found["dem_northness"] == pytest.approx(0, abs=1e-4)


def test_tiles_that_touch_have_the_values_of_the_tile_that_covers_both(tmp_path: Path) -> None:
    rough = raster(tmp_path / "dem.tif", (500 + 40 * RANDOM.standard_normal((32, 32))).astype(np.float32))
    whole = Pixels(TILE.crs, TILE.transform, 32, 32)
    for method in ("nearest", "bilinear", "cubic", "average"):
        read = layer(rough, method, derive="slope_aspect")
        together = layers.read(read, whole)
        for row, col in ((0, 0), (0, 16), (16, 0), (16, 16)):
            part = Pixels(TILE.crs, TILE.transform @ Affine.translation(col, row), 16, 16)
            found, same = layers.read(read, part), together[:, row : row + 16, col : col + 16]
            assert np.array_equal(found[0], same[0]), method
            assert np.abs(found.astype(int) - same).max() <= 1, method  # a metre is measured in the middle of each


def test_values_are_kept_to_half_a_step_of_their_range(tmp_path: Path) -> None:
    heights = np.linspace(-500, 9000, 1024, dtype=np.float32).reshape(32, 32)
    file = raster(tmp_path / "dem.tif", heights, metres=10, margin=0)
    found = values(layer(file, "nearest"), Pixels(TILE.crs, TILE.transform, 32, 32))["dem"]
    assert np.abs(found - heights).max() <= 9500 / 65_534 / 2 + 1e-3


def test_methods_are_those_that_were_asked_for(tmp_path: Path) -> None:
    fine = RANDOM.uniform(0, 100, (160, 160)).astype(np.float32)
    file = raster(tmp_path / "fine.tif", fine, metres=1, margin=0)
    means = fine.reshape(16, 10, 16, 10).mean(axis=(1, 3))
    assert values(layer(file, "average"))["dem"] == pytest.approx(means, abs=0.1)
    coarse = raster(tmp_path / "coarse.tif", np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), metres=80, margin=0)
    near = values(layer(coarse, "nearest", (0, 5)))["dem"]
    assert near == pytest.approx(np.kron([[1, 2], [3, 4]], np.ones((8, 8))), abs=1e-3)
    smooth = values(layer(coarse, "bilinear", (0, 5)))["dem"]
    assert len(np.unique(np.round(smooth, 3))) > 20 and 1 <= smooth.min() < smooth.max() <= 4


def test_another_crs_and_scaled_whole_numbers(tmp_path: Path) -> None:
    """A global grid of NDVI as MODIS has it: degrees, int16, 0.0001."""
    (west,), (north,) = transform("EPSG:32633", "EPSG:4326", [LEFT], [TOP])
    step = 0.0001
    columns, rows = np.meshgrid(np.arange(60), np.arange(60))
    stored = (10 * columns + 5 * rows + 3000).astype(np.int16)
    corner = Affine(step, 0, west - 20 * step, 0, -step, north + 20 * step)
    form = {"height": 60, "width": 60, "count": 1, "dtype": "int16", "crs": "EPSG:4326", "transform": corner}
    with rasterio.open(tmp_path / "ndvi.tif", "w", "GTiff", nodata=-3000, **form) as image:
        image.write(stored, 1)
        image.scales = (1e-4,)
    found = values(layer(str(tmp_path / "ndvi.tif"), limits=(-1, 1)))["dem"]
    x, y = (np.array(TILE.transform @ (col + 0.5, row + 0.5)) for col, row in ((0, 0), (15, 9)))
    for (row, col), (east, south) in {(0, 0): x, (9, 15): y}.items():
        (longitude,), (latitude,) = transform("EPSG:32633", "EPSG:4326", [east], [south])
        place = (longitude - corner.c) / step - 0.5, (corner.f - latitude) / step - 0.5
        assert found[row, col] == pytest.approx((10 * place[0] + 5 * place[1] + 3000) * 1e-4, abs=2e-4)


def test_no_data_and_values_beyond_the_range_are_none_and_slopes_need_a_pixel_more(tmp_path: Path) -> None:
    heights = plane(0, 0, metres=10)
    heights[8, 8], heights[12, 4], heights[15, 15] = -9999, np.nan, 9500
    file = raster(tmp_path / "dem.tif", heights, metres=10, nodata=-9999)
    found = values(layer(file, "nearest"), Pixels(TILE.crs, TILE.transform, 12, 12))
    assert np.argwhere(np.isnan(found["dem"])).tolist() == [[4, 4], [8, 0], [11, 11]]
    found = values(layer(file, "nearest", derive="slope"), Pixels(TILE.crs, TILE.transform, 12, 12))
    empty = np.argwhere(np.isnan(found["dem_slope"])).tolist()
    assert [1, 1] not in empty and all([row, col] in empty for row in (3, 5) for col in (3, 4, 5))
    assert [11, 5] in empty  # the row below the last has no data
    told = layers.fault(layer(file), np.array([[[0, 1], [1, 1]]], np.uint16))
    assert told == "layer dem covers a part of it, or has no data there: none between -500 and 9000 in 1 of 4 pixels"


@pytest.mark.parametrize("crs", ["EPSG:2056", "EPSG:32603", "+proj=ortho +lat_0=-60 +lon_0=180"])
def test_a_raster_of_elsewhere_has_no_data_here(tmp_path: Path, crs: str) -> None:
    file = raster(tmp_path / "dem.tif", plane(0, 0), crs=crs, transform=Affine(30, 0, 0, 0, -30, 0))
    assert not layers.read(layer(file, derive="slope"), TILE).any()


def test_a_slope_beside_a_value_beyond_the_range_is_none(tmp_path: Path) -> None:
    heights = plane(0, 0, metres=10)
    heights[8, 8] = -9999  # no data, but nobody says so
    found = layers.read(layer(raster(tmp_path / "dem.tif", heights, metres=10), "nearest", derive="slope"), TILE)[1]
    assert (found[:11, :11] == 0).sum() == 8  # its own is of the eight around it


def test_a_damaged_raster_is_told(tmp_path: Path) -> None:
    file = raster(tmp_path / "dem.tif", RANDOM.uniform(0, 100, (64, 64)).astype(np.float32), compress="deflate")
    content = bytearray(Path(file).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = b"\0" * 4000
    Path(file).write_bytes(content)
    with pytest.raises(UserError, match=r"layer dem: .*dem\.tif is damaged .*: copy it again"):
        layers.read(layer(file), Pixels(TILE.crs, TILE.transform, 150, 150))


def test_what_a_mask_leaves_out_has_no_data(tmp_path: Path) -> None:
    file = tmp_path / "dem.tif"
    raster(file, plane(0, 0, metres=10), metres=10)
    with rasterio.open(file, "r+") as image:
        mask = np.full((16, 16), 255, np.uint8)
        mask[:, 10:] = 0
        image.write_mask(mask)
    found = values(layer(str(file), "nearest"), Pixels(TILE.crs, TILE.transform, 8, 12))["dem"]
    assert np.isnan(found[:, 6:]).all() and not np.isnan(found[:, :6]).any()


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"crs": None}, "does not say where it lies"),
        ({"transform": Affine.identity()}, "does not say where it lies"),
        ({"count": 3}, "has 3 bands, a layer has one"),
    ],
)
def test_a_raster_that_is_no_layer_is_refused_with_the_remedy(tmp_path: Path, form: dict[str, Any], told: str) -> None:
    file = raster(tmp_path / "dem.tif", plane(0, 0), **form)
    with pytest.raises(UserError, match=told) as error:
        layers.check("dem", file)
    assert str(error.value).startswith(f"layer dem: {file} ") and "gdal_translate" in str(error.value)


@pytest.mark.parametrize("content", [None, b"", b"no raster at all"])
def test_what_is_no_raster_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "dem.tif"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a raster"):
        layers.check("dem", str(file))


def test_bands_are_told_apart_by_their_raster() -> None:
    dem = layers.stored_bands("dem", "cubic", (0, 100), "m", "slope")
    ndvi = layers.stored_bands("ndvi", "average", (-1, 1), "NDVI", "none")
    assert layers.grouped([*ndvi, *dem]) == {"ndvi": ndvi, "dem": dem}
    assert [(band["units"], band["resampling"]) for band in dem] == [("m", "cubic"), ("degrees", "cubic")]
