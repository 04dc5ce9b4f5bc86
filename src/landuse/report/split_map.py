"""A picture of where the parts lie: all tiles, the closest neighbourhood, and how far the test is from training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.spatial import KDTree

from landuse.core.geography import DEGREE_KM, EARTH_KM, NEAR_KM, PLACE, TILE_KM, on_the_sphere, placed

_COLOURS = {"train": "#4477aa", "val": "#ccbb44", "test": "#ee6677", "buffer": "#aa3377"}  # Paul Tol's bright scheme
_NAMES = {"train": "training", "val": "validation", "test": "test", "buffer": "buffer, left out"}
_REST = "0.85"  # kept aside, unlisted, unused
_WINDOW_KM = 60.0  # largest side of the neighbourhood


def draw(tiles: pd.DataFrame, distances: Mapping[str, Any] | None) -> Figure:
    """Draw the map; without coordinates, a sentence that says so.

    tiles: column split, and latitude and longitude in degrees where known. distances: ``nearest_test_to_train_km`` of
    reports/split.json.
    """
    known = placed(tiles)
    if known.empty:
        figure = Figure(figsize=(6, 1.2), layout="constrained")
        figure.text(0.5, 0.5, "No map: the tiles have no coordinates.", ha="center", va="center", color="0.35")
        return figure
    figure = Figure(figsize=(11, 6), layout="constrained")
    axes = figure.subplot_mosaic([["map", "near"], ["map", "far"]], width_ratios=[1.4, 1])
    # in an order of chance, or the last part would hide the others
    mixed = known.iloc[np.random.default_rng(0).permutation(len(known))]
    _draw_map(axes["map"], mixed)
    _draw_neighbourhood(axes["near"], axes["map"], mixed)
    _draw_distance(axes["far"], distances)
    return figure


def _draw_map(axis: Axes, tiles: pd.DataFrame) -> None:
    _scatter(axis, tiles, float(np.clip(40_000 / len(tiles), 2, 40)))
    for part, name in _NAMES.items():
        count = (tiles["split"] == part).sum()
        if count:
            axis.scatter([], [], s=30, color=_COLOURS[part], label=f"{name}: {count:,}")
    rest = (~tiles["split"].isin(_COLOURS)).sum()
    if rest:
        axis.scatter([], [], s=30, color=_REST, label=f"not used: {rest:,}")
    axis.set_title("Where the parts lie", loc="left", fontsize=11)
    axis.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=5, handletextpad=0.2)


def _draw_neighbourhood(axis: Axes, whole: Axes, tiles: pd.DataFrame) -> None:
    """A window around the densest crowd of test tiles; the map shows where it is."""
    test = tiles[tiles["split"] == "test"]
    places = (tiles if test.empty else test)[PLACE]
    points, chord = on_the_sphere(places), 2 * np.sin(_WINDOW_KM / 2 / EARTH_KM / 2)
    tree = KDTree(points)
    densest = int(np.argmax(tree.query_ball_point(points, chord, return_length=True)))
    crowd = places.to_numpy()[tree.query_ball_point(points[densest], chord)]
    latitude, longitude = (crowd.min(axis=0) + crowd.max(axis=0)) / 2
    scale = DEGREE_KM * np.array([1.0, max(0.01, np.cos(np.radians(latitude)))])  # km of a degree, both ways
    side = float(np.clip(1.4 * (np.ptp(crowd, axis=0) * scale).max(), 5.0, _WINDOW_KM))
    height, width = side / scale
    south, west = latitude - height / 2, longitude - width / 2
    inside = tiles["latitude"].between(south, south + height) & tiles["longitude"].between(west, west + width)
    size = 190 * TILE_KM / side  # of a tile at the scale of the window, which is about 190 points wide
    _scatter(axis, tiles[inside], max(4.0, 0.95 * size) ** 2, marker="s")
    axis.set(xlim=(west, west + width), ylim=(south, south + height))
    axis.set_title(f"{side:.0f} km of it, where most test tiles are", loc="left", fontsize=11)
    whole.add_patch(Rectangle((west, south), width, height, fill=False, color="black", lw=1.2))


def _scatter(axis: Axes, tiles: pd.DataFrame, size: float, marker: str = "o") -> None:
    used = tiles["split"].isin(_COLOURS)
    for group, colours in ((tiles[~used], _REST), (tiles[used], tiles["split"][used].map(_COLOURS))):
        axis.scatter(group["longitude"], group["latitude"], s=size, c=colours, marker=marker, lw=0)
    axis.set_aspect(1 / max(0.01, np.cos(np.radians(tiles["latitude"].mean()))))
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{abs(x):g}°{'W' if x < 0 else 'E' if x else ''}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{abs(y):g}°{'S' if y < 0 else 'N' if y else ''}"))
    axis.grid(alpha=0.25)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, length=0)
    axis.spines[:].set_color("0.8")


def _draw_distance(axis: Axes, distances: Mapping[str, Any] | None) -> None:
    axis.set_title("From a test tile to the nearest training tile", loc="left", fontsize=11)
    axis.set(xscale="log", xlabel="km", ylabel="test tiles")
    if distances:
        histogram = distances["histogram"]
        edges = np.geomspace(histogram["low"], histogram["high"], len(histogram["tiles"]) + 1)
        axis.stairs(histogram["tiles"], edges, fill=True, color=_COLOURS["test"])
    else:
        axis.text(0.5, 0.5, "training or test has no coordinates", transform=axis.transAxes, ha="center", color="0.35")
    for km, name in ((TILE_KM, "640 m"), (NEAR_KM, "5 km")):
        axis.axvline(km, color="0.35", lw=1, ls="--")
        axis.text(km, 1.0, f" {name}", transform=axis.get_xaxis_transform(), fontsize=8, color="0.35", va="top")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
    axis.yaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
