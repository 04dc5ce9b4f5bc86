"""How strange a tile is: the distance to the nearest reference tiles, in the features of middle stages."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from landuse.core.errors import UserError
from landuse.spec.model import ModelSpec
from landuse.spec.neighbours import distances

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reference:
    """Validation tiles of known labels: (n, F) features of length 1, and what is made of distances to them."""

    features: Floats
    neighbours: int
    limit: float  # distance under which 95 % of the validation tiles stay

    @classmethod
    def read(cls, path: Path, spec: ModelSpec) -> Self | None:
        """Read reference.npz; None where the model has no such score.

        Raises:
            UserError: it is missing or damaged.
        """
        if spec.ood is None:
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
                features = found["features"].astype(np.float32)
            if features.ndim != 2 or not features.size or not np.isfinite(features).all():
                raise ValueError(f"its features are {features.shape}, or not all of them are finite")
        except FileNotFoundError:
            raise UserError(f"no {path}: copy the whole folder that 'dvc repro export' made") from None
        except (ValueError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{path} is damaged ({error}): copy it again") from None
        return cls(features, spec.ood.neighbours, spec.ood.limit)

    def score(self, features: Floats) -> Floats:
        """(n, F) -> (n,) distance to the k-th nearest of the reference tiles (Sun et al. 2022), by the limit."""
        return distances(features, self.features, self.neighbours) / np.float32(self.limit)
