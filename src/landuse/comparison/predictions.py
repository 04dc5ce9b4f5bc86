"""Predictions of an experiment, with what tells whether two were made for the same test tiles."""

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from landuse.comparison.experiments import PREDICTIONS, TILES, Experiment, Unreadable
from landuse.core.arrays import Flags, Floats, Ints


@dataclass(frozen=True)
class Predictions:
    """What an experiment says of its test tiles, in the order of the tiles' digests.

    tiles: file and original class of each, by the SHA-256 of its content. labels: in alphabetical order. truth,
    predicted: (n,) positions in ``labels``. probabilities: (n, labels).
    """

    experiment: Experiment
    tiles: pd.DataFrame
    labels: tuple[str, ...]
    truth: Ints
    predicted: Ints
    probabilities: Floats

    @property
    def name(self) -> str:
        """As the user gave it."""
        return self.experiment.name

    @property
    def metrics(self) -> dict[str, float]:
        """``accuracy`` and ``macro_f1`` as fractions, ``nll`` in nats."""
        measured = {name: self.experiment.metrics[name] for name in ("accuracy", "macro_f1")}
        return measured | {"nll": float(self.losses.mean())}

    @property
    def task(self) -> tuple[object, ...]:
        """Equal for predictions that can be compared: same tiles, same labels, same truth."""
        return tuple(self.tiles.index), self.labels, self.truth.tobytes()

    @property
    def right(self) -> Flags:
        """(n,) whether a tile's label is the true one."""
        right: Flags = self.predicted == self.truth
        return right

    @property
    def losses(self) -> Floats:
        """(n,) negative log-likelihood of the truth, in nats; a probability of 0 counts as 2e-16, as scikit-learn's."""
        of_truth = self.probabilities[np.arange(len(self.truth)), self.truth]
        losses: Floats = -np.log(np.maximum(of_truth, np.finfo(np.float64).eps))
        return losses


def read(experiment: Experiment) -> Predictions:
    """Read an experiment's predictions. Tiles are known by content: another seed of the sample has the same names.

    Raises Unreadable: they, or the list of its tiles, are not in DVC's cache, or a probability is not a number.
    """
    digests, table = _digests(experiment.files.read(TILES)), _table(experiment.files.read(PREDICTIONS))
    table["tile"] = digests.loc[table["row"].astype(int)].to_numpy()
    table = table.sort_values("tile").set_index("tile")
    labels = tuple(sorted(name.removeprefix("p_") for name in map(str, table) if name.startswith("p_")))
    columns = table[[f"p_{label}" for label in labels]]
    probabilities = columns.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    bad = ~np.isfinite(probabilities).all(axis=1)
    if bad.any():
        raise Unreadable(
            f"{PREDICTIONS} holds probabilities that are not numbers, {bad.sum():,} of {len(table):,} rows, "
            f"{table['file'].iloc[bad.argmax()]} among them (dvc repro -f evaluate)"
        )
    truth, predicted = (np.searchsorted(labels, table[name].to_numpy(str)) for name in ("truth", "prediction"))
    return Predictions(experiment, table[["file", "class"]], labels, truth, predicted, probabilities)


@lru_cache(maxsize=4)
def _digests(index: bytes) -> "pd.Series[str]":
    """SHA-256 of every tile, by row; most experiments share one index."""
    table = _table(index)
    return table.set_index(table["row"].astype(int))["sha256"]


def _table(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
