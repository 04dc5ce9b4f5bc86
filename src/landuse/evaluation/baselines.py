"""Two baselines that any network has to beat."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from landuse.errors import UserError
from landuse.tiles import TileStore

_CHUNK = 256  # tiles whose statistics are computed at a time: bounds the memory


def majority(train: pd.DataFrame, test: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Predict the commonest label of the training tiles for every test tile, (n,)."""
    return np.full(len(test), int(train["target"].mode().iloc[0]), dtype=np.int64)


def band_statistics(store: TileStore, train: pd.DataFrame, test: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Predict by logistic regression on each tile's band means and deviations, (n,); it sees no structure.

    Raises:
        UserError: the training tiles have one label only.
    """
    if train["target"].nunique() < 2:
        raise UserError("the training tiles in data/split.csv have one label only: run 'dvc repro split' to restore it")
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(_statistics(store.images, train["row"].to_numpy()), train["target"].to_numpy())
    predicted: npt.NDArray[np.int64] = model.predict(_statistics(store.images, test["row"].to_numpy()))
    return predicted


def _statistics(images: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(n, 2 C): mean and standard deviation of every band."""
    parts = []
    for start in range(0, len(rows), _CHUNK):
        pixels = images[rows[start : start + _CHUNK]].astype(np.float32)
        parts.append(np.concatenate([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))], axis=1))
    return np.concatenate(parts).astype(np.float64)
