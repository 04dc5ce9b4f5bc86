"""``data.layers``: rasters beside the bands of a source whose tiles know where they lie."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.data.sources.archive import local
from landuse.data.sources.collection import Collection, Tile
from landuse.pictures import BadTile
from landuse.sensors import layers
from landuse.sensors.layers import Layer

SAMPLE = "sample"  # as a path: what the simulated scenes themselves have


def with_layers(collection: Collection, data: params.Data) -> Collection:
    """Store the layers behind the bands of every tile.

    Raises:
        UserError: a raster cannot be used, a name is taken, or the bands are no digital numbers.
    """
    if collection.dtype != np.uint16:
        raise UserError(
            f"data.layers needs tiles of 16 bits, these have {collection.dtype}: name the bands, for RGB "
            f"-S 'data.bands=[{','.join(sensors.RGB)}]' with GeoTIFFs (sample, eurosat_ms, folder)"
        )
    chosen = [_layer(name, data) for name in data.layers]
    bands = tuple(band for layer in chosen for band in layer.bands)
    taken = [*collection.bands, *(name for name, *_ in collection.channels or ())]
    for band in bands:
        if band["name"] in taken or sensors.band(band["name"]):
            raise UserError(
                f"data.layers: {band['name']} is the name of a band or index, or of two layers: rename its table"
            )
        taken.append(band["name"])
    names = tuple(band["name"] for band in bands)
    return replace(
        collection,
        read=partial(_read, collection, chosen),
        bands=collection.bands + names,
        channels=collection.channels and collection.channels + tuple((name, (name,), ()) for name in names),
        layers=bands,
    )


def _layer(name: str, data: params.Data) -> Layer:
    table = data.layer_tables[name]
    if table.path == SAMPLE:
        if data.source != "sample":
            raise UserError(
                f"layer {name} has the path 'sample', the simulated one, but data.source is {data.source}: name a "
                f"raster, -S data.layer_tables.{name}.path=FILE"
            )
        path = SAMPLE
    else:
        path = table.path if "://" in table.path or table.path.startswith("/vsi") else str(local(table.path))
        layers.check(name, path)
    low, high = table.range
    return Layer(path, layers.stored_bands(name, table.resampling, (low, high), table.units, table.derive))


def _read(collection: Collection, chosen: Sequence[Layer], name: str) -> Tile:
    tile = collection.read(name)
    if tile.georef is None:
        raise BadTile("it does not say where it lies (EPSG and bounds), and data.layers needs that")
    from rasterio.transform import from_bounds  # loads GDAL

    place, size = tile.georef, collection.size
    bounds = (place.left, place.bottom, place.right, place.top)
    pixels = layers.Pixels(f"EPSG:{place.epsg}", from_bounds(*bounds, size, size), size, size)
    parts = [tile.pixels]
    for layer in chosen:
        if layer.path == SAMPLE:
            assert collection.simulated is not None  # of the sample
            layer = replace(layer, path=collection.simulated(layer.name, name))
        stored = layers.read(layer, pixels)
        if fault := layers.fault(layer, stored):
            raise BadTile(fault)
        parts.append(stored.transpose(1, 2, 0))
    return replace(tile, pixels=np.concatenate(parts, axis=-1))
