"""Checks after an epoch: one-class predictions, no learning, train/eval gap, losses and gradients; and at the end."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import matthews_corrcoef, recall_score
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from landuse.batches import Batches
from landuse.model.classifier import Classifier
from landuse.params import Collapse
from landuse.training.guards import before, probe
from landuse.training.guards.findings import Finding, Verdict

_LEARNING = "nothing is learnt; raise train.lr, freeze less, or check that labels belong to their tiles"


def predictions(
    truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int, s: Collapse
) -> dict[str, float]:
    """What predictions alone tell.

    one_class: 1 if nearly all tiles get one label though they have several. chance: 1 if predictions say nothing
    about the truth. Neither counts where one label really is nearly everywhere.
    """
    share = np.bincount(predicted, minlength=classes) / len(predicted)
    common = np.bincount(truth, minlength=classes).max() / len(truth)
    present = np.unique(truth)
    recall = float(recall_score(truth, predicted, labels=present, average="macro", zero_division=0))
    mcc = float(matthews_corrcoef(truth, predicted))
    several = common < s.true_share
    return {
        "largest_share": float(share.max()),
        "true_share": float(common),
        "entropy": float(-(share[share > 0] * np.log(share[share > 0])).sum()) + 0.0,
        "macro_recall": recall,
        "mcc": mcc,
        "one_class": float(several and share.max() >= s.one_class_share),
        "chance": float(several and recall <= 1 / len(present) + s.chance_margin and mcc <= 2 * s.chance_margin),
    }


def one_class(
    model: Classifier, val: Batches, told: dict[str, float], epochs: int, stale: float, s: Collapse
) -> Finding:
    """Nearly all validation tiles get one label, for some epochs.

    It is collapse if the answer hardly depends on the tile even with BatchNorm as training uses it, or if this lasts
    though BatchNorm statistics have had the time to follow. Otherwise it is a warning: a new head, or a mean of
    weights, may name one label for a while, and statistics lag behind a network that learns from scratch.

    epochs: in a row, this one included. stale: see ``stale_share``.
    """
    measured, limit = dict(told), {"largest_share": s.one_class_share, "true_share": s.true_share}
    if epochs < s.one_class_epochs:
        return Finding("one_class", "ok", measured, limit)
    with probe.undisturbed(model) as norms, probe.batch_statistics(norms):
        pixels, _ = next(probe.sample(val).in_order())
        features = model.features(pixels)
        variation = probe.tile_dependence(model.head(features).double())
        same = before.alike(probe.diversity(features.double().cpu()), s)
    measured |= {"epochs": float(epochs), "logit_variation": variation, "features_alike": float(same), "stale": stale}
    limit |= {"epochs": float(s.one_class_lasting), "logit_variation": s.variation, "stale": s.stale_share}
    what = "nearly all validation tiles get the same label"
    if same or not variation > s.variation:
        cause = (
            f"{what}, whatever they show: the input scale does not match the weights, or the learning rate has killed "
            "the network; set normalise of the recipe to auto, or lower train.lr"
        )
        return Finding("one_class", "collapse", measured, limit, cause)
    lasting = epochs >= s.one_class_lasting and stale <= s.stale_share
    lagging = "" if stale <= s.stale_share else "BatchNorm statistics lag behind (more steps in an epoch help), or "
    cause = f"{what}, though logits differ: {lagging}{_LEARNING}"
    return Finding("one_class", "collapse" if lasting else "warning", measured, limit, cause)


def stale_share(model: Classifier, steps: int) -> float:
    """How much is left of the oldest BatchNorm statistics after so many steps of training: 0 to 1."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    return max(((1 - (norm.momentum or 0.0)) ** steps for norm in norms), default=0.0)


