"""Maps of the features: tiles that the network finds alike lie close together."""

from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from landuse.report.figures import style

# Paul Tol's bright scheme and what his muted one has besides; further classes take them again: names are in the picture
_COLOURS = [*style.BRIGHT[:6], "#332288", "#999933", "#882255", "#44aa99"]


def embedding(table: pd.DataFrame, tiles: int) -> Figure:
    """t-SNE by class, by split and with the errors; and PCA by class.

    table: plots/embedding.csv; tiles: how many were chosen from.
    """
    figure = style.new(style.WIDE, 11.0)
    by_class, errors, by_split, pca = figure.subplots(2, 2).flat
    _by_class(by_class, table, "tsne")
    _by_class(pca, table, "pca")
    for split, colour in zip(table["split"].unique(), (style.CYAN, style.BLUE), strict=False):
        own = table[table["split"] == split]
        _scatter(by_split, own, "tsne", colour, label=f"{split}: {len(own):,}")
    wrong = table[~table["correct"]]
    _scatter(errors, table[table["correct"]], "tsne", "#d5d9de")
    told = [f"{row.file}: {row.label} → {row.prediction}, {row.split}" for row in wrong.itertuples()]
    dots = errors.scatter(wrong["tsne_x"], wrong["tsne_y"], s=26, color=style.RED, label=f"wrong: {len(wrong):,}")
    style.hover(dots, told)
    of = f"{len(table):,} tiles" if len(table) == tiles else f"{len(table):,} of {tiles:,} tiles"
    if table["class"].nunique() <= len(_COLOURS):
        figure.legend(*by_class.get_legend_handles_labels(), loc="outside lower center", ncols=5, markerscale=2)
    titles = {
        by_class: f"t-SNE by class ({of})",
        errors: "t-SNE: errors",
        by_split: "t-SNE by split",
        pca: "PCA by class, in the same colours",
    }
    for axis, title in titles.items():
        axis.set(xticks=[], yticks=[], title=title)
        axis.spines[:].set(visible=True, color="#dfe4ea")
        if axis in (errors, by_split) and axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper left", markerscale=1.5)
    return figure


def _by_class(axis: Axes, table: pd.DataFrame, map_: str) -> None:
    colours = dict(zip(sorted(table["class"].unique()), cycle(_COLOURS), strict=False))
    _scatter(axis, table, map_, table["class"].map(colours))
    for name, colour in colours.items():
        axis.scatter([], [], s=11, color=colour, label=str(name))
    if map_ == "pca":  # the classes lie over each other there; the colours are those of the map by t-SNE
        return
    for name, own in table.groupby("class"):
        x, y = own[[f"{map_}_x", f"{map_}_y"]].median()
        size = 9 if len(colours) <= 12 else 6
        ground = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 1}
        axis.text(x, y, str(name), size=size, weight="bold", ha="center", va="center", bbox=ground)


def _scatter(axis: Axes, table: pd.DataFrame, map_: str, colours: Any, label: str | None = None) -> None:
    """As pixels within the page, one picture for all points: thousands of shapes make it slow."""
    x, y = table[f"{map_}_x"], table[f"{map_}_y"]
    axis.scatter(x, y, s=11, c=colours, linewidths=0, alpha=0.8, rasterized=True, label=label)
