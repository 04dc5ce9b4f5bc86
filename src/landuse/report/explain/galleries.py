"""Galleries of the tiles that are worth a look: errors, doubts, successes and suspected labels."""

from typing import Any

import numpy as np
import pandas as pd

from landuse.core.arrays import Floats, Floats32, Ints, Pixels
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.report.explain import gradcam
from landuse.report.gallery import Exhibit, Gallery, overlay, pictures, stretch
from landuse.tiles.store import TileStore

_SHOWN = 24  # tiles of a gallery, at most
_BATCH = 16  # tiles explained at once: their activations and gradients are all in memory
_HEAT = "heat: where Grad-CAM finds what speaks for the predicted label"
_NO_HEAT = f"no heat maps: this backbone has no feature map of at least {gradcam.SMALLEST} x {gradcam.SMALLEST}"


def build(
    store: TileStore,
    model: Classifier,
    tiles: pd.DataFrame,
    probabilities: Floats,
    names: list[str],
    suspects: pd.DataFrame,
) -> tuple[Gallery, ...]:
    """Return the galleries "errors", "uncertain", "correct" and "suspects"; one that is empty says so.

    tiles: validation and test rows of the split table, indexed from 0. probabilities: (n, classes) of them.
    suspects: as from ``suspects.find``, indexed as ``tiles``.
    """
    targets, predicted = tiles["target"].to_numpy(dtype=np.int64), probabilities.argmax(axis=1)
    test = np.flatnonzero(tiles["split"] == "test")
    test = test[np.argsort(probabilities[test].max(axis=1), kind="stable")]  # the least certain first
    wrong, right = (test[(predicted[test] == targets[test]) == is_right] for is_right in (False, True))
    suspected: Ints = suspects.index.to_numpy(dtype=np.int64)
    chosen = {
        "errors": wrong[::-1][:_SHOWN],
        "uncertain": test[:_SHOWN],
        "correct": _of_each_label(right, targets),
        "suspects": suspected[:_SHOWN],
    }
    positions = np.unique(np.concatenate(list(chosen.values())))  # each is explained once, in however many galleries
    part = tiles.iloc[positions]
    rows, labels = (part[column].to_numpy(dtype=np.int64) for column in ("row", "target"))
    maps = gradcam.heat_maps(model, Batches(store.images, rows, labels, _BATCH, model.mean.device))
    heat = {} if maps is None else dict(zip(positions.tolist(), maps, strict=True))

    ends = stretch(store)

    def gallery(name: str, title: str, about: str, of: int) -> Gallery:
        shown = chosen[name]
        how = "none" if not len(shown) else f"{len(shown)} of {of:,}; {_NO_HEAT if maps is None else _HEAT}"
        exhibits = (
            _exhibit(tile, probabilities[at], names, pictures(store, tile["row"], ends), heat.get(at))
            for at, tile in zip(shown, tiles.iloc[shown].to_dict("records"), strict=True)
        )
        return Gallery(name, title, f"{about}: {how}.", tuple(exhibits))

    return (
        gallery("errors", "Worst errors", "Test tiles with a wrong prediction, the surest first", len(wrong)),
        gallery("uncertain", "Least certain", "Test tiles whose prediction has the lowest probability", len(test)),
        gallery("correct", "Correct", "Test tiles with a right prediction, less and more certain ones", len(right)),
        gallery(
            "suspects",
            "Suspected label errors",
            "Validation and test tiles whose label may be wrong, the likeliest first",
            len(suspected),
        ),
    )


def _of_each_label(right: Ints, targets: Ints) -> Ints:
    """Spread the places over the labels, the commonest first, and within a label over the ranks of certainty."""
    labels, counts = np.unique(targets[right], return_counts=True)
    commonest = np.sort(labels[np.argsort(-counts, kind="stable")][:_SHOWN])
    chosen = [np.zeros(0, np.int64)]
    for label in commonest:
        own = right[targets[right] == label]
        each = min(_SHOWN // len(commonest), len(own))
        chosen.append(own[((np.arange(each) + 0.5) / each * len(own)).astype(int)])
    return np.concatenate(chosen)


def _exhibit(tile: Any, shares: Floats, names: list[str], shown: list[Pixels], heat: Floats32 | None) -> Exhibit:
    """Show one tile; the note gives the probability of the truth or, where that was predicted, of the runner-up."""
    first, other = int(shares.argmax()), int(tile["target"])
    if other == first:
        other = int(np.where(np.arange(len(shares)) == first, -1, shares).argmax())
    return Exhibit(
        file=tile["file"],
        picture=shown[0],
        overlay=None if heat is None else overlay(shown[0], heat),
        original_class=tile["class"],
        truth=tile["label"],
        prediction=names[first],
        probability=float(shares[first]),
        note=f"{names[other]}: {shares[other]:.1%}",
        false=shown[1] if shown[1:] else None,
    )
