"""Tiles of two or more labels, as the evaluate stage hands them to the explanations."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from landuse import sensors
from landuse.tiles.store import TileStore


@dataclass(frozen=True)
class Predicted:
    """Validation and test tiles with what a model makes of them."""

    store: TileStore
    tiles: pd.DataFrame
    probabilities: np.ndarray
    features: np.ndarray
    names: list[str]


def predict(count: int = 60, classes: int = 3, errors: int = 6, size: int = 16, bands: int = 3) -> Predicted:
    """Noise as tiles; every fifth is of the validation part; the first so many have a wrong prediction."""
    rng = np.random.default_rng(3)
    targets = np.arange(count) % classes
    names = [f"label{i:02}" for i in range(classes)]
    predicted = np.where(np.arange(count) < errors, (targets + 1) % classes, targets)
    scores = rng.normal(0, 0.3, (count, classes)) + 4 * np.eye(classes)[predicted] * rng.uniform(0.7, 1, (count, 1))
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    top, dtype = (255, np.uint8) if bands == 3 else (4000, np.uint16)
    images = rng.integers(0, top, (count + 7, size, size, bands)).astype(dtype)
    tiles = pd.DataFrame({"row": np.arange(count) + 7, "target": targets, "label": np.take(names, targets)})
    tiles["class"] = tiles["label"]
    tiles["file"] = tiles["class"] + "/" + tiles["row"].astype(str) + ".jpg"
    tiles["split"] = np.where(np.arange(count) % 5 == 4, "val", "test")
    features = (rng.normal(0, 1, (count, 20)) + 5 * np.eye(20)[predicted % 20]).astype(np.float32)
    info = {"bands": list(sensors.RGB if bands == 3 else sensors.BANDS)}
    return Predicted(TileStore(images, tiles, info), tiles, probabilities, features, names)


@pytest.fixture(scope="session")
def predicted() -> Callable[..., Predicted]:
    return predict
