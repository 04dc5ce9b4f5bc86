"""Where tiles come from. Each source is loaded only when it is chosen: rasterio alone takes half a second."""

from collections.abc import Callable

from landuse import params
from landuse.data.sources.collection import Collection
from landuse.data.sources.coordinates import with_coordinates


def _sample(data: params.Data) -> Collection:
    from landuse.data.sources import sample

    return sample.collection(data)


def _eurosat_rgb(data: params.Data) -> Collection:
    from landuse.data.sources import eurosat

    return eurosat.rgb(data)


def _eurosat_ms(data: params.Data) -> Collection:
    from landuse.data.sources import eurosat

    return eurosat.ms(data)


def _folder(data: params.Data) -> Collection:
    from landuse.data.sources import folder

    return folder.collection(data)


SOURCES: dict[params.SourceName, Callable[[params.Data], Collection]] = {
    "sample": _sample,
    "eurosat_rgb": _eurosat_rgb,
    "eurosat_ms": _eurosat_ms,
    "folder": _folder,
}


def open_source(data: params.Data) -> Collection:
    """Open the tiles that ``data.source`` names, placed on the map by ``data.coordinates`` where it is given."""
    collection = SOURCES[data.source](data)
    return collection if data.coordinates is None else with_coordinates(collection, data.coordinates)
