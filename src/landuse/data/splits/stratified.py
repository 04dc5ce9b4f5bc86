"""Random splits, exact within every class of the data: once, or in folds; and subsets of the training tiles."""

import hashlib
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from landuse.core.errors import UserError
from landuse.params import PARTS, Fractions, Part

_SUBSET = 1  # the stream of ``shuffled`` for subsets, which have nothing to do with the order of the split


def deal(known: pd.DataFrame, fractions: Fractions, seed: int) -> "pd.Series[str]":
    """Deal the tiles of each class by ``fractions``; return the part of every tile.

    A class's split depends on the seed, its name and its files alone: neither on the order of the rows nor on
    the other classes, so that tasks with other classes or labels agree on their tests.

    known: labelled tiles, with the columns file and class. Raises UserError: a class is too small to be in every part.
    """
    parts = pd.Series("", index=known.index, dtype="str")
    for name, group in known.groupby("class"):
        counts = sizes(len(group), fractions, test_first=_key(name) % 2 == 0)
        if not all(counts.values()):
            raise UserError(
                f"class {name!r} is too small to be split: it has {len(group)} of at least "
                f"{smallest(fractions)} tiles; add tiles, leave the class out of the mapping, or change split.fractions"
            )
        cuts = np.cumsum([counts["train"], counts["val"]])
        for part, chosen in zip(PARTS, np.split(shuffled(group, seed), cuts), strict=True):
            parts.loc[chosen] = part
    return parts


def kfold(known: pd.DataFrame, fractions: Fractions, folds: int, fold: int, seed: int) -> "pd.Series[str]":
    """Deal the tiles of each class into ``folds`` equal parts, of which one is the test; return the part of every tile.

    Every tile is in the test of exactly one ``fold``, counted from 0. Of the other tiles of a class, those that follow
    the test's in its shuffled order are for validation: the share that ``val`` has of ``train`` and ``val`` in
    ``fractions``. Otherwise as ``deal``.
    """
    parts = pd.Series("train", index=known.index, dtype="str")
    enough = 4 if folds == 2 else folds  # one tile for the test, and two for the rest
    for name, group in known.groupby("class"):
        if len(group) < enough:
            raise UserError(
                f"class {name!r} is too small for {folds} folds: it has {len(group)} of at least {enough} tiles; "
                "add tiles, leave the class out of the mapping, or lower split.folds"
            )
        chunks = np.array_split(shuffled(group, seed), folds)
        first = (fold + _key(name)) % folds  # the folds with one tile more differ from class to class
        rest = np.concatenate([*chunks[first + 1 :], *chunks[:first]])
        parts.loc[chunks[first]] = "test"
        val = round(len(rest) * fractions.val / (fractions.train + fractions.val))
        parts.loc[rest[: min(max(1, val), len(rest) - 1)]] = "val"
    return parts


def shuffled(group: pd.DataFrame, seed: int, *stream: int) -> npt.NDArray[Any]:
    """The index of one class's tiles in an order that depends on the seed, its name and its files alone.

    stream: numbers; orders of different streams have nothing to do with each other.
    """
    key = [seed, _key(group["class"].iloc[0]), *stream]
    order = np.random.Generator(np.random.PCG64(key)).permutation(len(group))
    tiles: npt.NDArray[Any] = group.sort_values("file").index.to_numpy()[order]
    return tiles


def subset(train: pd.DataFrame, fraction: float, shots: int | None, seed: int, draw: int) -> "pd.Index[int]":
    """Choose ``fraction`` of each label's training tiles (file, class, label), at least one and at most ``shots``.

    Returns their index. draw: other numbers choose other tiles.

    A label's tiles stand in a line in which its classes are spread evenly, so that any beginning holds them in
    their proportions; the fraction is its beginning. So 1 % is within 10 %, and a subset is stratified by label
    exactly and by class as far as whole tiles allow.
    """
    position = pd.Series(0.0, index=train.index)
    stream = [_SUBSET, draw] if draw else [_SUBSET]
    for _, group in train.groupby("class"):
        position.loc[shuffled(group, seed, *stream)] = (np.arange(len(group)) + 0.5) / len(group)
    line = train.assign(position=position).sort_values(["position", "file"])
    kept = [group.index[: max(1, round(fraction * len(group)))][:shots] for _, group in line.groupby("label")]
    return kept[0].append(kept[1:])


def _key(name: object) -> int:
    return int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big")


def sizes(count: int, fractions: Fractions, test_first: bool = True) -> dict[Part, int]:
    """Whole numbers that add to ``count``, by largest remainder.

    test_first: at a tie test comes before val, else after it; before train both. Classes that take turns in this keep
    the totals of val and test in balance.
    """
    shares = {part: count * getattr(fractions, part) for part in PARTS}
    whole = {part: int(share) for part, share in shares.items()}
    ties: tuple[Part, ...] = ("test", "val", "train") if test_first else ("val", "test", "train")
    # rounded, since 0.55 x 90 is 49.50000000000001
    by_remainder = sorted(ties, key=lambda part: -round(shares[part] - whole[part], 9))
    for part in by_remainder[: count - sum(whole.values())]:
        whole[part] += 1
    return whole


def smallest(fractions: Fractions) -> int:
    """The size of the smallest class that has a tile in every part."""
    enough = math.ceil(1 / min(getattr(fractions, part) for part in PARTS))
    return next((n for n in range(len(PARTS), enough) if all(sizes(n, fractions).values())), enough)
