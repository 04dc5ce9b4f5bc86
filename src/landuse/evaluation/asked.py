"""What the model says of the tiles of each part of the split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from landuse import params
from landuse.model.predict import pick_device
from landuse.prediction.members import Member
from landuse.prediction.predictor import Answers, Predictor, predict, stage_statistics
from landuse.tiles.store import TileStore

_ALL_VIEWS = 8
_STAGE: params.Freeze = "layer2"  # the last one has forgotten what tells a sea from a field, where neither is a label


@dataclass(frozen=True)
class Asked:
    """Tiles of one part, rows of the split table, and the answers to them.

    answers: of the test part with all views, to see what they gain; used: those of the views that the model uses.
    early: (n, F) means and deviations of the maps of a middle stage, or the pooled features where there is none.
    """

    tiles: pd.DataFrame
    answers: Answers
    used: Answers
    early: npt.NDArray[np.float32]

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """(n, classes), pooled over members and the views that the model uses; not scaled."""
        return self.used.logits()

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        targets: npt.NDArray[np.int64] = self.tiles["target"].to_numpy(dtype=np.int64, copy=True)
        return targets

    def coordinates(self, store: TileStore) -> npt.NDArray[np.float64] | None:
        """(n, 2) latitude and longitude in degrees, NaN where unknown; None where the store knows none."""
        if "latitude" not in store.index:
            return None
        places: npt.NDArray[np.float64] = store.index.loc[self.tiles["row"], ["latitude", "longitude"]].to_numpy()
        return places


def ask(part: str, found: Sequence[Member], store: TileStore, split: pd.DataFrame, settings: params.Evaluate) -> Asked:
    """Predict the tiles of a part: val, test or aside; of those aside ``evaluate.ood_tiles``, drawn with the seed."""
    tiles = split[split["split"] == part]
    if part == "aside" and len(tiles) > settings.ood_tiles:
        tiles = tiles.sample(settings.ood_tiles, random_state=settings.seed).sort_values("row")
    rows = tiles["row"].to_numpy(dtype=np.int64, copy=True)
    predictor = Predictor([member.model for member in found], _ALL_VIEWS if part == "test" else settings.views)
    device = pick_device()
    answers = predict(predictor, store.images, rows, device)
    used = Answers(answers.every[:, :, : settings.views], answers.features)
    early = stage_statistics(found[0].model, store.images, rows, _STAGE, device)
    return Asked(tiles.reset_index(drop=True), answers, used, answers.features if early is None else early)
