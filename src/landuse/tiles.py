"""The tile store: a set of labelled tiles as one memory-mapped array, an index and a description.

On disk, under ``data/tiles/``:

- ``images.npy``: (N, H, W, C), uint8 (RGB) or uint16 (digital numbers), memory-mappable.
- ``index.csv``: row, file (``<Class>/<file>``), class, sha256; then epsg, left, bottom, right, top and
  latitude, longitude (WGS84, of the centre) where the source knows them.
- ``dataset.json``: source, bands, units, counts, content digest, and whether it is the official one (null
  where there is none); and the SHA-256 of all pixels, by which damage to ``images.npy`` is seen.
- ``quarantine.csv``: file, reason; the tiles left out.

One array instead of 27,000 files: DVC handles it several times faster, and training never decodes.
"""

import hashlib
import io
import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm
from typing_extensions import TypedDict

from landuse import params
from landuse.errors import UserError
from landuse.files import atomic, write_csv, write_json
from landuse.outputs import damaged, read_csv, read_json, reading
from landuse.sources import open_source
from landuse.sources.collection import BadTile, Collection, Tile

STORE = Path("data/tiles")
_STAGE = "download"
COLUMNS = {"row": "int64", "file": "str", "class": "str"}
_PLACE = {"epsg": "Int64"} | dict.fromkeys(("left", "bottom", "right", "top", "latitude", "longitude"), "float64")
_CHUNK = 256  # tiles decoded ahead: bounds the memory, keeps every core busy


class Description(TypedDict):
    """What dataset.json says of a store."""

    source: str
    bands: list[str]
    units: str
    radiometric_offset: int | None
    dtype: Literal["uint8", "uint16"]
    tile_size: int
    tiles: int
    classes: dict[str, int]
    quarantined: int
    licence: str
    digest: str
    pixels: str
    official: bool | None


@dataclass(frozen=True)
class TileStore:
    """An open tile store. images: (N, H, W, C), mapped read-only; index: one row a tile, in order."""

    images: npt.NDArray[Any]
    index: pd.DataFrame
    info: dict[str, Any]


def run(p: params.Params, store: Path = STORE) -> None:
    """Fetch the tiles of ``data.source``, check every one, and write the tile store."""
    write(store, open_source(p.data), p.data.max_quarantined)


def open_store(store: Path = STORE) -> TileStore:
    """Map a tile store that is whole.

    All pixels are hashed, which takes 0.2 s for EuroSAT in RGB and is over before a stage has worked for nothing: what
    was learnt from damaged tiles would be kept under the digest of whole ones.

    Raises:
        UserError: a file of it is missing or damaged.
    """
    info = read_json(store / "dataset.json", _STAGE, Description)
    index = _read_index(store / "index.csv")
    digest = content_digest(zip(index["sha256"], index["file"], strict=True))
    if (len(index), digest) != (info["tiles"], info["digest"]):
        raise damaged(store, _STAGE, "index.csv is not of the tiles that dataset.json names")
    return TileStore(_map(store / "images.npy", info), index, dict(info))


def _read_index(path: Path) -> pd.DataFrame:
    index = read_csv(path, _STAGE, COLUMNS | {"sha256": "str"}, _PLACE)
    if not np.array_equal(index["row"], np.arange(len(index))):
        raise damaged(path, _STAGE, "its rows are not numbered from 0")
    if not index["class"].equals(index["file"].str.partition("/")[0]):
        raise damaged(path, _STAGE, "a class is not that of its file")
    return index


