"""Where tiles come from. Each source is loaded only when it is chosen: rasterio alone takes half a second."""

from landuse import params
from landuse.data.sources.collection import Collection
from landuse.data.sources.coordinates import with_coordinates


def open_source(data: params.Data) -> Collection:
    """Open the tiles that ``data.source`` names, placed on the map by ``data.coordinates`` where it is given."""
    collection = _open(data)
    return collection if data.coordinates is None else with_coordinates(collection, data.coordinates)


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
