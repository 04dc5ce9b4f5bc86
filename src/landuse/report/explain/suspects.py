"""Suspected label errors: confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068)."""

import numpy as np
import pandas as pd

from landuse.core.arrays import Floats, Ints


def find(tiles: pd.DataFrame, probabilities: Floats, names: list[str]) -> pd.DataFrame:
    """Rank the tiles whose label is probably wrong, the likeliest first. They are for a person to look at.

    A tile is suspected where the probability of another label reaches what is usual for the tiles of that label.
    Many are right after all: docs/uncertainty.md says how many people confirmed elsewhere.

    tiles: rows of the split table that the model did not learn from. probabilities: (n, classes) of them.

    Returns:
        The suspected rows of ``tiles``, with their index: file, class, label, suggested, and score: how sure the
        model is of the label, the normalised margin from 0 (the label is surely wrong) to 1.
    """
    from cleanlab.filter import find_label_issues  # seconds, of stages that import this module too
    from cleanlab.rank import get_label_quality_scores

    targets = tiles["target"].to_numpy(dtype=np.int64)
    ranked: Ints = np.zeros(0, np.int64)
    if len(np.unique(targets)) > 1:  # else there is no other label to suggest, and cleanlab refuses
        ranked = find_label_issues(
            targets,
            probabilities,
            filter_by="confident_learning",  # the others warn of labels with few tiles, or leave them out
            return_indices_ranked_by="normalized_margin",
            n_jobs=1,
        )
    scores = get_label_quality_scores(targets, probabilities, method="normalized_margin")
    found = tiles.iloc[ranked][["file", "class", "label"]]
    return found.assign(
        suggested=np.take(names, probabilities[ranked].argmax(axis=1)).astype(object), score=scores[ranked]
    )
