"""The audit of a split: the same tile, or nearly the same, on both sides.

Exact duplicates hold the same pixels, whatever their files' bytes. Near duplicates have perceptual hashes (DCT,
64 bits, the library imagehash) at most ``bits`` apart AND grey pictures that correlate: smooth tiles such as
open water share hashes by chance, and the hash alone would raise an alarm for each.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import imagehash
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from landuse.errors import UserError
from landuse.params import PARTS
from landuse.sources import sentinel2
from landuse.tiles import TileStore

_CORRELATION = 0.95  # of the grey pixels of two tiles that count as near duplicates
_CHUNK = 1024  # rows compared at a time: bounds the memory


def audit(store: TileStore, split: pd.DataFrame, bits: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Compare all tiles in a part with each other.

    Returns:
        The near duplicates (file, split, other file, other split, distance in bits, correlation), and counts.

    Raises:
        UserError: the same pixels stand in two parts.
    """
    used = split[split["split"].isin(PARTS)].reset_index(drop=True)
    with ThreadPoolExecutor() as pool:
        seen = list(pool.map(lambda row: _look(store, row), used["row"]))
    exact = _exact(used, [digest for digest, _, _ in seen])
    hashes = np.array([h for _, h, _ in seen], dtype=np.uint64)
    grey = np.stack([g for _, _, g in seen])
    near = _near(used, hashes, grey, bits)
    across = near["split"] != near["other_split"]
    return near, {
        "exact_within_parts": exact,
        "near_within_parts": int((~across).sum()),
        "near_across_parts": int(across.sum()),
    }


def _look(store: TileStore, row: int) -> tuple[str, int, npt.NDArray[np.float32]]:
    """Digest of the pixels, perceptual hash, and the grey tile with mean 0 and norm 1."""
    pixels = np.ascontiguousarray(store.images[row])
    rgb = pixels
    if pixels.shape[-1] != 3:
        rgb = sentinel2.to_rgb(pixels[..., [sentinel2.BANDS.index(band) for band in sentinel2.RGB]])
    picture = Image.fromarray(rgb).convert("L")
    packed = np.packbits(imagehash.phash(picture).hash.reshape(-1)).view(">u8")[0]
    grey = np.asarray(picture.resize((16, 16), Image.Resampling.BOX), dtype=np.float32).reshape(-1)
    grey = grey - grey.mean()
    return hashlib.sha256(pixels.tobytes()).hexdigest(), int(packed), grey / max(float(np.linalg.norm(grey)), 1e-6)


def _exact(used: pd.DataFrame, digests: list[str]) -> int:
    """Count exact duplicates within a part; refuse those across parts."""
    pairs = 0
    for _, group in used.groupby(pd.Series(digests)):
        pairs += len(group) - 1
        if group["split"].nunique() > 1:
            (_, first), (_, second) = list(group.drop_duplicates("split").iterrows())[:2]
            raise UserError(
                f"{first['file']} ({first['split']}) and {second['file']} ({second['split']}) hold the same pixels: "
                "the test would be answered in training; remove one of them from the data"
            )
    return pairs


def _near(used: pd.DataFrame, hashes: npt.NDArray[np.uint64], grey: npt.NDArray[np.float32], bits: int) -> pd.DataFrame:
    rows = []
    for i, j, distance in _close_pairs(hashes, bits):
        correlation = float(grey[i] @ grey[j])
        if correlation >= _CORRELATION:
            a, b = used.iloc[i], used.iloc[j]
            rows.append((a["file"], a["split"], b["file"], b["split"], distance, round(correlation, 4)))
    columns = ["file", "split", "other_file", "other_split", "bits", "correlation"]
    return pd.DataFrame(rows, columns=columns)


def _close_pairs(hashes: npt.NDArray[np.uint64], bits: int) -> Iterator[tuple[int, int, int]]:
    """All pairs i < j whose hashes differ in at most ``bits`` bits."""
    for start in range(0, len(hashes), _CHUNK):
        distance = np.bitwise_count(hashes[start : start + _CHUNK, None] ^ hashes[None, start:])
        for i, j in np.argwhere(distance <= bits):
            if i < j:
                yield int(start + i), int(start + j), int(distance[i, j])
