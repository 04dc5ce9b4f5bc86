"""Write a tile store: every tile of a collection decoded and checked once; see ``landuse.tiles.store``."""

import hashlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm

from landuse import params
from landuse.core.cores import cores
from landuse.core.errors import UserError
from landuse.core.files import atomic, write_csv, write_json
from landuse.core.paths import TILES
from landuse.data.sources import open_source
from landuse.data.sources.collection import Collection, Tile
from landuse.pictures import BadTile
from landuse.tiles.store import content_digest, write_header

_CHUNK = 256  # tiles decoded ahead: bounds the memory, keeps every core busy
_AT_ONCE = 16  # tiles that a thread decodes in one go: handing over single ones takes as long as decoding half of one


def run(p: params.Params, store: Path = TILES) -> None:
    """Fetch the tiles of ``data.source``, check every one, and write the tile store."""
    write(store, open_source(p.data), p.data.max_quarantined)


def write(store: Path, collection: Collection, max_quarantined: int = 0) -> None:
    """Decode, check and store every tile of a collection; all of it or nothing.

    Raises UserError: more than ``max_quarantined`` tiles are unusable, none is left, or the content digest is not the
    one the source promises.
    """
    with atomic(store) as part:
        part.mkdir()
        rows, bad, pixels = _store_images(part / "images.npy", collection)
        _refuse_bad(bad, max_quarantined, len(rows))
        digest = content_digest((row["sha256"], row["file"]) for row in rows)
        _check_digest(collection, digest, len(rows))
        write_csv(part / "index.csv", _with_centres(pd.DataFrame(rows)))
        write_csv(part / "quarantine.csv", pd.DataFrame(bad, columns=["file", "reason"]))
        write_json(part / "dataset.json", _describe(collection, rows, bad, digest, pixels))


def _store_images(path: Path, collection: Collection) -> tuple[list[dict[str, Any]], list[dict[str, str]], str]:
    """Write the good tiles one after the other.

    Returns:
        The rows of ``index.csv`` and of ``quarantine.csv``, and the SHA-256 of the pixels.
    """
    size, pixels = collection.size, hashlib.sha256()
    rows: list[dict[str, Any]] = []
    bad: list[dict[str, str]] = []
    first_with: dict[str, str] = {}
    with path.open("wb") as array:
        write_header(array, collection.dtype, (0, size, size, len(collection.bands)))
        for name, tile in _read_all(collection):
            if isinstance(tile, Tile) and tile.sha256 in first_with:
                tile = f"same bytes as {first_with[tile.sha256]}"
            if isinstance(tile, str):
                bad.append({"file": name, "reason": tile})
                continue
            first_with[tile.sha256] = name
            content = np.ascontiguousarray(tile.pixels).data
            array.write(content)
            pixels.update(content)
            rows.append(_row(len(rows), name, tile))
        array.seek(0)
        # of the same length: numpy pads the header so that the first axis can grow without moving the data
        write_header(array, collection.dtype, (len(rows), size, size, len(collection.bands)))
    return rows, bad, pixels.hexdigest()


def _read_all(collection: Collection) -> Iterator[tuple[str, Tile | str]]:
    """Yield every name with its tile, or with the reason it has none; decoded by threads, in order."""

    def read(name: str) -> Tile | str:
        try:
            tile = collection.read(name)
        except BadTile as error:
            return str(error)
        return _fault(tile.pixels, collection) or tile

    def read_some(some: list[str]) -> list[tuple[str, Tile | str]]:
        return [(name, read(name)) for name in some]

    names = collection.names
    progress = tqdm(total=len(names), desc="tiles", unit="tile", disable=None, mininterval=0.5)
    with progress, warnings.catch_warnings(), ThreadPoolExecutor(cores()) as pool:
        warnings.filterwarnings("ignore", module="PIL")  # what it warns of is refused or settled, file by file
        warnings.filterwarnings("ignore", message="Dataset has no geotransform")  # as good, only without a place
        for start in range(0, len(names), _CHUNK):
            chunk = names[start : start + _CHUNK]
            parts = [chunk[place : place + _AT_ONCE] for place in range(0, len(chunk), _AT_ONCE)]
            yield from chain.from_iterable(pool.map(read_some, parts))
            progress.update(len(chunk))


