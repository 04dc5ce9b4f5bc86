"""models/export/reference.npz: validation tiles, which the network did not learn from, to compare new tiles with.

``features`` (R, F), float32 or float16, each of length 1, of validation tiles: what the out-of-distribution (OOD) score
is a distance to. ``probabilities`` (n, classes) float32 of validation tiles, for drift.
"""

import io

import numpy as np
import numpy.typing as npt

from landuse.export.onnx_file import Floats, Outputs
from landuse.spec.model import OutOfDistribution
from landuse.spec.neighbours import NEIGHBOURS, distances, unit

_FEATURES, _PROBABILITIES = 4_000_000, 900_000  # bytes of each, at most
_TILES = 5000  # at most: every new tile is compared with all of them
_PASS = 0.95  # share of the validation tiles that the limit lets pass
_SEED = 0


def make(val: Outputs, targets: npt.NDArray[np.int64]) -> tuple[bytes, OutOfDistribution]:
    """Return the content of reference.npz and what is made of the distances to it; the same for the same outputs.

    Where there are more tiles than fit, half of the precision goes first, then tiles: of each label as many are drawn.

    targets: (n,) labels of the validation tiles.
    """
    wanted, fits = min(len(targets), _TILES), _FEATURES // (val.features.shape[1] * 4)
    chosen = _balanced(targets, min(wanted, 2 * fits))
    features = unit(val.features[chosen]).astype(np.float32 if wanted <= fits else np.float16)
    limit = _limit(val.features, features.astype(np.float32), chosen)
    every = np.random.default_rng(_SEED).permutation(len(targets))
    some = np.sort(every[: _PROBABILITIES // (val.probabilities.shape[1] * 4)])
    file = io.BytesIO()
    np.savez(file, features=features, probabilities=val.probabilities[some])
    return file.getvalue(), OutOfDistribution(neighbours=NEIGHBOURS, limit=limit)


def score(features: Floats, content: bytes, ood: OutOfDistribution) -> Floats:
    """(n, F) -> (n,) out-of-distribution scores by what ``make`` returned, as whoever uses the model computes them."""
    with np.load(io.BytesIO(content)) as found:
        return distances(features, found["features"].astype(np.float32), ood.neighbours) / np.float32(ood.limit)


def _limit(features: Floats, reference: Floats, chosen: npt.NDArray[np.int64]) -> float:
    """Return the distance under which 95 % of the validation tiles stay, each without itself where it is a reference.

    That is its own nearest neighbour, so for it one neighbour more is counted.
    """
    found = distances(features, reference, NEIGHBOURS)
    found[chosen] = distances(features[chosen], reference, NEIGHBOURS + 1)
    return max(float(f"{np.quantile(found, _PASS):.6g}"), 1e-6)  # tiles that are all alike have no distance


def _balanced(targets: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    """Positions, sorted, of at most so many tiles: of each label the same number, and of a rare one all."""
    order = np.random.default_rng(_SEED).permutation(len(targets))
    turn = np.empty(len(targets), dtype=np.int64)  # of a tile among those of its label
    for label in np.unique(targets):
        own = order[targets[order] == label]
        turn[own] = np.arange(len(own))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:most])
