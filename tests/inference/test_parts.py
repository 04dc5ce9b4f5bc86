"""Rasters of a folder, whole and thinned."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from landuse.inference import parts


@pytest.mark.parametrize("longest", [None, 700, 300, 250, 101, 1])
def test_a_thinned_raster_has_the_nearest_cells_over_all_strips(longest: int | None, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 255, (2, 600, 40), dtype=np.uint8)
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", count=2, height=600, width=40, dtype="uint8",
                       crs="EPSG:32632", transform=Affine(10, 0, 0, 0, -10, 0)) as file:  # fmt: skip
        file.write(values)
        file.descriptions, file.scales = ("a", "b"), (1.0, 0.5)
    found = parts.read_raster(tmp_path / "a.tif", [600, 40], longest, "map")
    step = -(-600 // longest) if longest else 1
    with rasterio.open(tmp_path / "a.tif") as file:
        expected = file.read(out_shape=(2, -(-600 // step), -(-40 // step)))  # GDAL's own choice
    assert (found.values == expected).all()
    assert found.transform.e == pytest.approx(-10 * 600 / expected.shape[1])
    assert (found.names, found.scales) == (("a", "b"), (1.0, 0.5))


def test_what_takes_long_to_read_shows_how_far_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", count=1, height=600, width=2, dtype="uint8",
                       crs="EPSG:32632", transform=Affine(10, 0, 0, 0, -10, 0)) as file:  # fmt: skip
        file.write(np.zeros((1, 600, 2), dtype=np.uint8))
    bars = []
    real = parts.tqdm
    monkeypatch.setattr(parts, "tqdm", lambda **settings: bars.append(real(**settings | {"disable": False})) or bars[0])
    parts.read_raster(tmp_path / "a.tif", [600, 2], None, "map")
    assert (bars[0].n, bars[0].total, bars[0].desc) == (600, 600, "reading a.tif")
