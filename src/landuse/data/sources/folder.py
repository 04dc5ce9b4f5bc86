"""Any folder, or zip, of class folders of pictures: a user's own data on day one. For bands see ``rasters``."""

import hashlib

import numpy as np

from landuse import params
from landuse.core.errors import UserError
from landuse.data.sources import archive
from landuse.data.sources.collection import Collection, Tile
from landuse.pictures import EXTENSIONS, decode, square


def collection(data: params.Data) -> Collection:
    """Open ``data.url`` as class folders of images of any common format and size; other bands than RGB are GeoTIFFs.

    Every image becomes (tile_size, tile_size, 3) uint8: shorter side resized to ``data.tile_size``
    (bicubic, antialiased), then the centre cut out; see ``images.decode`` for what is converted and
    what is refused.
    """
    if data.url is None:
        raise UserError("data.source is folder, but data.url is null: name your folder, -S data.url=PATH")
    if data.bands != "rgb":
        from landuse.data.sources import rasters  # loads GDAL

        return rasters.collection(data)
    files = archive.open_url(data.url, lambda name: name.lower().endswith(EXTENSIONS))

    def read(name: str) -> Tile:
        content = files.read(name)
        return Tile(square(decode(content), data.tile_size), hashlib.sha256(content).hexdigest())

    return Collection(
        source="folder",
        names=files.names,
        read=read,
        bands=("red", "green", "blue"),
        size=data.tile_size,
        dtype=np.dtype(np.uint8),
        units="8-bit display values",
        licence="the user's own data",
    )
