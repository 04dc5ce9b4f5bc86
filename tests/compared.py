"""Results to compare that no pipeline has made."""

import numpy as np
import pandas as pd

from landuse.comparison.experiments import Experiment, Files
from landuse.comparison.groups import Group
from landuse.comparison.predictions import Predictions

LABELS = ("City", "Farmland")


def experiment(name: str = "main", seed: int = 1, fold: str = "", accuracy: float = 0.9, **settings: str) -> Experiment:
    """One of two labels; settings are given with double underscores for dots."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    band = {
        "band_statistics.macro_f1": 0.7,
        "band_statistics.macro_f1.low": 0.68,
        "band_statistics.macro_f1.high": 0.72,
    }
    band |= {key.replace("macro_f1", "accuracy"): value for key, value in band.items()}
    ends = {f"{metric}{end}": accuracy + by for metric in ("accuracy", "macro_f1") for end, by in
            (("", 0.0), (".low", -0.01), (".high", 0.01))}  # fmt: skip
    return made(name, seed, fold, dotted, ends | band | {"val_macro_f1": accuracy})


def made(name: str, seed: int, fold: str, settings: dict[str, str], metrics: dict[str, float]) -> Experiment:
    """An experiment that holds no files."""
    return Experiment(name, str(seed), fold, settings, metrics, Files(lambda _: None, lambda _: None))


def predictions(
    right: list[int] | np.ndarray, sure: float = 0.9, labels: tuple[str, ...] = LABELS, of: Experiment | None = None
) -> Predictions:
    """Of two labels that take turns: whether each is predicted right, and how surely."""
    truth = np.arange(len(right)) % 2
    predicted = np.where(np.asarray(right, bool), truth, 1 - truth)
    probabilities = np.where(np.eye(2, dtype=bool)[predicted], sure, 1 - sure)
    files = [f"{labels[i]}/{n}.jpg" for n, i in enumerate(truth)]
    tiles = pd.DataFrame({"file": files, "class": np.take(labels, truth)}, index=[f"{n:05}" for n in range(len(truth))])
    return Predictions(of or experiment(), tiles, labels, truth, predicted, probabilities)


def settings_group(name: str, skills: list[float], tiles: int = 1000, **settings: str) -> Group:
    """A group of one seed a skill: the share of tiles that it gets right."""
    rights = [np.random.default_rng([3, i]).random(tiles) < skill for i, skill in enumerate(skills)]
    members = [experiment(f"{name}-{i}", i, accuracy=float(np.mean(r)), **settings) for i, r in enumerate(rights)]
    return Group(name, tuple(members), tuple(map(predictions, rights)))
