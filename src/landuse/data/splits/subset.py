"""``data.fraction``: how much do fewer labels cost? The smaller subsets lie within the larger ones."""

import numpy as np
import pandas as pd

from landuse.data.splits import stratified

_STREAM = 1  # of stratified.shuffled; a subset has nothing to do with the order in which the split was dealt


def keep(train: pd.DataFrame, fraction: float, seed: int) -> "pd.Index[int]":
    """Choose ``fraction`` of each label's training tiles, at least one; return their index.

    A label's tiles stand in a line in which its classes are spread evenly, so that any beginning holds them in
    their proportions; the fraction is its beginning. So 1 % is within 10 %, and a subset is stratified by label
    exactly and by class as far as whole tiles allow.

    Args:
        train: the training tiles: columns file, class and label.
        fraction: above 0; 1 keeps all.
        seed: of the order.
    """
    position = pd.Series(0.0, index=train.index)
    for _, group in train.groupby("class"):
        position.loc[stratified.shuffled(group, seed, _STREAM)] = (np.arange(len(group)) + 0.5) / len(group)
    line = train.assign(position=position).sort_values(["position", "file"])
    kept = [group.index[: max(1, round(fraction * len(group)))] for _, group in line.groupby("label")]
    return kept[0].append(kept[1:])
