"""The audit of a split: the same tile, or nearly the same, on both sides.

Exact duplicates hold the same pixels, whatever their files' bytes. Patches of one value (calm water) are none: they
have nothing to recognise. Near duplicates have perceptual hashes (pHash, of the 64 lowest DCT coefficients) at most
``bits`` apart, AND grey pictures that differ less than they vary. The second condition makes the count honest, since
smooth tiles share hashes by chance:
of EuroSAT's 27,000 tiles 671 pairs are at most 8 bits apart, 85 % of them with open water, 97 % more than 50 km from
each other. Only four meet the second condition (0.21 to 0.56, where 0.6 is the limit): those whose centres lie within
50 m. The next pair, two tiles of water 1.8 km apart, has 0.83.

What it does not see: tiles that overlap by a part, turned or mirrored copies, the same place in another season.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image
from scipy.fft import dct

from landuse import sensors
from landuse.core.arrays import Ints, Pixels, constant
from landuse.core.cores import cores
from landuse.core.errors import UserError
from landuse.params import PARTS
from landuse.tiles.store import TileStore

# mean absolute difference of two tiles over the mean absolute deviation of the flatter one; below: near duplicates
_DIFFERENCE = 0.6
_SIDE = 32  # pixels of the grey pictures that are hashed and compared, as in imagehash
_LOOKED_AT = 1 << 8  # tiles that a thread looks at in one go: bounds the memory
_CELLS = 1 << 22  # pairs of hashes in a go, likewise
_PAIRS = 1 << 14  # pairs of pictures compared at a time
_LISTED = 1000  # pairs in the table; all are counted
_COLUMNS = ["file", "split", "other_file", "other_split", "bits", "difference"]


def audit(store: TileStore, tiles: pd.DataFrame, bits: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Compare all tiles that are in a part with each other.

    tiles: columns row, file and split. bits: the largest distance of the hashes of near duplicates.

    Returns:
        The near duplicates (file, split, other_file, other_split, bits, difference), those across parts first and
        the most alike first, 1,000 at most; and the numbers of pairs of all kinds.

    Raises UserError: the same pixels are in two parts.
    """
    used = tiles[tiles["split"].isin(PARTS)].sort_values("row")
    digests, hashes, pictures = _look(store, used["row"].to_numpy(dtype=np.int64))
    exact = _exact_pairs(used.assign(digest=digests))
    near, count = _near_pairs(hashes, pictures, pd.factorize(used["split"])[0], bits)
    first, second = (used.iloc[near[side].to_numpy()].reset_index(drop=True) for side in ("first", "second"))
    columns = [first["file"], first["split"], second["file"], second["split"], near["bits"], near["difference"]]
    return pd.concat(columns, axis=1, keys=_COLUMNS), {"exact_across_parts": 0, "exact_within_parts": exact} | count


def _look(store: TileStore, rows: Ints) -> tuple[list[str], npt.NDArray[np.uint64], Pixels]:
    """Digests of the pixels (the row where all are the same); perceptual hashes (N,); grey pictures (N, 32, 32)."""
    hashes = np.empty(len(rows), dtype=np.uint64)
    pictures = np.empty((len(rows), _SIDE, _SIDE), dtype=np.uint8)

    def look(start: int) -> list[str]:
        part = slice(start, start + _LOOKED_AT)
        tiles = np.asarray(store.images[rows[part]])
        pictures[part] = _grey(np.stack([sensors.picture(pixels, store.info["bands"]) for pixels in tiles]))
        hashes[part] = perceptual_hashes(pictures[part])
        return [
            str(row) if constant(pixels) else hashlib.sha256(pixels.data).hexdigest()
            for row, pixels in zip(rows[part], tiles, strict=True)
        ]

    with ThreadPoolExecutor(cores()) as pool:
        digests = [digest for some in pool.map(look, range(0, len(rows), _LOOKED_AT)) for digest in some]
    return digests, hashes, pictures


