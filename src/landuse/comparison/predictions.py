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

from landuse.comparison.experiments import PREDICTIONS, TILES, Experiment


class NotInCache(Exception):
    """What an experiment made is not in DVC's cache."""


@dataclass(frozen=True)
class Predictions:
    """Labels of the test tiles, in the order of the tiles' digests.

    tiles: a digest of the test tiles' content. labels: in alphabetical order. truth, predicted: (n,) positions in
    ``labels``.
    """

    tiles: str
    labels: tuple[str, ...]
    truth: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]

    @property
    def task(self) -> tuple[object, ...]:
        """Equal for predictions that can be compared: same tiles, same labels, same truth."""
        return self.tiles, self.labels, self.truth.tobytes()


class Reader:
    """Reads from DVC's cache. Tiles are known by content: another seed of the sample has the same names."""

    def __init__(self, repo: Repo) -> None:
        self._cache = repo.cache.local
        self._digests = cache(self._read_digests)

    def read(self, experiment: Experiment) -> Predictions:
        """Read an experiment's predictions.

        Raises:
            NotInCache: they, or the list of its tiles, are not there.
        """
        table = self._table(experiment.predictions, PREDICTIONS)
        table["tile"] = self._digests(experiment.tiles).loc[table["row"].astype(int)].to_numpy()
        table = table.sort_values("tile")
        labels = tuple(sorted(name.removeprefix("p_") for name in map(str, table) if name.startswith("p_")))
        return Predictions(
            hashlib.sha256("\n".join(table["tile"]).encode()).hexdigest(),
            labels,
            np.searchsorted(labels, table["truth"].to_numpy(str)),
            np.searchsorted(labels, table["prediction"].to_numpy(str)),
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
        file = self._cache.oid_to_path(digest)
        if not self._cache.fs.exists(file):
            raise NotInCache(f"{path} is not in DVC's cache")
        content: bytes = self._cache.fs.cat_file(file)
        return content
