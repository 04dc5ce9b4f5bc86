"""The first half of the stage evaluate: what the model says of the tiles that it has not learnt from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from landuse import params, tracking
from landuse.core.errors import UserError
from landuse.core.files import atomic, write_json
from landuse.core.paths import ANSWERS
from landuse.model import baselines, saved
from landuse.model.batches import pick_device
from landuse.prediction import importance, members
from landuse.prediction.predictor import predict, reconstruction_errors
from landuse.spec import answers
from landuse.spec.model import ModelSpec
from landuse.tiles.split import labels_of, read_split
from landuse.tiles.store import TileStore, open_store

_ALL_VIEWS = 8
_ASKED = 1000  # test tiles by which the gain of more views is measured


def run(p: params.Params, folder: Path = ANSWERS) -> TileStore:
    """Write the answers of the model, or ensemble, to the tiles of val, test and aside, and those of the baselines.

    Of other bands than RGB also the answers to permuted ones.

    Returns the tiles. Raises UserError where inputs are missing, a part has no tile, or the model is not of these tiles
    or answers no numbers.
    """
    store = open_store()
    split = read_split(store)
    for part in ("val", "test"):
        if not (split["split"] == part).any():
            raise UserError(f"the {part} split has no tile: change split.fractions or split.method")
    loaded = members.load(p.ensemble.members)
    members.refuse_other_tiles(loaded[0].spec, labels_of(split), store.info)
    tracking.check("evaluate")
    networks, device, own = [member.model for member in loaded], pick_device(), loaded[0].spec
    autoencoder = saved.load_autoencoder(own) if own.weights == "autoencoder" else None

    def write(path: Path, tiles: pd.DataFrame, views: int) -> None:
        rows, targets = (tiles[column].to_numpy(dtype=np.int64, copy=True) for column in ("row", "target"))
        found = predict(networks, views, store.images, rows, targets, device, path.stem)
        arrays = [found.logits, found.features, found.statistics]
        if autoencoder:
            arrays.append(reconstruction_errors(autoencoder, networks[0], found, store.images, device))
            found = replace(found, reconstruction=arrays[-1])
        if not all(np.isfinite(array).all() for array in arrays):
            raise UserError("the model predicts values that are not numbers: train it again with a lower train.lr")
        found.save(path)

    with atomic(folder) as made:
        made.mkdir()
        for part in answers.PARTS:
            tiles = split[split["split"] == part]
            if part == "aside":
                tiles = _some(tiles, p.evaluate.ood_tiles, p.evaluate.seed)
            if len(tiles):
                write(made / f"{part}.npz", tiles, p.evaluate.views)
        train, test = (split[split["split"] == part] for part in ("train", "test"))
        if p.evaluate.views_gain and p.evaluate.views == 1:
            write(made / "views.npz", _some(test, _ASKED, p.evaluate.seed), _ALL_VIEWS)
        guesses: dict[str, Any] = {
            "majority": baselines.majority(train, test),
            "band_statistics": baselines.band_statistics(store.images, train, test),
        }
        with (made / "baselines.npz").open("wb") as file:
            np.savez(file, **guesses)
        if not _is_rgb(loaded[0].spec):
            some = _some(test, importance.TILES, p.evaluate.seed)
            rows, targets = (some[column].to_numpy(dtype=np.int64, copy=True) for column in ("row", "target"))
            found = importance.permuted(networks, store.images, rows, p.evaluate.seed, device)
            with (made / "importance.npz").open("wb") as file:
                np.savez(file, targets=targets, **found)
        write_json(made / "members.json", [member.facts() for member in loaded])
    return store


def _is_rgb(spec: ModelSpec) -> bool:
    """Whether it sees red, green and blue in 8 bits and nothing else."""
    return spec.dtype == "uint8" and spec.rgb == [0, 1, 2] == [*range(len(spec.bands))]


def _some(tiles: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    return tiles if len(tiles) <= count else tiles.sample(count, random_state=seed).sort_values("row")
