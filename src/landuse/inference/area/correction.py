"""Hectares of each class from a map without reference labels, corrected for the model's own errors.

The correction assumes that land of a class looks here as it does in the test tiles: P(image | class) is unchanged,
while the shares of the classes may be anything (label shift; Forman 2008, Data Min. Knowl. Discov. 17; Saerens et al.
2002, Neural Comput. 14). Nothing is known of land that the model has never seen, or is not sure of: such cells are
counted as no class, and the errors are those of test tiles that it is sure of. It is not the estimator of Olofsson et
al. (2014), which needs a probability sample of this very map: ``stratified``.
"""

from typing import TypedDict

import numpy as np
import numpy.typing as npt

from landuse.core.errors import UserError
from landuse.inference.folder import UNKNOWN
from landuse.inference.parts import NODATA

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_DRAWS = 1000  # of the bootstrap
_FEW_BLOCKS = 10
_STEPS = 5000  # of EM at most
_CONVERGED = 1e-7  # largest change of a share in a step
_FLOOR = 1e-3  # a share that EM starts from: from 0 none would leave
_TOGETHER = 512  # pixels a side of the blocks of the bootstrap: errors of neighbouring cells hang together
_PRIOR = 0.5  # Jeffreys' for each count of test tiles or of cells: none among a few is no proof of none


class Area(TypedDict):
    """Hectares of a class, with the ends of their 95 % interval."""

    hectares: float
    low: float
    high: float


def corrected_hectares(
    classes: npt.NDArray[np.uint8],
    unknown: npt.NDArray[np.bool_],
    names: list[str],
    confusion: list[list[int]],
    cell_hectares: float,
    stride: int,
    seed: int = 0,
) -> dict[str, Area]:
    """Hectares of each class in land that the model is sure of, and a row for the land that it does not know.

    Args:
        classes: (rows, cols) index of the likeliest class, NODATA where there is none.
        unknown: (rows, cols) cells that are abstained or strange.
        names: of the K classes.
        confusion: (K, K) test tiles that the model is sure of, rows the true labels, columns its answers.
        cell_hectares: of one cell.
        stride: pixels a side of a cell.
        seed: of the bootstrap.

    Raises:
        UserError: as ``corrected``.
    """
    known = np.where(unknown, NODATA, classes)
    counts = _by_block(known, len(names), max(1, _TOGETHER // stride))
    areas = dict(zip(names, corrected(counts, np.array(confusion), cell_hectares, seed), strict=True))
    rest = float((unknown & (classes != NODATA)).sum() * cell_hectares)
    areas[UNKNOWN] = {"hectares": rest, "low": rest, "high": rest}
    return {
        name: {"hectares": round(area["hectares"], 4), "low": round(area["low"], 4), "high": round(area["high"], 4)}
        for name, area in areas.items()
    }


def _by_block(known: npt.NDArray[np.uint8], count: int, side: int) -> Counts:
    """(blocks, count) cells of each class in blocks of so many cells a side, or of less where few blocks have any."""
    parts = [
        known[row : row + side, col : col + side]
        for row in range(0, len(known), side)
        for col in range(0, known.shape[1], side)
    ]
    counts = np.array([np.bincount(part[part != NODATA], minlength=count) for part in parts])
    if side > 1 and counts.any(axis=1).sum() < _FEW_BLOCKS:
        return _by_block(known, count, side // 2)
    return counts


def corrected(counts_by_block: Counts, confusion: Counts, cell_hectares: float, seed: int) -> list[Area]:
    """Correct mapped areas for the model's errors by inverting its recall: q = M' pi, pi the true shares.

    The interval is the bootstrap's, over the test tiles of each label and over blocks of the map, as large as errors
    hang together: neighbouring cells err alike. It treats the blocks as drawn from land like this, so it is rather
    too wide than too narrow for the scene itself.

    Args:
        counts_by_block: (blocks, K) cells of each class that the map has in each block; masked cells are in none. With
            fewer than ten blocks cells are taken for independent.
        confusion: (K, K) test tiles of the model, rows the true labels, columns its answers.
        cell_hectares: of one cell.
        seed: of the bootstrap.

    Returns:
        For each class in order.

    Raises:
        UserError: no cell, no test tile of a class, or answers that do not depend on the class.
    """
    if not counts_by_block.sum():
        raise UserError(
            "the map has no valid cell of which the model is sure: nothing to correct; label some with 'landuse sample'"
        )
    if not (confusion.sum(axis=1) > 0).all():
        raise UserError("the model's test tiles lack a class, so its errors are unknown: evaluate it on tiles of all")
    rng = np.random.default_rng(seed)
    total = counts_by_block.sum() * cell_hectares
    estimate = _shares(_rows(confusion)[None], _rows(counts_by_block.sum(axis=0))[None])[0]
    recall = np.stack([rng.dirichlet(row + _PRIOR, size=_DRAWS) for row in confusion], axis=1)
    low, high = np.quantile(_shares(recall, _redrawn(counts_by_block, rng)), (0.025, 0.975), axis=0)
    low, high = np.minimum(low, estimate), np.maximum(high, estimate)
    return [
        {"hectares": float(at * total), "low": float(start * total), "high": float(end * total)}
        for at, start, end in zip(estimate, low, high, strict=True)
    ]


def _redrawn(counts_by_block: Counts, rng: np.random.Generator) -> Floats:
    """(draws, K) mapped shares of the bootstrap: of blocks, or of cells where there are few blocks."""
    blocks = counts_by_block[counts_by_block.sum(axis=1) > 0]
    if len(blocks) < _FEW_BLOCKS:
        return rng.dirichlet(blocks.sum(axis=0) + _PRIOR, size=_DRAWS)
    times = rng.multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), size=_DRAWS)
    drawn = rng.standard_gamma(times @ blocks + _PRIOR)  # cells of them, too: a class in no block may still be there
    return _rows(drawn)


def _rows(counts: npt.NDArray[np.generic]) -> Floats:
    numbers = counts.astype(np.float64)
    shares: Floats = numbers / numbers.sum(axis=-1, keepdims=True)
    return shares


def _shares(recall: Floats, mapped: Floats) -> Floats:
    """Solve q = M' pi, n times, on the simplex.

    recall: (n, K, K) M, the probability of an answer (column) given the label (row). mapped: (n, K) q.

    Returns:
        (n, K) pi: the inverse where that has no negative share, else the likeliest shares, by EM.
    """
    singular = np.abs(np.linalg.det(recall)) < 1e-6
    safe = np.where(singular[:, None, None], np.eye(recall.shape[1]), recall)
    shares = np.linalg.solve(safe.transpose(0, 2, 1), mapped[..., None])[..., 0].astype(np.float64)
    bad = singular | (shares < 0).any(axis=1)
    if bad.any():
        near = np.where(singular[bad, None], 1.0, shares[bad].clip(_FLOOR))
        shares[bad] = _likeliest(recall[bad], mapped[bad], near / near.sum(axis=1, keepdims=True))
    return shares


def _likeliest(recall: Floats, mapped: Floats, shares: Floats) -> Floats:
    """The likeliest shares (n, K) by EM, from others that are all positive."""
    for _ in range(_STEPS):
        expected = np.einsum("nk,nkj->nj", shares, recall)
        ratio = np.divide(mapped, expected, out=np.zeros_like(mapped), where=expected > 0)
        better = shares * np.einsum("nj,nkj->nk", ratio, recall)
        moved = np.abs(better - shares).max()
        shares = better
        if moved < _CONVERGED:
            break
    return shares
