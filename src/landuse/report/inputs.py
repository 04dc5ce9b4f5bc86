"""What a report is made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from landuse.report.gallery import Gallery

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Inputs:
    """Everything but the first three may be absent; the page then says so, or leaves it out.

    metrics: reports/evaluate.json; sections that are missing or null count as absent. spec: model.json.
    data: dataset.json. split, train, collapse: the JSON files of those names. history: history.csv.
    confusion: (labels, labels) counts, rows are the truth, in the order of the model's classes.
    roc (fpr, tpr), pr (recall, precision), reliability, abstention, embedding, suspects: the tables under ``plots/``.
    split_map: a PNG.
    """

    metrics: Facts
    spec: Facts
    data: Facts
    split: Facts | None = None
    train: Facts | None = None
    collapse: Facts | None = None
    history: pd.DataFrame | None = None
    confusion: npt.NDArray[np.int64] | None = None
    roc: pd.DataFrame | None = None
    pr: pd.DataFrame | None = None
    reliability: pd.DataFrame | None = None
    abstention: pd.DataFrame | None = None
    embedding: pd.DataFrame | None = None
    suspects: pd.DataFrame | None = None
    galleries: tuple[Gallery, ...] = ()
    split_map: bytes | None = None

    @property
    def names(self) -> list[str]:
        """The labels, in the order of the targets."""
        return list(self.spec["classes"])

    def found(self, section: str) -> Facts | None:
        """A section of evaluate.json, or None."""
        return self.metrics.get(section) or None


def filled(table: pd.DataFrame | None) -> bool:
    """Whether there is a table with rows."""
    return table is not None and not table.empty
