"""Maps of the features: tiles that the network finds alike lie close together."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from landuse.core.arrays import Floats, Floats32

_TILES = 2000  # at most: t-SNE takes 5 s for them on one core, 15 s for 4,650
_COMPONENTS = 50  # of the features that t-SNE sees; the usual number (van der Maaten and Hinton 2008)
_PERPLEXITY = 30.0


def embed(tiles: pd.DataFrame, probabilities: Floats, features: Floats32, names: list[str], seed: int) -> pd.DataFrame:
    """Place at most 2,000 tiles on two maps, PCA and t-SNE, in the same proportions of split, class and errors.

    tiles: rows of the split table. probabilities: (n, classes), features: (n, F) of them.

    Returns:
        file, class, label, prediction, split, correct, pca_x, pca_y, tsne_x, tsne_y; without units. Of fewer than
        five tiles, or features all alike, t-SNE makes nothing: its map is PCA's.
    """
    predicted = probabilities.argmax(axis=1)
    table = tiles[["file", "class", "label", "split"]].reset_index(drop=True)
    table.insert(3, "prediction", np.take(names, predicted))
    table["correct"] = predicted == tiles["target"].to_numpy()
    order = table.sort_values(["split", "class", "correct", "file"]).index.to_numpy()
    if len(order) > _TILES:
        order = order[np.linspace(0, len(order) - 1, _TILES).round().astype(int)]  # systematic sampling
    chosen = np.sort(order)
    with threadpool_limits(1):  # OpenMP adds up what several threads of t-SNE found in no fixed order
        components = _components(features[chosen], seed)
        pca = tsne = components[:, :2]
        if len(components) >= 5 and components.any():
            perplexity = min(_PERPLEXITY, (len(components) - 1) / 3)  # it looks at three times as many neighbours
            tsne = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(components)
    places = {"pca_x": pca[:, 0], "pca_y": pca[:, 1], "tsne_x": tsne[:, 0], "tsne_y": tsne[:, 1]}
    return table.iloc[chosen].reset_index(drop=True).assign(**places)


def _components(features: Floats32, seed: int) -> Floats:
    """Principal components, (n, 2 to 50), centred; zero where there are none."""
    count = min(_COMPONENTS, *features.shape)
    found = np.zeros((len(features), max(2, count)))
    if np.ptp(features, axis=0).any():
        found[:, :count] = PCA(count, random_state=seed).fit_transform(features.astype(np.float64))
    return found
