"""Two baselines that any network has to beat."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from landuse.core.errors import UserError

_CHUNK = 32  # tiles whose statistics are computed at a time: they fit the processor's cache


def majority(train: pd.DataFrame, test: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Predict the commonest label of the training tiles for every test tile, (n,)."""
    return np.full(len(test), int(train["target"].mode().iloc[0]), dtype=np.int64)


def band_statistics(images: npt.NDArray[Any], train: pd.DataFrame, test: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Predict by logistic regression on each tile's band means and deviations, (n,); it sees no structure.

    images: (N, H, W, C) of the whole store. train, test: their ``row`` and ``target``; of one label only: UserError.
    """
    if train["target"].nunique() < 2:
        raise UserError("the training tiles in data/split.csv have one label only: run 'dvc repro split' to restore it")
    model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky"))
    model.fit(_statistics(images, train["row"].to_numpy()), train["target"].to_numpy())
    predicted: npt.NDArray[np.int64] = model.predict(_statistics(images, test["row"].to_numpy()))
    return predicted


def _statistics(images: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(n, 2 C): mean and standard deviation of every band."""
    parts = []
    for start in range(0, len(rows), _CHUNK):
        tiles = images[rows[start : start + _CHUNK]]
        # bands apart, in one piece each: ten times faster than sums over every third value
        bands = np.ascontiguousarray(tiles.reshape(len(tiles), -1, tiles.shape[-1]).swapaxes(1, 2)).astype(np.float32)
        parts.append(np.concatenate([bands.mean(axis=2), bands.std(axis=2)], axis=1))
    return np.concatenate(parts).astype(np.float64)
