"""What a model says of tiles, as arrays: any model that yields logits and features can stand behind them."""

import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from landuse.core.files import atomic
from landuse.core.outputs import damaged, read_bytes

PARTS = ("val", "test", "aside")  # of the split, each in a file
_MAY_LACK = "reconstruction"
_DTYPES = {"rows": np.int64, "targets": np.int64}  # the others are float32


@dataclass(frozen=True)
class Answers:
    """Answers to n tiles of one part of the split.

    rows: (n,) int64 rows of the tile store. targets: (n,) int64 labels, -1 where a tile has none. logits: (n, members,
    views, classes) float32. features: (n, F) float32 of the first member's last stage, pooled. statistics: (n, G)
    float32 means and deviations of its maps at the end of ``layer2``, of length 1, and of ``layer3``, of length 0.7;
    the features where it cannot be divided there.
    reconstruction: (n,) float32 mean squared errors of the autoencoder that its training began with, if it did.
    """

    rows: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    logits: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    statistics: npt.NDArray[np.float32]
    reconstruction: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def pooled(self, members: slice = slice(None), views: slice = slice(None)) -> npt.NDArray[np.float32]:
        """(n, classes) logits of all answers as one, or of some: ``members=slice(1)`` is the first network alone."""
        from scipy.special import logsumexp  # whoever uses a model has no SciPy

        pooled: npt.NDArray[np.float32] = pool(self.logits[:, members, views], logsumexp)
        return pooled

    def save(self, path: Path) -> None:
        """Write a NumPy archive; the same answers give the same bytes."""
        with atomic(path) as part, part.open("wb") as file:
            np.savez(file, **{name: array for name, array in vars(self).items() if array is not None})

    @classmethod
    def load(cls, path: Path, tiles: int) -> Self:
        """Read what ``save`` wrote of so many tiles; raises UserError where it is missing, damaged, or of others."""
        stage = "evaluate"
        content = io.BytesIO(read_bytes(path, stage))
        try:
            with np.load(content, allow_pickle=False) as found:
                names = [field.name for field in fields(cls) if field.name != _MAY_LACK or _MAY_LACK in found]
                answers = cls(**{name: found[name] for name in names})
        except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise damaged(path, stage, error) from None
        if fault := answers._fault(tiles):
            raise damaged(path, stage, fault)
        return answers

    def _fault(self, tiles: int) -> str | None:
        dimensions = {"rows": 1, "targets": 1, "logits": 4, "features": 2, "statistics": 2}
        if self.reconstruction is not None:
            dimensions[_MAY_LACK] = 1
        for name, count in dimensions.items():
            array: npt.NDArray[Any] = getattr(self, name)
            if array.ndim != count or array.dtype != _DTYPES.get(name, np.float32) or len(array) != len(self.rows):
                return f"its {name} are {array.shape} {array.dtype}"
        if not len(self) or self.rows.min() < 0 or self.rows.max() >= tiles:
            return "its answers are not to the tiles in data/tiles"
        if not -1 <= self.targets.min() <= self.targets.max() < self.logits.shape[-1]:
            return "it names labels that it has no logits of"
        return None


def pool(logits: Any, logsumexp: Callable[..., Any]) -> Any:
    """(n, members, views, classes) logits -> (n, classes) whose softmax is the mean probability.

    That is the answer of an ensemble (Lakshminarayanan et al. 2017), as logits so that a temperature can divide it once
    pooled (Rahaman and Thiery 2021). A lone answer stays as it is. Probabilities leave a constant of each tile open: it
    is chosen so that ``logsumexp`` of the result, the energy score of Liu et al. 2020, is the mean over the answers.

    logsumexp: of the library that the logits are an array of, scipy.special or torch.
    """
    count, members, views, classes = logits.shape
    each = logits.reshape(count, members * views, classes)
    if members * views == 1:
        return each[:, 0]
    energy = logsumexp(each, axis=2, keepdims=True)
    return logsumexp(each - energy, axis=1) - math.log(members * views) + energy.mean(1)