def learning(losses: list[float], chance_epochs: int, stale: float, s: Collapse) -> Finding:
    """Predictions say nothing about the truth for some epochs; if val_loss does not move either, it is collapse.

    losses: val_loss of the last epochs, at most one more than ``stalled_epochs``. stale: see ``stale_share``.
    """
    changes = [abs(b - a) for a, b in pairwise(losses)]
    largest = max(changes, default=math.inf)
    still = len(changes) >= s.stalled_epochs and largest < s.stalled_delta and stale <= s.stale_share
    measured = {"largest_change": largest, "epochs_at_chance": float(chance_epochs), "stale": stale}
    limit = {"largest_change": s.stalled_delta, "epochs_at_chance": s.stalled_epochs, "stale": s.stale_share}
    verdict: Verdict = "ok"
    cause = ""
    if chance_epochs >= s.stalled_epochs:
        verdict = "collapse" if still else "warning"
        what = "val_loss does not move" if still else "no better than chance on validation tiles"
        cause = f"{what} for {s.stalled_epochs} epochs: {_LEARNING}"
    return Finding("learning", verdict, measured, limit, cause)


def eval_gap(model: Classifier, train: Batches, epochs_before: int, s: Collapse) -> Finding:
    """The same training tiles, with BatchNorm statistics as training uses them and as they were learnt.

    Only learnt ones being worse counts, and only in a second epoch: early in training they lag behind.
    """
    with probe.undisturbed(model) as norms:
        pixels, targets = next(probe.sample(train).in_order())
        learnt = F.cross_entropy(model(pixels), targets).item()
        with probe.batch_statistics(norms):
            batch = F.cross_entropy(model(pixels), targets).item() if norms else learnt
    gap = learnt - batch
    wide = not gap <= s.eval_gap
    cause = ""
    if wide and epochs_before:
        cause = (
            "tiles that training scores well are scored badly with the learnt BatchNorm statistics: they lag behind "
            "(a small batch_size, few batches in an epoch), or they are those of another input scale"
        )
    measured = {"gap": gap, "batch_statistics": batch, "learnt_statistics": learnt}
    return Finding("eval_gap", "warning" if cause else "ok", measured, {"gap": s.eval_gap}, cause)


def numbers(row: dict[str, Any], gradient_norm: float, at_chance: bool, s: Collapse) -> Finding:
    """Losses are numbers; gradients neither vanish nor explode."""
    measured = {"train_loss": row["train_loss"], "val_loss": row["val_loss"], "gradient_norm": gradient_norm}
    verdict: Verdict = "ok"
    cause = ""
    if not (math.isfinite(row["train_loss"]) and math.isfinite(row["val_loss"])):
        verdict, cause = "collapse", "the loss is not a number: lower train.lr, or set clip_norm of the recipe"
    elif gradient_norm == 0 and at_chance:
        verdict, cause = "collapse", "no gradient reaches the weights: a saturated or dead head; lower train.lr"
    elif not gradient_norm <= s.gradient_norm:
        verdict, cause = "warning", "gradients explode: lower train.lr, or set clip_norm of the recipe"
    return Finding("numbers", verdict, measured, {"gradient_norm": s.gradient_norm}, cause)


def baseline(accuracy: float, baselines: dict[str, float], true_share: float, s: Collapse) -> Finding:
    """The kept epoch beats the commonest label, and is not far below logistic regression on band statistics.

    true_share: of the commonest validation label; where it is nearly everywhere, accuracy tells nothing.
    """
    majority = baselines["majority"]
    limit = {"majority": majority + s.majority_margin * (1 - majority)}
    if "band_statistics" in baselines:
        limit["band_statistics"] = baselines["band_statistics"] - s.logistic_tolerance
    cause = ""
    if true_share < s.true_share:
        if accuracy < limit["majority"]:
            cause = f"no better than always naming the commonest label: {_LEARNING}"
        elif accuracy < limit.get("band_statistics", 0.0):
            cause = "logistic regression on band statistics is better: train longer, raise train.lr, or freeze less"
    verdict: Verdict = "ok" if not cause else "collapse" if s.gate else "warning"
    return Finding("baseline", verdict, {"val_accuracy": accuracy, **baselines}, limit, cause)
