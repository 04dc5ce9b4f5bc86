"""Patches of 8 x 8 pixels behind the training: exported, shown, and as the windows of a map."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from made_scenes import write_raster
from trained import build, spec

from landuse import sensors, tracking
from landuse.core.paths import EXPORT
from landuse.export import stage as export
from landuse.inference import Model
from landuse.inference.map.making import MapOptions, map_scene
from landuse.inference.scene.options import SceneOptions
from landuse.report.gallery import pictures, stretch
from landuse.tiles.store import open_store


@pytest.mark.long
def test_patches_of_8_pixels_go_all_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "check", lambda _: None)
    monkeypatch.setattr(tracking, "track", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    workspace = build(tmp_path, spec("cnn_54k", bands=6, size=8, input_size=8))
    export.run(workspace.params)  # refuses what differs from the network
    model = Model.load(EXPORT, threads=1)
    assert model.predict(workspace.images[:5]).probabilities.shape == (5, 2)
    store = open_store()
    true, false = pictures(store, 0, stretch(store))
    assert true.shape == false.shape == (128, 128, 3)  # enlarged, each pixel a square
    pixels = np.random.default_rng(1).integers(500, 3000, (6, 24, 40), dtype=np.uint16)
    scene = write_raster(tmp_path / "scene.tif", pixels, sensors.BANDS[:6])
    map_scene([scene], tmp_path / "map", EXPORT, MapOptions(stride=8, workers=1), SceneOptions())
    with rasterio.open(tmp_path / "map/classes.tif") as cells:
        assert (cells.shape, cells.transform.a) == ((3, 5), 80.0)
    with rasterio.open(tmp_path / "map/scores.tif") as scores:
        shown = scores.read(1)[1, 2] * scores.scales[0]
    corner = pixels[:, 8:16, 16:24].transpose(1, 2, 0)[None]
    assert shown == pytest.approx(model.predict(corner).probabilities[0, 0], abs=0.003)