def _fault(pixels: npt.NDArray[Any], collection: Collection) -> str | None:
    """Why a decoded tile cannot be used, or None."""
    shape = (collection.size, collection.size, len(collection.bands))
    if pixels.shape != shape:
        return f"shape {pixels.shape}, expected {shape}"
    if pixels.dtype != collection.dtype:
        return f"dtype {pixels.dtype}, expected {collection.dtype}"
    return None if collection.patches else collection.constant(pixels)


def _refuse_bad(bad: list[dict[str, str]], allowed: int, good: int) -> None:
    if len(bad) > allowed:
        shown = "; ".join(f"{b['file']}: {b['reason']}" for b in bad[:3]) + ("; ..." if len(bad) > 3 else "")
        raise UserError(
            f"{len(bad)} of {good + len(bad)} tiles cannot be used ({shown}): mend or remove them, "
            f"or leave them out with -S data.max_quarantined={len(bad)}"
        )
    if not good:
        raise UserError(f"none of the {len(bad)} tiles can be used: data.url must lead to <Class>/<image> files")


def _check_digest(collection: Collection, digest: str, count: int) -> None:
    if collection.digest in (None, digest):
        return
    difference = f"content digest {digest[:12]}..., official {str(collection.digest)[:12]}..."
    if collection.official_only:
        raise UserError(
            f"the {count} tiles of {collection.source} are not the official ones ({difference}): "
            "delete .landuse/downloads and run the same command again"
        )
    print(
        f"landuse: these {count} tiles of {collection.source} are not the whole official set ({difference}): "
        "results do not compare with published ones",
        file=sys.stderr,
    )


def _row(row: int, name: str, tile: Tile) -> dict[str, Any]:
    centre = {"latitude": tile.latitude, "longitude": tile.longitude} if tile.latitude is not None else {}
    place = asdict(tile.georef) if tile.georef else {}
    group = {"group": tile.group} if tile.group is not None else {}
    label = name.split("/", 1)[0]
    return {"row": row, "file": name, "class": label, "sha256": tile.sha256, **group, **place, **centre}


def _with_centres(index: pd.DataFrame) -> pd.DataFrame:
    """Add the latitude and longitude of each georeferenced tile's centre, in WGS84 degrees."""
    if "epsg" not in index:
        return index
    from rasterio.warp import transform  # loads GDAL: only where there is something to transform

    for epsg in index["epsg"].dropna().unique():
        group = index[index["epsg"] == epsg]
        x, y = (group["left"] + group["right"]) / 2, (group["bottom"] + group["top"]) / 2
        longitude, latitude = transform(f"EPSG:{int(epsg)}", "EPSG:4326", x.to_list(), y.to_list())
        index.loc[group.index, "latitude"] = np.round(latitude, 6)
        index.loc[group.index, "longitude"] = np.round(longitude, 6)
    return index.astype({"epsg": "Int64"})


def _describe(
    collection: Collection, rows: list[dict[str, Any]], bad: list[dict[str, str]], digest: str, pixels: str
) -> dict[str, Any]:
    as_it_is = ("source", "units", "radiometric_offset", "ground_resolution", "licence")
    return {name: getattr(collection, name) for name in as_it_is} | {
        "bands": list(collection.bands),
        **({"channels": collection.channels} if collection.channels else {}),
        **({"layers": collection.layers} if collection.layers else {}),
        **({"resized": True} if collection.resized else {}),
        "dtype": collection.dtype.name,
        "tile_size": collection.size,
        "tiles": len(rows),
        "classes": dict(Counter(row["class"] for row in rows)),
        "quarantined": len(bad),
        "digest": digest,
        "pixels": pixels,
        "official": None if collection.digest is None else collection.digest == digest,
    }
