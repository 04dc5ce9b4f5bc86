"""A random split, exact within every class of the data."""

import hashlib

import numpy as np
import pandas as pd

from landuse.errors import UserError
from landuse.params import PARTS, Fractions, Part


def sizes(count: int, fractions: Fractions) -> dict[Part, int]:
    """Whole numbers that add to ``count``, by largest remainder; val and test before train at a tie."""
    shares = {part: count * getattr(fractions, part) for part in PARTS}
    whole = {part: int(share + 1e-9) for part, share in shares.items()}
    order = sorted(PARTS, key=lambda part: (-round(shares[part] - whole[part], 9), PARTS[::-1].index(part)))
    for part in order[: count - sum(whole.values())]:
        whole[part] += 1
    return whole


def deal(known: pd.DataFrame, fractions: Fractions, seed: int) -> "pd.Series[str]":
    """Deal the tiles of each class by ``fractions``; return the part of every tile.

    A class's split depends on its own tiles and the seed alone, so that tasks with other classes or labels
    agree on it.

    Raises:
        UserError: a class is too small to be in every part.
    """
    parts = pd.Series("", index=known.index, dtype="str")
    for name, group in known.groupby("class"):
        counts = sizes(len(group), fractions)
        if min(counts.values()) < 1:
            raise UserError(
                f"the class {name!r} has {len(group)} tiles, too small to be split into "
                f"{' / '.join(str(counts[part]) for part in PARTS)}: add tiles, leave the class out of the "
                "mapping, or change split.fractions"
            )
        key = int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "big")
        order = np.random.default_rng([seed, key]).permutation(len(group))
        by_name = group.sort_values("file").index.to_numpy()[order]
        for part, chosen in zip(PARTS, np.split(by_name, np.cumsum([counts["train"], counts["val"]])), strict=True):
            parts.loc[chosen] = part
    return parts
