"""Answers to tiles of which one band is another tile's: what each band is worth.

Permutation importance (Breiman 2001, Machine Learning 45, section 10): a band is dealt anew among the tiles, so that it
keeps its values and tells nothing of the tile that it lies in.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from landuse.model.classifier import Classifier
from landuse.prediction.predictor import Predictor
from landuse.spec.answers import pool

TILES = 1000  # at most
_REPEATS = 3  # deals of each band
_ROWS = 64  # tiles that a network gets at once

_Ints = npt.NDArray[np.int64]


def permuted(
    members: Sequence[Classifier], images: npt.NDArray[np.generic], rows: _Ints, seed: int, device: torch.device
) -> dict[str, Any]:
    """Ask networks, which see each tile once, about tiles as they are and with each stored band dealt anew.

    images: (N, H, W, C) of the whole store. rows: (n,) of the tiles. seed: of the deals, the same for every band.

    Returns:
        plain: (n,) labels; permuted: (C, repeats, n) labels.
    """
    predictor = Predictor(members, 1, device)
    deals = [np.random.default_rng([seed, repeat]).permutation(len(rows)) for repeat in range(_REPEATS)]
    wanted = [(band, deal) for band in range(images.shape[-1]) for deal in deals]
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        plain = _labels(predictor, images, rows, None, rows, device)
        bar = tqdm(wanted, desc="permuted bands", unit="deal", disable=None, leave=False)
        answers = [_labels(predictor, images, rows, band, rows[deal], device) for band, deal in bar]
    return {"plain": plain, "permuted": np.reshape(answers, (-1, _REPEATS, len(rows)))}


def _labels(
    predictor: Predictor,
    images: npt.NDArray[np.generic],
    rows: _Ints,
    band: int | None,
    lent: _Ints,
    device: torch.device,
) -> npt.NDArray[np.int16]:
    """(n,) labels of tiles whose band is that of the tiles of ``lent``."""
    found = []
    for start in range(0, len(rows), _ROWS):
        at = slice(start, start + _ROWS)
        pixels = np.array(images[rows[at]])
        if band is not None:
            pixels[..., band] = images[lent[at], :, :, band]
        logits, *_ = predictor(torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float())
        found.append(pool(logits.float(), torch.logsumexp).argmax(1).cpu().numpy())
    return np.concatenate(found).astype(np.int16)
