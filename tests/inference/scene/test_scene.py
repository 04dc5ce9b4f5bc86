"""A scene is read window by window, on the model's scale."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from made_scenes import PIXELS, RGB_MODEL, write_raster

from landuse import sensors
from landuse.inference.scene import Scene, SceneOptions, open_scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    path = write_raster(tmp_path / "scene.tif", PIXELS, ("B02", "B03", "B04"))
    return open_scene([path], RGB_MODEL, SceneOptions())


def test_bands_come_in_the_models_order_and_units(scene: Scene) -> None:
    pixels, valid = scene.read(0, 0, scene.height, scene.width)
    assert np.array_equal(pixels, sensors.to_rgb(np.moveaxis(PIXELS[::-1], 0, -1))) and valid.all()


def test_beyond_the_border_there_is_nothing(scene: Scene) -> None:
    whole, _ = scene.read(0, 0, scene.height, scene.width)
    pixels, valid = scene.read(-3, -4, 64, 64)
    assert not valid[:3].any() and not valid[:, :4].any() and valid[3:, 4:].all()
    assert not pixels[~valid].any() and np.array_equal(pixels[3:, 4:], whole[:61, :60])
    assert not scene.read(1000, 0, 64, 64)[1].any()


def test_a_scene_travels_to_another_process(scene: Scene) -> None:
    again = pickle.loads(pickle.dumps(scene))
    assert again == scene and np.array_equal(again.read(5, 5, 9, 9)[0], scene.read(5, 5, 9, 9)[0])
