"""The tile store ``data/tiles/``: labelled tiles as one memory-mapped array, an index and a description.

- ``images.npy``: (N, H, W, C), uint8 (RGB) or uint16 (digital numbers).
- ``index.csv``: row, file (``<Class>/<file>``), class, sha256; then, where the source knows them, group (what a patch
  was cut from), epsg, left, bottom, right, top and latitude, longitude (WGS84, of the centre).
- ``dataset.json``: a ``Description``. digest: of the content; pixels: SHA-256 of them, by which damage to them is seen;
  official: whether the content is the official one, null where there is none.
- ``quarantine.csv``: file, reason; the tiles left out.
"""

import hashlib
import io
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NotRequired

import numpy as np
import numpy.typing as npt
import pandas as pd
from tqdm import tqdm
from typing_extensions import TypedDict

from landuse.core.layers import LayerBand
from landuse.core.outputs import damaged, read_csv, read_json, reading
from landuse.core.paths import TILES

_STAGE = "download"
COLUMNS = {"row": "int64", "file": "str", "class": "str"}
_PLACE = {"epsg": "Int64"} | dict.fromkeys(("left", "bottom", "right", "top", "latitude", "longitude"), "float64")
_CHUNK = 256  # tiles hashed at once


class Description(TypedDict):
    """What dataset.json says of a store."""

    source: str
    bands: list[str]
    channels: NotRequired[list[list[str]]]  # what a network is to see, where it is not the bands: see ``ModelSpec``
    layers: NotRequired[list[LayerBand]]  # the last of the bands, which are of other rasters
    resized: NotRequired[bool]  # GeoTIFFs were resampled to this size as a whole
    units: str
    radiometric_offset: int | None
    ground_resolution: float | None
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


def open_store(store: Path = TILES) -> TileStore:
    """Map a tile store; raises UserError where a file of it is missing or damaged.

    All pixels are hashed (0.2 s for EuroSAT in RGB): what was learnt from damaged ones would be kept as of whole ones.
    """
    info = read_json(store / "dataset.json", _STAGE, Description)
    index = _read_index(store / "index.csv")
    digest = content_digest(zip(index["sha256"], index["file"], strict=True))
    if (len(index), digest) != (info["tiles"], info["digest"]):
        raise damaged(store, _STAGE, "index.csv is not of the tiles that dataset.json names")
    return TileStore(_map(store / "images.npy", info), index, dict(info))


def _read_index(path: Path) -> pd.DataFrame:
    index = read_csv(path, _STAGE, COLUMNS | {"sha256": "str"}, _PLACE | {"group": "str"})
    if not np.array_equal(index["row"], np.arange(len(index))):
        raise damaged(path, _STAGE, "its rows are not numbered from 0")
    if not index["class"].equals(index["file"].str.partition("/")[0]):
        raise damaged(path, _STAGE, "a class is not that of its file")
    return index


def _map(path: Path, info: Description) -> npt.NDArray[Any]:
    """Map the pixels, which must be those of the description to the last bit."""
    dtype, header = np.dtype(info["dtype"]), io.BytesIO()
    shape = (info["tiles"], info["tile_size"], info["tile_size"], len(info["bands"]))
    write_header(header, dtype, shape)
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


def content_digest(files: Iterable[tuple[str, str]]) -> str:
    """SHA-256 of one line ``<sha256>  <Class>/<file>`` a tile, sorted by path: the data set, in any container."""
    lines = (f"{sha}  {path}\n" for path, sha in sorted((path, sha) for sha, path in files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def write_header(array: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(array, header)
