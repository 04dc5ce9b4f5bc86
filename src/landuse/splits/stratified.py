"""A random split, exact within every class of the data."""

import hashlib
import math

import numpy as np
import pandas as pd

from landuse.errors import UserError
from landuse.params import PARTS, Fractions, Part


def deal(known: pd.DataFrame, fractions: Fractions, seed: int) -> "pd.Series[str]":
    """Deal the tiles of each class by ``fractions``; return the part of every tile.

    A class's split depends on the seed, its name and its files alone: neither on the order of the rows nor on
    the other classes, so that tasks with other classes or labels agree on their tests.

    Args:
        known: labelled tiles, with the columns file and class.
        fractions: of every class.
        seed: of the shuffling.

    Raises:
        UserError: a class is too small to be in every part.
    """
    parts = pd.Series("", index=known.index, dtype="str")
    for name, group in known.groupby("class"):
        key = int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big")
        counts = sizes(len(group), fractions, test_first=key % 2 == 0)
        if not all(counts.values()):
            raise UserError(
                f"class {name!r} is too small to be split: it has {len(group)} of at least "
                f"{smallest(fractions)} tiles; add tiles, leave the class out of the mapping, or change split.fractions"
            )
        order = np.random.Generator(np.random.PCG64([seed, key])).permutation(len(group))
        shuffled = group.sort_values("file").index.to_numpy()[order]
        for part, chosen in zip(PARTS, np.split(shuffled, np.cumsum([counts["train"], counts["val"]])), strict=True):
            parts.loc[chosen] = part
    return parts


def sizes(count: int, fractions: Fractions, test_first: bool = True) -> dict[Part, int]:
    """Whole numbers that add to ``count``, by largest remainder.

    Args:
        count: tiles of a class.
        fractions: of the class.
        test_first: at a tie test comes before val, else after it; before train both. Classes that take turns in
            this keep the totals of val and test in balance.
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
