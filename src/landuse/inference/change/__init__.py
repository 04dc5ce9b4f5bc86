"""What became of the land between two dates: hectares of each transition with intervals, and where it is likely."""

from landuse.inference.change.making import change_maps, change_scenes

__all__ = ["change_maps", "change_scenes"]
