"""Maps of the features: tiles that the network finds alike lie close together."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import patheffects
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from landuse.core.files import atomic

_TILES = 2000  # at most: t-SNE takes 5 s for them on one core, 15 s for 4,650
_COMPONENTS = 50  # of the features that t-SNE sees; the usual number (van der Maaten and Hinton 2008)
_PERPLEXITY = 30.0
# Paul Tol's muted scheme and a grey; further classes take them again: their names are in the picture
_COLOURS = [
    "#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499", "#777777",
]  # fmt: skip

_Points = npt.NDArray[np.float64]


def embed(
    tiles: pd.DataFrame,
    probabilities: npt.NDArray[np.float64],
    features: npt.NDArray[np.float32],
    names: list[str],
    seed: int,
) -> pd.DataFrame:
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
        pca, tsne = components[:, :2], _tsne(components, seed)
    places = {"pca_x": pca[:, 0], "pca_y": pca[:, 1], "tsne_x": tsne[:, 0], "tsne_y": tsne[:, 1]}
    return table.iloc[chosen].reset_index(drop=True).assign(**places)


def _components(features: npt.NDArray[np.float32], seed: int) -> _Points:
    """Principal components, (n, 2 to 50), centred; zero where there are none."""
    count = min(_COMPONENTS, *features.shape)
    found = np.zeros((len(features), max(2, count)))
    if np.ptp(features, axis=0).any():
        found[:, :count] = PCA(count, random_state=seed).fit_transform(features.astype(np.float64))
    return found


def _tsne(components: _Points, seed: int) -> _Points:
    if len(components) < 5 or not components.any():
        return components[:, :2]
    perplexity = min(_PERPLEXITY, (len(components) - 1) / 3)  # it looks at three times as many neighbours
    places: _Points = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(components)
    return places


def draw(table: pd.DataFrame, tiles: int, path: Path) -> None:
    """Draw the t-SNE map three times: by class, by split, and with the errors. tiles: how many were chosen from."""
    figure, (by_class, by_split, errors) = plt.subplots(1, 3, figsize=(16.5, 6), layout="constrained")
    classes = sorted(table["class"].unique())
    for i, name in enumerate(classes):
        _scatter(by_class, table[table["class"] == name], _COLOURS[i % len(_COLOURS)])
    size = 9 if len(classes) <= 12 else 6
    for name in classes:
        middle = table.loc[table["class"] == name, ["tsne_x", "tsne_y"]].median()
        text = by_class.text(*middle, name, size=size, weight="bold", color="0.15", ha="center", parse_math=False)
        text.set_path_effects([patheffects.withStroke(linewidth=3, foreground="white")])
    for split, colour in (("val", "#66ccee"), ("test", "#4477aa")):
        own = table[table["split"] == split]
        _scatter(by_split, own, colour, label=f"{split}: {len(own):,}")
    wrong = table[~table["correct"]]
    _scatter(errors, table[table["correct"]], "#dddddd")
    _scatter(errors, wrong, "#cc3311", s=22, label=f"wrong prediction: {len(wrong):,}")
    of = f"{len(table):,} tiles" if len(table) == tiles else f"{len(table):,} of {tiles:,} tiles"
    for axis, title in (
        (by_class, f"t-SNE of the features, by class ({of})"),
        (by_split, "by split"),
        (errors, "errors"),
    ):
        axis.set_title(title, loc="left", fontsize=11)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_color("0.85")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(edgecolor="none", fontsize=9, loc="upper left", markerscale=1.5)
    with atomic(path) as part:
        figure.savefig(part, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)


def _scatter(axis: Axes, table: pd.DataFrame, colour: str, s: float = 9, **kwargs: Any) -> None:
    axis.scatter(table["tsne_x"], table["tsne_y"], s=s, color=colour, linewidths=0, alpha=0.8, **kwargs)
