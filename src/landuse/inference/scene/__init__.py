"""A scene as a model reads it: whatever the files are, its bands in its units on one grid of pixels."""

from landuse.inference.scene.opening import open_scene
from landuse.inference.scene.options import OPTIONS, SceneOptions
from landuse.inference.scene.scene import Scene

__all__ = ["OPTIONS", "Scene", "SceneOptions", "open_scene"]