def _map(path: Path, info: Description) -> npt.NDArray[Any]:
    """Map the pixels, which must be those of the description to the last bit."""
    dtype, header = np.dtype(info["dtype"]), io.BytesIO()
    shape = (info["tiles"], info["tile_size"], info["tile_size"], len(info["bands"]))
    _write_header(header, dtype, shape)
    size = header.tell() + math.prod(shape) * dtype.itemsize
    with reading(path, _STAGE), path.open("rb") as file:
        if file.read(header.tell()) != header.getvalue() or file.seek(0, os.SEEK_END) != size:
            raise damaged(path, _STAGE, f"it does not hold the {shape} {dtype} of dataset.json")
    images = np.memmap(path, dtype, "r", header.tell(), shape)
    found = hashlib.sha256()
    parts = range(0, len(images), _CHUNK)
    for start in tqdm(parts, desc="checking the tiles", unit="part", delay=2, disable=None, leave=False):
        found.update(images[start : start + _CHUNK].data)
    if found.hexdigest() != info["pixels"]:
        raise damaged(path, _STAGE, "its pixels have another SHA-256 than dataset.json says")
    return images


def write(store: Path, collection: Collection, max_quarantined: int = 0) -> None:
    """Decode, check and store every tile of a collection; all of it or nothing.

    Raises:
        UserError: more than ``max_quarantined`` tiles are unusable, none is left, or the content
            digest is not the one the source promises.
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
        _write_header(array, collection.dtype, (0, size, size, len(collection.bands)))
        for name, tile in _read_all(collection):
            reason = tile if isinstance(tile, str) else _fault(tile, collection, first_with)
            if isinstance(tile, str) or reason:
                bad.append({"file": name, "reason": reason or ""})
                continue
            first_with[tile.sha256] = name
            content = np.ascontiguousarray(tile.pixels).data
            array.write(content)
            pixels.update(content)
            rows.append(_row(len(rows), name, tile))
        array.seek(0)
        # of the same length: numpy pads the header so that the first axis can grow without moving the data
        _write_header(array, collection.dtype, (len(rows), size, size, len(collection.bands)))
    return rows, bad, pixels.hexdigest()


def content_digest(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of one line ``<sha256>  <Class>/<file>`` a tile, sorted by path: the identity of a data set.

    The container (which zip, or a folder) plays no part.
    """
    lines = (f"{sha}  {path}\n" for path, sha in sorted((path, sha) for sha, path in files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _read_all(collection: Collection) -> Iterator[tuple[str, Tile | str]]:
    """Yield every name with its tile, or with the reason it has none; decoded by threads, in order."""

    def read(name: str) -> Tile | str:
        try:
            return collection.read(name)
        except BadTile as error:
            return str(error)

    names = collection.names
    progress = tqdm(total=len(names), desc="tiles", unit="tile", disable=None, mininterval=0.5)
    with progress, ThreadPoolExecutor() as pool:
        for start in range(0, len(names), _CHUNK):
            chunk = names[start : start + _CHUNK]
            yield from zip(chunk, pool.map(read, chunk), strict=True)
            progress.update(len(chunk))


def _fault(tile: Tile, collection: Collection, first_with: dict[str, str]) -> str | None:
    """Why a decoded tile cannot be used, or None."""
    pixels, shape = tile.pixels, (collection.size, collection.size, len(collection.bands))
    if pixels.shape != shape:
        return f"shape {pixels.shape}, expected {shape}"
    if pixels.dtype != collection.dtype:
        return f"dtype {pixels.dtype}, expected {collection.dtype}"
    if (pixels == pixels[:1, :1]).all():
        return f"constant: every pixel is {pixels[0, 0].tolist()}"
    if tile.sha256 in first_with:
        return f"same bytes as {first_with[tile.sha256]}"
    return None


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
    label = name.split("/", 1)[0]
    return {"row": row, "file": name, "class": label, "sha256": tile.sha256, **place, **centre}


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
    return {
        "source": collection.source,
        "bands": list(collection.bands),
        "units": collection.units,
        "radiometric_offset": collection.radiometric_offset,
        "dtype": collection.dtype.name,
        "tile_size": collection.size,
        "tiles": len(rows),
        "classes": dict(sorted(Counter(row["class"] for row in rows).items())),
        "quarantined": len(bad),
        "licence": collection.licence,
        "digest": digest,
        "pixels": pixels,
        "official": None if collection.digest is None else collection.digest == digest,
    }


def _write_header(array: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(array, header)
