"""Predictions of experiments, from DVC's cache, with what tells whether two were made for the same test tiles."""

import hashlib
import io
import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from dvc.repo import Repo

from landuse.comparison.experiments import PREDICTIONS, TILES, Experiment, cached


class Unreadable(Exception):
    """What an experiment made is not in DVC's cache, or holds no numbers. The message says what, and what to do."""


@dataclass(frozen=True)
class Predictions:
    """Labels of the test tiles, in the order of the tiles' digests.

    tiles: file and original class of each, by the SHA-256 of its content. labels: in alphabetical order. truth,
    predicted: (n,) positions in ``labels``. probabilities: (n, labels).
    """

    tiles: pd.DataFrame
    labels: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    probabilities: npt.NDArray[np.float64]

    @property
    def task(self) -> tuple[object, ...]:
        """Equal for predictions that can be compared: same tiles, same labels, same truth."""
        return tuple(self.tiles.index), self.labels, self.truth.tobytes()

    @property
    def losses(self) -> npt.NDArray[np.float64]:
        """(n,) negative log-likelihood of the truth, in nats; a probability of 0 counts as 2e-16, as scikit-learn's."""
        of_truth = self.probabilities[np.arange(len(self.truth)), self.truth]
        losses: npt.NDArray[np.float64] = -np.log(np.maximum(of_truth, np.finfo(np.float64).eps))
        return losses


class Reader:
    """Reads from DVC's cache. Tiles are known by content: another seed of the sample has the same names."""

    def __init__(self, repo: Repo) -> None:
        self._repo = repo
        self._digests = cache(self._read_digests)

    def read(self, experiment: Experiment) -> Predictions:
        """Read an experiment's predictions.

        Raises:
            Unreadable: they, or the list of its tiles, are not in the cache, or a probability is not a number.
        """
        table = self._table(experiment.predictions, PREDICTIONS)
        table["tile"] = self._digests(experiment.tiles).loc[table["row"].astype(int)].to_numpy()
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
        return Predictions(
            table[["file", "class"]],
            labels,
            np.searchsorted(labels, table["truth"].to_numpy(str)),
            np.searchsorted(labels, table["prediction"].to_numpy(str)),
            probabilities,
        )

    def _read_digests(self, folder: str) -> "pd.Series[str]":
        """SHA-256 of every tile, by row. folder: DVC's digest of ``data/tiles``."""
        listed: list[dict[str, Any]] = json.loads(self._bytes(folder, TILES))
        index = next(each["md5"] for each in listed if each["relpath"] == "index.csv")
        table = self._table(index, f"{TILES}/index.csv")
        return table.set_index(table["row"].astype(int))["sha256"]

    def _table(self, digest: str, path: str) -> pd.DataFrame:
        return pd.read_csv(io.BytesIO(self._bytes(digest, path)), dtype=str, keep_default_na=False)

    def _bytes(self, digest: str, path: str) -> bytes:
        content = cached(self._repo, digest)
        if content is None:
            raise Unreadable(f"{path} is not in DVC's cache (try dvc pull)")
        if hashlib.md5(content).hexdigest() != digest.partition(".")[0]:  # by which DVC knows it
            file = self._repo.cache.local.oid_to_path(digest)
            raise Unreadable(f"{path} is damaged in DVC's cache: remove {file}, then try dvc pull or dvc repro -f")
        return content