def _grey(shown: Pixels) -> Pixels:
    """Pictures (n, H, W, 3) as grey ones (n, 32, 32), to the bit as Pillow makes them of each alone.

    Pillow resizes first along rows, then along columns. So tiles below one another can be one picture in the first
    pass, and tiles side by side in the second.
    """
    count, height, width, _ = shown.shape
    below = Image.fromarray(shown.reshape(count * height, width, 3)).convert("L")
    narrow = np.asarray(below.resize((_SIDE, count * height), Image.Resampling.LANCZOS))
    beside = narrow.reshape(count, height, _SIDE).swapaxes(0, 1).reshape(height, count * _SIDE)
    low = np.asarray(Image.fromarray(beside).resize((count * _SIDE, _SIDE), Image.Resampling.LANCZOS))
    return low.reshape(_SIDE, count, _SIDE).swapaxes(0, 1)


def perceptual_hashes(pictures: Pixels) -> npt.NDArray[np.uint64]:
    """PHash of grey pictures (N, 32, 32): which of the 64 lowest coefficients of the DCT are above their median; (N,).

    The same bits as ``phash`` of the library imagehash, which defined them (Buchner).
    """
    lowest = dct(dct(pictures.astype(np.float64), axis=1), axis=2)[:, :8, :8].reshape(len(pictures), 64)
    bits = lowest > np.median(lowest, axis=1, keepdims=True)
    hashes: npt.NDArray[np.uint64] = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return hashes


def _exact_pairs(used: pd.DataFrame) -> int:
    """Count the pairs within a part; refuse those across parts."""
    twins = used[used.duplicated("digest", keep=False)]
    within, across = 0, []
    for _, group in twins.groupby("digest", sort=False):
        sizes = group["split"].value_counts()
        within += int((sizes * (sizes - 1) // 2).sum())
        if len(sizes) > 1:
            one, two = group.drop_duplicates("split").head(2).itertuples()
            across.append(f"{one.file} ({one.split}) and {two.file} ({two.split})")
    if across:
        shown = ", ".join(across[:3]) + (f" and {len(across) - 3} more" if len(across) > 3 else "")
        raise UserError(
            f"the same pixels are in two parts, so that a test would be seen in training: {shown}: "
            "remove one of each from the data, or from the lists of split.published"
        )
    return within


def _near_pairs(
    hashes: npt.NDArray[np.uint64], pictures: Pixels, part: npt.NDArray[np.intp], bits: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The near duplicates as positions first < second with bits and difference, and how many there are."""
    deviation = np.array([np.abs(picture - picture.mean()).mean() for picture in pictures])
    listed = pd.DataFrame({"first": [], "second": [], "bits": [], "within": [], "difference": []}, dtype=np.int64)
    count = {"near_across_parts": 0, "near_within_parts": 0}
    for first, second, distance in _close(hashes, bits):
        change = np.abs(pictures[first].astype(np.int16) - pictures[second]).mean(axis=(1, 2))
        flatter = np.minimum(deviation[first], deviation[second])
        near = change < _DIFFERENCE * flatter  # not where both are constant: they have nothing to recognise
        within = part[first] == part[second]
        count["near_across_parts"] += int((near & ~within).sum())
        count["near_within_parts"] += int((near & within).sum())
        found = {"first": first, "second": second, "bits": distance, "within": within.astype(np.int64)}
        table = pd.DataFrame({name: values[near] for name, values in found.items()})
        table["difference"] = np.round(change[near] / flatter[near], 3)
        order = ["within", "difference", "first", "second"]
        listed = pd.concat([listed, table]).sort_values(order, ignore_index=True).head(_LISTED)
    return listed, count


def _close(hashes: npt.NDArray[np.uint64], bits: int) -> Iterator[tuple[npt.NDArray[Any], ...]]:
    """Yield the positions first < second, and the distance, of hashes at most ``bits`` apart; some at a time."""
    step = max(1, _CELLS // max(1, len(hashes)))
    for start in range(0, len(hashes), step):
        rows = range(len(hashes))[start : start + step]
        # one row with all later ones at a time: they stay in the processor's cache
        near = [np.flatnonzero(np.bitwise_count(hashes[row + 1 :] ^ hashes[row]) <= bits) + row + 1 for row in rows]
        first, second = np.repeat(rows, [len(later) for later in near]), np.concatenate(near)
        for cut in range(0, len(first), _PAIRS):
            a, b = first[cut : cut + _PAIRS], second[cut : cut + _PAIRS]
            yield a, b, np.bitwise_count(hashes[a] ^ hashes[b])
