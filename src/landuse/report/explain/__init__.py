"""Explanations: what the network looks at, where it errs, what it finds alike, which labels it doubts."""

from pathlib import Path

import numpy as np
import pandas as pd

from landuse.core.arrays import Floats, Floats32
from landuse.core.files import write_csv
from landuse.core.paths import PLOTS
from landuse.model.classifier import Classifier
from landuse.report.explain import embedding, galleries, suspects
from landuse.report.inputs import Explained
from landuse.tiles.store import TileStore


def write(
    store: TileStore,
    model: Classifier,
    tiles: pd.DataFrame,
    probabilities: Floats,
    features: Floats32,
    names: list[str],
    seed: int,
    folder: Path = PLOTS,
) -> Explained:
    """Explain the predictions; write embedding.csv and suspects.csv.

    tiles: the validation and test rows of the split table, of which the model has learnt nothing.
    probabilities: (n, classes), calibrated, and features: (n, F), of these tiles. names: of the labels.
    """
    tiles = tiles.reset_index(drop=True)
    pairs = tiles["target"].to_numpy() * len(names) + probabilities.argmax(axis=1)
    confusion = np.bincount(pairs[tiles["split"] == "test"], minlength=len(names) ** 2).reshape(2 * [len(names)])
    doubted = suspects.find(tiles, probabilities, names)
    places = embedding.embed(tiles, probabilities, features, names, seed)
    write_csv(folder / "suspects.csv", doubted)
    write_csv(folder / "embedding.csv", places)
    shown = galleries.build(store, model, tiles, probabilities, names, doubted)
    return Explained(confusion, places, doubted, shown, len(tiles))
