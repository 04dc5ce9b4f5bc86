"""``data.coordinates``: a table that tells where the tiles of a source without coordinates lie."""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd

from landuse.errors import UserError
from landuse.sources.archive import local
from landuse.sources.collection import Collection, Tile

Place = tuple[float, float]  # latitude, longitude


def with_coordinates(collection: Collection, table: str) -> Collection:
    """Give every tile the latitude and longitude that a CSV has for it.

    Args:
        collection: the tiles. One that has coordinates of its own keeps them.
        table: path of a CSV with the columns file, latitude, longitude (WGS84 degrees, of the tile's
            centre). ``file`` is ``<Class>/<name>`` or the bare name; its extension plays no part. A
            column ``class`` is put before bare names.

    Raises:
        UserError: no such table, not of this form, ambiguous, or about other tiles.
    """
    places = _read(local(table))
    found = {name: place for name in collection.names if (place := _place(places, name))}
    _refuse_misfit(found, collection.names, places, table)

    def read(name: str) -> Tile:
        tile, place = collection.read(name), found.get(name)
        if tile.georef is not None or place is None:
            return tile
        return replace(tile, latitude=place[0], longitude=place[1])

    return replace(collection, read=read)


def _read(path: Path) -> dict[str, Place]:
    """Map ``<Class>/<stem>``, or the bare stem, to latitude and longitude."""
    try:
        table = pd.read_csv(path, dtype={"file": str, "class": str}, keep_default_na=False)
    except FileNotFoundError:
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
    wrong = ~(degrees["latitude"].between(-90, 90) & degrees["longitude"].between(-180, 180))  # NaN is in neither
    if wrong.any():
        raise UserError(
            f"data.coordinates: line {int(wrong.to_numpy().argmax()) + 2} of {path} has no latitude in -90..90 and "
            "longitude in -180..180: mend it (WGS84 degrees)"
        )
    stems = [_stem(file) for file in _with_class(table)]
    twice = [stem for stem, count in Counter(stems).items() if count > 1]
    if twice:
        raise UserError(f"data.coordinates: {path} has {twice[0]!r} twice: write each once, as <Class>/<name>")
    return dict(zip(stems, degrees.itertuples(index=False, name=None), strict=True))


def _with_class(table: pd.DataFrame) -> list[str]:
    if "class" not in table:
        return list(table["file"])
    return [f if "/" in f else f"{c}/{f}" for c, f in zip(table["class"], table["file"], strict=True)]


def _stem(file: str) -> str:
    """``<Class>/<stem>`` of a path, or the stem where there is no folder."""
    return "/".join(PurePosixPath(file).with_suffix("").parts[-2:])


def _place(places: dict[str, Place], name: str) -> Place | None:
    return places.get(_stem(name)) or places.get(PurePosixPath(name).stem)


def _refuse_misfit(found: dict[str, Place], names: list[str], places: dict[str, Place], table: str) -> None:
    if not found:
        raise UserError(f"data.coordinates: {table} has none of the tiles, such as {names[0]}: check its column file")
    bare = Counter(PurePosixPath(name).stem for name in found if _stem(name) not in places)
    shared = [stem for stem, count in bare.items() if count > 1]
    if shared:
        raise UserError(f"data.coordinates: {table} has {shared[0]!r}, the name of several tiles: write <Class>/<name>")
    if len(found) < len(names):
        without = len(names) - len(found)
        print(f"landuse: {without} of {len(names)} tiles are not in {table}: they have no coordinates", file=sys.stderr)
