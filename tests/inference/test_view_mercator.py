"""Cells lie on the web map where their coordinates say."""

import numpy as np
import pytest
import rasterio.warp
from affine import Affine
from PIL import Image
from rasterio.crs import CRS
from scipy.interpolate import RegularGridInterpolator

from landuse.core.errors import UserError
from landuse.inference.view import mercator

GRIDS = {  # cells of 320 m: a Sentinel-2 scene and larger
    "a Sentinel-2 scene": ("EPSG:32632", 500_000, 5_400_000, 343),
    "a scene in the far north": ("EPSG:32633", 400_000, 8_900_000, 343),
    "a scene in the south": ("EPSG:32735", 700_000, 7_000_000, 343),
    "the largest that a page shows": ("EPSG:3035", 4_000_000, 3_200_000, 2048),
    "a scene across the date line": ("EPSG:32701", 100_000, 8_100_000, 343),
}


def mercator_of(crs: CRS, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Places as PROJ has them, on a world of side 1."""
    east, north = rasterio.warp.transform(crs, CRS.from_epsg(3857), x.ravel(), y.ravel())
    side = 2 * np.pi * 6378137
    return np.stack([np.array(east) / side + 0.5, 0.5 - np.array(north) / side], axis=-1)


def between(lattice: np.ndarray, at: np.ndarray) -> np.ndarray:
    nodes = np.linspace(0, 1, len(lattice))
    return RegularGridInterpolator((nodes, nodes), lattice, bounds_error=False, fill_value=None)(at[..., ::-1])


@pytest.mark.parametrize("name", GRIDS)
def test_a_place_finds_its_cell_and_a_cell_its_place(name: str) -> None:
    code, west, north, side = GRIDS[name]
    crs, transform = CRS.from_string(code), Affine(320, 0, west, 0, -320, north)
    placed = mercator.place(transform, crs, (side, side))
    shares = np.random.default_rng(0).uniform(0, 1, (2000, 2))
    x, y = west + 320 * side * shares[:, 0], north - 320 * side * shares[:, 1]
    truth = mercator_of(crs, x, y)
    left, top, right, bottom = placed.box
    truth[:, 0] += (truth[:, 0] < left - 1e-3) * 1.0  # across the date line places go on past the edge
    on_box = (truth - (left, top)) / (right - left, bottom - top)
    assert on_box.min() > -1e-4 and on_box.max() < 1 + 1e-4
    assert np.abs(between(placed.to_grid, on_box) - shares).max() * side < 0.05
    back = between(placed.to_box, shares)
    assert np.abs(between(placed.to_grid, back) - shares).max() * side < 0.1


@pytest.mark.parametrize("name", GRIDS)
def test_the_picture_lies_below_its_cells(name: str) -> None:
    code, west, north, side = GRIDS[name]
    crs, transform, cell = CRS.from_string(code), Affine(320, 0, west, 0, -320, north), 1 / 200
    placed = mercator.place(transform, crs, (side, side))
    y, x = np.mgrid[cell / 2 : 1 : cell, cell / 2 : 1 : cell]
    image = Image.fromarray(np.dstack([255 * x, 255 * y, 0 * x, 0 * x + 255]).astype(np.uint8))
    warped = np.asarray(mercator.picture(image, transform, crs, (side, side), placed))
    shares = np.random.default_rng(0).uniform(0.02, 0.98, (500, 2))
    spots = between(placed.to_box, shares) * warped.shape[1::-1]
    pixels = warped[spots[:, 1].astype(int), spots[:, 0].astype(int)]
    assert (pixels[:, 3] == 255).all()
    assert np.abs(pixels[:, :2] - 255 * shares).max() < 3
    assert warped[0, 0, 3] == 0 or warped[0, -1, 3] == 0  # turned against north, it leaves a corner empty


def test_a_map_at_the_pole_is_refused() -> None:
    with pytest.raises(UserError, match=r"beyond 85\.05 degrees"):
        mercator.place(Affine(320, 0, -50_000, 0, -320, 50_000), CRS.from_epsg(3413), (300, 300))


def test_a_crs_of_no_place_is_refused() -> None:
    local = CRS.from_wkt('LOCAL_CS["yard",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]')
    with pytest.raises(UserError, match="of no place"):
        mercator.place(Affine(320, 0, 0, 0, -320, 0), local, (10, 10))
