"""Checks before training: tiles and labels, what the backbone sees, its features, the first loss, the baselines.

Limits come from the autopsy of a failed run; docs/collapse.md has it, and says which limits are looser, and why.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from landuse.core.results import Verdict
from landuse.model import baselines
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.params import Augment
from landuse.training.epochs import shuffled
from landuse.training.guards import probe
from landuse.training.guards.findings import Finding, judge

INPUT_MEAN = 3.0  # largest |mean| of a channel as the backbone sees it; about 0 is right
INPUT_STD = (0.14, 3.0)  # of a channel as the backbone sees it; about 1 is right. EuroSAT: 0.24, ten of its tiles: 0.15
INPUT_STD_DEAD = 0.02  # no channel deviates more: the picture is gone. Pixels divided by 255 twice come to 0.001
INITIAL_LOSS = (0.75, 1.5)  # loss before training / ln(classes); a head that knows nothing is near 1
LOGIT_STD = 1e-4  # smallest deviation of logits between tiles
COSINE = 0.999  # largest mean cosine between features of different tiles
EFFECTIVE_RANK = 1.01  # of the features: what a cosine of 0.999 comes to
VARIATION = 0.1  # smallest deviation / mean between tiles: of features, and of logits that name one class

_SCALE = "set normalise of the recipe to auto, or look for pixels that were divided by 255 (or 10,000) twice"


def check(model: Classifier, train: Batches, val: Batches, classes: list[str]) -> list[Finding]:
    """All checks before training; after numbers that are none, the network is not asked, nor is a classical model."""
    with probe.undisturbed(model):
        found = [pairing(train, val, len(classes))]
        pixels, targets = next(probe.sample(train).in_order())
        found.append(inputs(model, pixels))
        if next(model.backbone.parameters(), None) is not None and bool(torch.isfinite(model.preprocess(pixels)).all()):
            with probe.batch_statistics(probe.fresh(model)):
                values = model.features(pixels)
            # what is frozen cannot recover; what learns may
            learns = all(parameter.requires_grad for parameter in model.backbone.parameters())
            dead: Verdict = "warning" if learns else "collapse"
            found += [features(values, dead), outputs(model.head(values), targets, dead)]
    return found


def pairing(train: Batches, val: Batches, classes: int) -> Finding:
    """Every label is in both parts, no tile is twice, and tiles come with the label that is theirs (by digest)."""
    rows = np.concatenate([train.rows, val.rows])
    chosen = probe.sample(train)
    truth = _labels_by_pixels(zip(chosen.images[chosen.rows], chosen.targets, strict=True))
    pixels, targets = next(shuffled(chosen, 0, 1, Augment()))
    stored = pixels.permute(0, 2, 3, 1).cpu().numpy().astype(chosen.images.dtype)
    given = _labels_by_pixels(zip(stored, targets.tolist(), strict=True))
    counts = {
        "labels_absent_from_train": classes - len(np.unique(train.targets)),
        "labels_absent_from_val": classes - len(np.unique(val.targets)),
        "unknown_labels": sum(((b.targets < 0) | (b.targets >= classes)).sum() for b in (train, val)),
        "tiles_twice": len(rows) - len(np.unique(rows)),
        "contradictory_labels": sum(len(labels) > 1 for labels in truth.values()),
        "mismatched": sum(not labels <= truth.get(pixels, set()) for pixels, labels in given.items()),
    }
    wrong = [name for name in counts if counts[name] and name not in ("labels_absent_from_val", "tiles_twice")]
    mixed_up = "labels do not belong to their tiles, or a label has none: run 'dvc repro -f map_to_binary split'"
    misleading = "validation misleads: a tile is there twice, or a label has no validation tile; look at data/split.csv"
    return judge(
        "pairing",
        {name: float(count) for name, count in counts.items()},
        dict.fromkeys(counts, 0.0),
        (bool(wrong), "collapse", mixed_up),
        (any(counts.values()), "warning", misleading),
    )


def _labels_by_pixels(tiles: Iterable[tuple[npt.NDArray[Any], Any]]) -> dict[bytes, set[int]]:
    found: dict[bytes, set[int]] = defaultdict(set)
    for pixels, label in tiles:
        found[pixels.tobytes()].add(int(label))
    return found


def inputs(model: Classifier, pixels: Tensor) -> Finding:
    """Channels as the backbone sees them: numbers, near mean 0 and deviation 1. Networks that learn throughout cope."""
    seen = model.preprocess(pixels).double()
    mean, std = seen.mean(dim=(0, 2, 3)).abs().max().item(), seen.std(dim=(0, 2, 3), correction=0)
    low, high, invalid = std.min().item(), std.max().item(), float((~seen.isfinite()).sum().item())
    limit = {"largest_mean": INPUT_MEAN, "smallest_std": INPUT_STD[0], "largest_std": INPUT_STD[1], "not_finite": 0.0}
    off = mean > INPUT_MEAN or low < INPUT_STD[0] or high > INPUT_STD[1]
    return judge(
        "inputs",
        dict(zip(limit, (mean, low, high, invalid), strict=True)),
        limit,
        (invalid > 0, "collapse", "tiles hold values that are no numbers (NaN): run 'dvc repro -f download'"),
        (high < INPUT_STD_DEAD, "collapse", f"to the backbone all tiles look like one grey: {_SCALE}"),
        (off, "warning", f"the input scale is not what the weights expect: {_SCALE}"),
    )


def features(values: Tensor, dead: Verdict) -> Finding:
    """Different tiles have different features, (B, F). dead: the verdict where they do not."""
    measured = probe.diversity(values)
    cause = (
        f"features of different tiles are {measured['cosine']:.5f} alike: the input scale does not match what the "
        f"pretrained weights expect; {_SCALE}"
    )
    limit = {"cosine": COSINE, "effective_rank": EFFECTIVE_RANK, "variation": VARIATION}
    return judge("features", measured, limit, (alike(measured), dead, cause))


def alike(measured: dict[str, float]) -> bool:
    """Whether the features of different tiles are as good as the same. measured: of ``probe.diversity``."""
    differ = measured["cosine"] < COSINE and measured["effective_rank"] > EFFECTIVE_RANK
    return not (differ and measured["variation"] > VARIATION)


def outputs(logits: Tensor, targets: Tensor, dead: Verdict) -> Finding:
    """The first loss is near ln(classes), and (B, classes) logits depend on the tile. dead: the verdict if not."""
    loss = F.cross_entropy(logits.double(), targets).item() / math.log(logits.shape[1])
    spread = logits.std(dim=0).mean().item()
    nan = "the loss is no number before training has begun: the weights hold NaN or infinity"
    odd = "a head that knows nothing should have a loss near ln(classes): its features are very large or few"
    return judge(
        "outputs",
        {"loss_over_ln_classes": loss, "logit_std": spread},
        {"loss_over_ln_classes": INITIAL_LOSS[1], "logit_std": LOGIT_STD},
        (not math.isfinite(loss), "collapse", nan),
        (spread < LOGIT_STD, dead, f"every tile gets the same logits: {_SCALE}"),
        (not INITIAL_LOSS[0] <= loss <= INITIAL_LOSS[1], "warning", odd),
    )


def baseline_accuracies(train: Batches, val: Batches) -> dict[str, float]:
    """Validation accuracy of always naming the commonest label, and, where it can be had, of logistic regression."""
    learnt, judged = (pd.DataFrame({"row": b.rows, "target": b.targets}) for b in (train, val))
    found = {"majority": baselines.majority(learnt, judged)}
    if learnt["target"].nunique() > 1 and np.issubdtype(train.images.dtype, np.integer):
        found["band_statistics"] = baselines.band_statistics(train.images, learnt, judged)
    return {name: float(np.mean(predicted == val.targets)) for name, predicted in found.items()}
