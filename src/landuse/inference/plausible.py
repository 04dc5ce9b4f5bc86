"""Pixel values in other units than the model's, told by what no land looks like.

Each tile is judged by ``limits`` of the model, (low, high) of each band: the smallest and the largest mean over a
training tile. To be beyond them is no fault: snow, cloud, sea and shadow are. What is looked for is what even those do
not do. Digital numbers (reflectance x 10000) of valid pixels are at least 1, above 255 in some band, since the air
alone scatters that much, and on no snow or cloud above 20000 in a tile's mean.

Two mistakes leave a tile possible: the offset of 1000 that products since baseline 04.00 hold, and reflectance x 255 in
place of EuroSAT's stretch to 8 bits. Haze and shadow do the same to single tiles. They are found only among
``COMPANY`` tiles or more, of which ``MOST`` share the fault.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.spec.model import ModelSpec

COMPANY = 8  # tiles: one haze does not cover so many, if they are of more than one place
MOST = 0.75
_OFFSET = 1000  # digital numbers
_DARK = 800  # digital numbers that the darkest pixel of any band is below in 9 of 10 tiles of EuroSAT

WHITE = 20000  # digital numbers: twice what a white surface in the sun has
_SHADE = 0.75  # of the darkest training tile; EuroSAT's sea and forest are brighter in blue

_EMPTY = "all pixels are 0 or 1: no data, or reflectance that was cast to whole numbers"
_BYTES = "no pixel is above 255: these look like 8-bit values"
_LARGE = "the mean of a band is above 20000, a reflectance of 2: these look scaled to 16 bits"
_ADDED = "no pixel is below 1000, and 1000 less would be usual: subtract the offset of baseline 04.00 and later"
_DIM = "every band is darker than 3/4 of the darkest training tile: these look like reflectance x 255"
_OF_MANY = {_ADDED, _DIM}


def faults(tiles: npt.NDArray[Any], spec: ModelSpec) -> list[str]:
    """Say what is impossible in the values of each of (n, H, W, C) tiles of the model's dtype; "" where nothing is."""
    count = len(spec.spectral)
    tiles = tiles[..., :count]  # a layer can have any value
    flat = tiles.reshape(len(tiles), int(np.prod(tiles.shape[1:])))  # -1 fits no empty array
    smallest, largest = flat.min(axis=1), flat.max(axis=1)
    found = np.full(len(tiles), "", dtype=object)
    if spec.limits is not None:
        low, high = np.array(spec.limits[:count]).T
        # in two steps: over both axes at once it takes ten times as long
        mean = tiles.sum(axis=1, dtype=np.uint32).sum(axis=1) / (tiles.shape[1] * tiles.shape[2])
        if spec.dtype == "uint8":
            found[(mean < _SHADE * low).all(axis=1)] = _DIM
        else:
            found[_offset(mean, smallest, low, high)] = _ADDED
            found[mean.max(axis=1) > WHITE] = _LARGE
            if low.max() > 255:
                found[largest <= 255] = _BYTES
    found[largest <= 1] = _EMPTY
    told: list[str] = found.tolist()
    common = shared(told) if len(told) >= COMPANY else ""
    return [fault if fault == common or fault not in _OF_MANY else "" for fault in told]


def shared(told: Sequence[str]) -> str:
    """The fault that most of the tiles have; "" where there is none."""
    for fault, count in Counter(told).most_common(1):
        if count >= MOST * len(told):
            return fault
    return ""


def _offset(
    mean: npt.NDArray[np.float64],
    smallest: npt.NDArray[Any],
    low: npt.NDArray[np.float64],
    high: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """Whether tiles come within the limits by 1000 less, and have dark pixels just above 1000 and none below.

    mean: (n, C). smallest: (n,). low, high: (C,).
    """
    given, less = ((low / 2 < level) & (level < high) for level in (mean, mean - _OFFSET))
    mended = (less >= given).all(axis=1) & (less > given).any(axis=1)
    dark = (smallest >= _OFFSET) & (smallest < _OFFSET + _DARK)
    return np.asarray(mended & dark)
