"""``data.patch_size``: tiles cut into small patches, each of which remembers its tile."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.data.sources.collection import Collection, GeoRef, Tile
from landuse.pictures import BadTile

_KEPT = 64  # decoded tiles: patches of one tile are read one after the other, by a few threads


def in_patches(collection: Collection, size: int, per_tile: int | None = None) -> Collection:
    """Cut every tile into patches of ``size`` pixels a side, named ``<Class>/<tile>#<row>-<column><extension>``.

    Rows and columns count from 0 at the upper left. A patch knows its bounds, or has the coordinates of its tile's
    centre, and belongs to the group of its tile. Its sha256 is of its tile's and its place: patches of water may well
    be equal, and are no copies of a file. A patch may have one value, a tile may not.

    size: divides the tiles'. per_tile: so many patches of each tile, drawn by the tile's name; None: all of them.
    """
    side = collection.size // size
    found = {
        f"{PurePosixPath(name).with_suffix('')}#{row}-{column}{PurePosixPath(name).suffix}": (name, row, column)
        for name in collection.names
        for row, column in _places(name, side, per_tile)
    }
    read = partial(_read, lru_cache(_KEPT)(collection.read), collection.constant, found, size)
    return replace(collection, names=sorted(found), read=read, size=size, patches=True, digest=None)


def _places(name: str, side: int, count: int | None) -> list[tuple[int, int]]:
    """Rows and columns of a tile's patches; those of a smaller count are among those of a larger one."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    drawn = np.random.Generator(np.random.PCG64(key)).permutation(side * side)[:count]
    return [divmod(int(place), side) for place in sorted(drawn)]


def _read(
    tile_of: Callable[[str], Tile],
    constant: Callable[[npt.NDArray[Any]], str | None],
    found: dict[str, tuple[str, int, int]],
    size: int,
    name: str,
) -> Tile:
    of, row, column = found[name]
    tile = tile_of(of)
    fault = constant(tile.pixels)
    if fault:
        raise BadTile(fault)
    top, left = row * size, column * size
    return replace(
        tile,
        pixels=tile.pixels[top : top + size, left : left + size],
        sha256=hashlib.sha256(f"{tile.sha256}#{row}-{column}".encode()).hexdigest(),
        georef=tile.georef and _part(tile.georef, tile.pixels.shape[:2], top, left, size),
        group=tile.group or of,
    )


def _part(place: GeoRef, shape: tuple[int, ...], top: int, left: int, size: int) -> GeoRef:
    down, right = (place.top - place.bottom) / shape[0], (place.right - place.left) / shape[1]
    return GeoRef(
        epsg=place.epsg,
        left=place.left + right * left,
        bottom=place.top - down * (top + size),
        right=place.left + right * (left + size),
        top=place.top - down * top,
    )
