"""Where tiles come from. Each source is loaded only when it is chosen: rasterio alone takes half a second."""

from landuse import params
from landuse.data.sources.collection import Collection
from landuse.data.sources.coordinates import with_coordinates
from landuse.data.sources.layers import with_layers
from landuse.data.sources.patches import in_patches


def open_source(data: params.Data) -> Collection:
    """Open the tiles of ``data.source``, with ``data.coordinates`` and ``data.layers``, cut by ``data.patch_size``."""
    collection = _open(data)
    if data.coordinates is not None:
        collection = with_coordinates(collection, data.coordinates)
    if data.layers:
        collection = with_layers(collection, data)
    return in_patches(collection, data.patch_size, data.patches_per_tile) if data.patch_size else collection


def _open(data: params.Data) -> Collection:
    match data.source:
        case "sample":
            from landuse.data.sources import sample

            return sample.collection(data)
        case "folder":
            from landuse.data.sources import folder

            return folder.collection(data)
        case "eurosat_rgb" | "eurosat_ms":
            from landuse.data.sources import eurosat

            return eurosat.collection(data)
