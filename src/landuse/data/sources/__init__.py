"""Where tiles come from. Each source is loaded only when it is chosen: rasterio alone takes half a second."""

from landuse import params
from landuse.data.sources.collection import Collection
from landuse.data.sources.coordinates import with_coordinates
from landuse.data.sources.layers import with_layers


def open_source(data: params.Data) -> Collection:
    """Open the tiles that ``data.source`` names, placed on the map by ``data.coordinates``, with ``data.layers``."""
    collection = _open(data)
    if data.coordinates is not None:
        collection = with_coordinates(collection, data.coordinates)
    return with_layers(collection, data) if data.layers else collection


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
