"""Explanations: what the network looks at, where it errs, what it finds alike, which labels it doubts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from landuse.core.files import write_csv
from landuse.core.paths import PLOTS
from landuse.model.classifier import Classifier
from landuse.report.explain import embedding, galleries, suspects
from landuse.report.gallery import Gallery
from landuse.tiles.store import TileStore


@dataclass(frozen=True)
class Explanation:
    """embedding: as in plots/embedding.csv. suspects: as in plots/suspects.csv."""

    galleries: tuple[Gallery, ...]
    embedding: pd.DataFrame
    suspects: pd.DataFrame


def write(
    store: TileStore,
    model: Classifier,
    tiles: pd.DataFrame,
    probabilities: npt.NDArray[np.float64],
    features: npt.NDArray[np.float32],
    names: list[str],
    seed: int,
    folder: Path = PLOTS,
) -> Explanation:
    """Explain the predictions; write embedding.csv and suspects.csv.

    tiles: the validation and test rows of the split table, of which the model has learnt nothing.
    probabilities: (n, classes), calibrated, and features: (n, F), of these tiles. names: of the labels.
    """
    tiles = tiles.reset_index(drop=True)
    doubted = suspects.find(tiles, probabilities, names)
    places = embedding.embed(tiles, probabilities, features, names, seed)
    write_csv(folder / "suspects.csv", doubted)
    write_csv(folder / "embedding.csv", places)
    return Explanation(galleries.build(store, model, tiles, probabilities, names, doubted), places, doubted)
