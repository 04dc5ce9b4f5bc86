"""From a scene to a folder of maps: cells of a stride, every one the mean of all windows that cover it."""

from landuse.inference.map.making import MapOptions, map_scene

__all__ = ["MapOptions", "map_scene"]
