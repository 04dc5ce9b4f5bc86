"""Checks before training: tiles and labels, what the backbone sees, its features, the first loss, the baselines."""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from landuse.batches import Batches
from landuse.model import baselines
from landuse.model.classifier import Classifier
from landuse.params import Collapse
from landuse.training.guards import probe
from landuse.training.guards.findings import Finding, Verdict

_SCALE = "set normalise of the recipe to auto, or look for pixels that were divided by 255 (or 10,000) twice"


def pairing(train: Batches, val: Batches, classes: list[str]) -> Finding:
    """Every label is in both parts, no tile is twice, and tiles come with the label that is theirs (by digest)."""
    absent = {part: len(classes) - len(np.unique(b.targets)) for part, b in (("train", train), ("val", val))}
    unknown = int(sum(((b.targets < 0) | (b.targets >= len(classes))).sum() for b in (train, val)))
    rows = np.concatenate([train.rows, val.rows])
    twice = len(rows) - len(np.unique(rows))
    chosen = probe.sample(train)
    truth = probe.digests(chosen)
    contradictory = sum(len(labels) > 1 for labels in truth.values())
    strangers = sum(target not in truth.get(digest, ()) for digest, target in probe.delivered(chosen))
    counts = {
        "labels_absent_from_train": absent["train"],
        "labels_absent_from_val": absent["val"],
        "unknown_labels": unknown,
        "tiles_twice": twice,
        "contradictory_labels": contradictory,
        "mismatched": strangers,
    }
    measured, limit = {name: float(count) for name, count in counts.items()}, dict.fromkeys(counts, 0.0)
    verdict: Verdict = "ok"
    cause = ""
    if strangers or unknown or contradictory or absent["train"]:
        verdict = "collapse"
        cause = "labels do not belong to their tiles, or a label has none: run 'dvc repro -f map_to_binary split'"
    elif twice or absent["val"]:
        verdict = "warning"
        cause = "validation misleads: a tile is there twice, or a label has no validation tile; look at data/split.csv"
    return Finding("pairing", verdict, measured, limit, cause)


def inputs(model: Classifier, pixels: Tensor, s: Collapse) -> Finding:
    """Channels as the backbone sees them: numbers, near mean 0 and deviation 1.

    Outside the limits is a warning: networks that learn throughout cope. No number, or no picture left, is collapse.
    """
    seen = model.preprocess(pixels).double()
    mean, std = seen.mean(dim=(0, 2, 3)), seen.std(dim=(0, 2, 3), correction=0)
    measured = {
        "largest_mean": mean.abs().max().item(),
        "smallest_std": std.min().item(),
        "largest_std": std.max().item(),
        "not_finite": float((~seen.isfinite()).sum().item()),
    }
    limit = {
        "largest_mean": s.input_mean,
        "smallest_std": s.input_std_low,
        "largest_std": s.input_std_high,
        "not_finite": 0.0,
    }
    verdict: Verdict = "ok"
    cause = ""
    if measured["not_finite"]:
        verdict, cause = "collapse", "tiles hold values that are no numbers (NaN): run 'dvc repro -f download'"
    elif measured["largest_std"] < s.input_std_dead:
        verdict, cause = "collapse", f"to the backbone all tiles look like one grey: {_SCALE}"
    elif (
        measured["largest_mean"] > s.input_mean
        or measured["smallest_std"] < s.input_std_low
        or measured["largest_std"] > s.input_std_high
    ):
        verdict, cause = "warning", f"the input scale is not what the weights expect: {_SCALE}"
    return Finding("inputs", verdict, measured, limit, cause)


def features(values: Tensor, frozen: bool, s: Collapse) -> Finding:
    """Different tiles have different features. What is frozen cannot recover; what learns may.

    values: (B, F).
    """
    measured = probe.diversity(values.double().cpu())
    verdict: Verdict = "ok"
    cause = ""
    if alike(measured, s):
        verdict = "collapse" if frozen else "warning"
        cause = (
            f"features of different tiles are {measured['cosine']:.5f} alike: the input scale does not match what the "
            f"pretrained weights expect; {_SCALE}"
        )
    limit = {"cosine": s.cosine, "effective_rank": s.effective_rank, "variation": s.variation}
    return Finding("features", verdict, measured, limit, cause)


def alike(measured: dict[str, float], s: Collapse) -> bool:
    """Whether the features of different tiles are as good as the same. measured: of ``probe.diversity``."""
    healthy = (
        measured["cosine"] < s.cosine
        and measured["effective_rank"] > s.effective_rank
        and measured["variation"] > s.variation
    )
    return not healthy


def outputs(logits: Tensor, targets: Tensor, frozen: bool, s: Collapse) -> Finding:
    """The first loss is near ln(classes), and logits depend on the tile.

    logits: (B, classes).
    """
    measured = {
        "loss_over_ln_classes": F.cross_entropy(logits.double(), targets).item() / math.log(logits.shape[1]),
        "logit_std": logits.std(dim=0).mean().item(),
    }
    limit = {"loss_over_ln_classes": s.initial_loss_high, "logit_std": s.logit_std}
    verdict: Verdict = "ok"
    cause = ""
    if not math.isfinite(measured["loss_over_ln_classes"]):
        verdict, cause = "collapse", "the loss is no number before training has begun: the weights hold NaN or infinity"
    elif measured["logit_std"] < s.logit_std:
        verdict = "collapse" if frozen else "warning"
        cause = f"every tile gets the same logits: {_SCALE}"
    elif not s.initial_loss_low <= measured["loss_over_ln_classes"] <= s.initial_loss_high:
        verdict = "warning"
        cause = "a head that knows nothing should have a loss near ln(classes): its features are very large or few"
    return Finding("outputs", verdict, measured, limit, cause)


def baseline_accuracies(train: Batches, val: Batches) -> dict[str, float]:
    """Validation accuracy of always naming the commonest label, and of logistic regression on band statistics.

    The latter is left out where it cannot be had: with one label only, or pixels that are no numbers.
    """
    learnt, judged = (pd.DataFrame({"row": b.rows, "target": b.targets}) for b in (train, val))
    found = {"majority": baselines.majority(learnt, judged)}
    if learnt["target"].nunique() > 1 and np.issubdtype(train.images.dtype, np.integer):
        found["band_statistics"] = baselines.band_statistics(train.images, learnt, judged)
    return {name: float(np.mean(predicted == val.targets)) for name, predicted in found.items()}


def check(model: Classifier, train: Batches, val: Batches, classes: list[str], s: Collapse) -> list[Finding]:
    """All checks before training; after numbers that are none, the network is not asked."""
    with probe.undisturbed(model):
        found = [pairing(train, val, classes)]
        pixels, targets = next(probe.sample(train).in_order())
        found.append(inputs(model, pixels, s))
        if bool(torch.isfinite(model.preprocess(pixels)).all()):
            with probe.batch_statistics(probe.fresh(model)):
                values = model.features(pixels)
            logits = model.head(values)
            frozen = not all(parameter.requires_grad for parameter in model.backbone.parameters())
            found += [features(values, frozen, s), outputs(logits, targets, frozen, s)]
    return found
