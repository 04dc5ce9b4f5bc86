"""How strange a tile is: its distance to the nearest tiles of known labels (Sun et al. 2022, ICML)."""

import numpy as np
import numpy.typing as npt

NEIGHBOURS = 10
Floats = npt.NDArray[np.float32]
_ROWS = 4096  # tiles compared at once: their distances take memory


def unit(features: Floats) -> Floats:
    """(n, F) features -> the same, each of length 1; zeros stay."""
    length = np.linalg.norm(features, axis=1, keepdims=True)
    found: Floats = features / np.maximum(length, np.finfo(np.float32).tiny)
    return found


def distances(features: Floats, reference: Floats, neighbours: int) -> Floats:
    """(n, F) features -> (n,) distances, each of length 1, to the k-th nearest of (m, F) reference tiles.

    reference: of length 1. neighbours: k; m, where there are fewer.
    """
    found = np.empty(len(features), dtype=np.float32)
    nearest = max(0, len(reference) - neighbours)  # of likeness in rising order
    for start in range(0, len(features), _ROWS):
        likeness = unit(features[start : start + _ROWS]) @ reference.T
        likeness.partition(nearest, axis=1)
        found[start : start + _ROWS] = np.sqrt(np.maximum(2 - 2 * likeness[:, nearest], 0))
    return found
