"""``data.coordinates``: a table that tells where tiles lie, and which were cut from one place."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd

from landuse.core.errors import UserError
from landuse.data.sources.archive import local
from landuse.data.sources.collection import Collection, Tile
from landuse.data.sources.images import stem

Place = tuple[float, float, str | None]  # latitude, longitude, group
Area = tuple[float, float, float, float]  # southern and northern latitude, western and eastern longitude
_WORLD: Area = (-90, 90, -180, 180)


def with_coordinates(collection: Collection, table: str) -> Collection:
    """Give every tile the latitude and longitude, and the group, that a CSV has for it.

    collection: a tile that has coordinates of its own keeps them. table: path of a CSV with the columns file, latitude,
    longitude (WGS84 degrees, of the tile's centre). ``file`` is ``<Class>/<name>`` or the bare name; its extension
    plays no part. A column ``class`` is put before bare names. A column ``group`` names the polygon, say, that a tile
    was cut from; a tile without one stands for itself.

    Raises UserError: no such table, not of this form, ambiguous, or about other tiles; or a group has two classes.
    """
    places = _read(local(table))
    found = {name: place for name in collection.names if (place := places.get(stem(name)) or places.get(_bare(name)))}
    _refuse_misfit(found, collection.names, places, table)
    _refuse_mixed(found, table)
    if collection.area is not None:
        _refuse_swapped(found, collection.area, f"data.coordinates: {table}", f"tiles of {collection.source}")

    def read(name: str) -> Tile:
        tile, place = collection.read(name), found.get(name)
        if place is None:
            return tile
        latitude, longitude, group = place
        if tile.georef is not None:
            return replace(tile, group=group)
        return replace(tile, latitude=latitude, longitude=longitude, group=group)

    return replace(collection, read=read)


def _read(path: Path) -> dict[str, Place]:
    """Map ``<Class>/<stem>``, or the bare stem, to its place."""
    text = dict.fromkeys(("file", "class", "group"), str)
    try:
        table = pd.read_csv(path, dtype=text, keep_default_na=False, compression=None)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise UserError(f"data.coordinates: no file {path}: give the path of a CSV, or null") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"data.coordinates: {path} is not a CSV ({error}): mend it, or give null") from None
    missing = sorted({"file", "latitude", "longitude"} - set(table.columns))
    if missing:
        raise UserError(
            f"data.coordinates: {path} lacks the column {', '.join(missing)}: "
            "its first line must be file,latitude,longitude"
        )
    degrees = table[["latitude", "longitude"]].apply(pd.to_numeric, errors="coerce")
    wrong = ~_within(degrees["latitude"], degrees["longitude"], _WORLD)
    if wrong.any():
        swapped = _within(degrees["longitude"], degrees["latitude"], _WORLD).all()
        remedy = "are latitude and longitude swapped?" if swapped else "mend it (WGS84 degrees)"
        raise UserError(
            f"data.coordinates: line {int(wrong.to_numpy().argmax()) + 2} of {path} has no latitude in -90..90 and "
            f"longitude in -180..180: {remedy}"
        )
    classes = table["class"] + "/" if "class" in table else pd.Series("", index=table.index)
    names = [stem(f if "/" in f else c + f) for c, f in zip(classes, table["file"], strict=True)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"data.coordinates: {path} has {twice[0]!r} twice: write each once, as <Class>/<name>")
    groups = [group or None for group in table["group"]] if "group" in table else [None] * len(table)
    return dict(zip(names, zip(degrees["latitude"], degrees["longitude"], groups, strict=True), strict=True))


def _within(latitude: "pd.Series[float]", longitude: "pd.Series[float]", area: Area) -> "pd.Series[bool]":
    south, north, west, east = area
    return latitude.between(south, north) & longitude.between(west, east)  # NaN is in neither


def _refuse_swapped(found: dict[str, Place], area: Area, table: str, tiles: str) -> None:
    """Refuse places that lie elsewhere as they are and all in the area when swapped; others are the user's affair."""
    places = pd.DataFrame(found.values(), index=pd.Index(found), columns=["latitude", "longitude", "group"])
    away = ~_within(places["latitude"], places["longitude"], area)
    if away.any() and _within(places["longitude"], places["latitude"], area).all():
        name = away.idxmax()
        latitude, longitude, _ = found[str(name)]
        south, north, west, east = area
        raise UserError(
            f"{table} places {name} at latitude {latitude:g}, longitude {longitude:g}, but {tiles} lie between "
            f"{south:g} and {north:g}, {west:g} and {east:g}: are latitude and longitude swapped?"
        )


def _refuse_mixed(found: dict[str, Place], table: str) -> None:
    first: dict[str, str] = {}
    for name, (*_, group) in found.items():
        other = first.setdefault(group, name) if group else name
        if name.partition("/")[0] != other.partition("/")[0]:
            raise UserError(
                f"data.coordinates: {table} has {other} and {name}, of different classes, in the group {group!r}: "
                "number the polygons of all classes together"
            )


def _bare(name: str) -> str:
    return stem(name).rpartition("/")[2]


def _refuse_misfit(found: dict[str, Place], names: list[str], places: dict[str, Place], table: str) -> None:
    if not found:
        raise UserError(f"data.coordinates: {table} has none of the tiles, such as {names[0]}: check its column file")
    bare = Counter(_bare(name) for name in found if stem(name) not in places)
    shared = [name for name, count in bare.items() if count > 1]
    if shared:
        raise UserError(f"data.coordinates: {table} has {shared[0]!r}, the name of several tiles: write <Class>/<name>")
    if len(found) < len(names):
        without = len(names) - len(found)
        print(f"landuse: {without} of {len(names)} tiles are not in {table}: they have no coordinates", file=sys.stderr)
