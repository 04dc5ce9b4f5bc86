"""Checks after each epoch: one class, learning, train/eval gap, losses and gradients; and at the end."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import matthews_corrcoef, recall_score
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from landuse.core.results import Verdict
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.model.prefix import PrefixOutput
from landuse.params import Collapse
from landuse.training.guards import probe
from landuse.training.guards.findings import Finding, judge
from landuse.training.guards.start import VARIATION, alike

TRUE_SHARE = 0.9  # where one label really is so common, naming it is no alarm
ONE_CLASS_EPOCHS = 2  # in a row: a warning; collapse if the answer does not depend on the tile either
ONE_CLASS_LASTING = 5  # in a row: collapse. ResNet-18 from random weights names one class for up to three, then learns
STALE_SHARE = 0.01  # BatchNorm statistics have followed once no more is left of those from before these epochs
CHANCE_MARGIN = 0.02  # mean recall above 1/classes that counts as more than chance
STALLED_DELTA = 1e-4  # change of val_loss from epoch to epoch that counts as none
STALLED_EPOCHS = 3  # in a row, at chance
MAJORITY_MARGIN = 0.05  # share of the errors of always naming the commonest label that the network must mend

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
    several = common < TRUE_SHARE
    return {
        "largest_share": float(share.max()),
        "true_share": float(common),
        "entropy": float(-(share[share > 0] * np.log(share[share > 0])).sum()) + 0.0,
        "macro_recall": recall,
        "mcc": mcc,
        "one_class": float(several and share.max() >= s.one_class_share),
        "chance": float(several and recall <= 1 / len(present) + CHANCE_MARGIN and mcc <= 2 * CHANCE_MARGIN),
    }


def one_class(
    model: Classifier, val: Batches, told: dict[str, float], epochs: int, stale: float, s: Collapse
) -> Finding:
    """Nearly all validation tiles get one label, for some epochs.

    It is collapse if the answer hardly depends on the tile even with BatchNorm as training uses it, or if this lasts
    though BatchNorm statistics have followed (stale: ``stale_share``). Otherwise it is a warning: a new head, or a mean
    of weights, may name one label for a while. epochs: in a row, this one included.
    """
    limit = {"largest_share": s.one_class_share, "true_share": TRUE_SHARE}
    if epochs < ONE_CLASS_EPOCHS:
        return judge("one_class", told, limit)
    with probe.undisturbed(model) as norms, probe.batch_statistics(norms):
        pixels, _ = next(probe.sample(val).in_order())
        features = model.features(pixels)
        variation, same = probe.tile_dependence(model.head(features)), alike(probe.diversity(features))
    measured = {"epochs": float(epochs), "logit_variation": variation, "features_alike": float(same), "stale": stale}
    limit |= {"epochs": float(ONE_CLASS_LASTING), "logit_variation": VARIATION, "stale": STALE_SHARE}
    what = "nearly all validation tiles get the same label"
    dead = (
        f"{what}, whatever they show: the input scale does not match the weights, or the learning rate has killed "
        "the network; set normalise of the recipe to auto, or lower train.lr"
    )
    lagging = "" if stale <= STALE_SHARE else "BatchNorm statistics lag behind (more steps in an epoch help), or "
    lasting: Verdict = "collapse" if epochs >= ONE_CLASS_LASTING and not lagging else "warning"
    return judge(
        "one_class",
        told | measured,
        limit,
        (same or not variation > VARIATION, "collapse", dead),
        (True, lasting, f"{what}, though logits differ: {lagging}{_LEARNING}"),
    )


def one_class_fitted(told: dict[str, float], s: Collapse) -> Finding:
    """Nearly all validation tiles get one label from a classical model, which will learn no more."""
    limit = {"largest_share": s.one_class_share, "true_share": TRUE_SHARE}
    cause = "nearly all validation tiles get the same label: the statistics of tiles do not tell labels apart"
    return judge("one_class", told, limit, (bool(told["one_class"]), "collapse", cause))


def stale_share(model: Classifier, steps: int) -> float:
    """How much is left of the oldest BatchNorm statistics after so many steps of training: 0 to 1."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
    return max(((1 - (norm.momentum or 0.0)) ** steps for norm in norms), default=0.0)


def learning(losses: list[float], chance_epochs: int, stale: float) -> Finding:
    """Predictions say nothing about the truth for some epochs; if val_loss does not move either, it is collapse.

    losses: val_loss of the last ``STALLED_EPOCHS`` + 1 epochs. stale: see ``stale_share``.
    """
    changes = [abs(b - a) for a, b in pairwise(losses)]
    largest = max(changes, default=math.inf)
    still = len(changes) >= STALLED_EPOCHS and largest < STALLED_DELTA and stale <= STALE_SHARE
    what = "val_loss does not move" if still else "no better than chance on validation tiles"
    cause = f"{what} for {STALLED_EPOCHS} epochs: {_LEARNING}"
    return judge(
        "learning",
        {"largest_change": largest, "epochs_at_chance": float(chance_epochs), "stale": stale},
        {"largest_change": STALLED_DELTA, "epochs_at_chance": STALLED_EPOCHS, "stale": STALE_SHARE},
        (chance_epochs >= STALLED_EPOCHS, "collapse" if still else "warning", cause),
    )


def eval_gap(
    model: Classifier, given: Tensor | PrefixOutput, targets: Tensor, epochs_before: int, s: Collapse
) -> Finding:
    """The same training tiles, with BatchNorm statistics of the batch and learnt ones: worse for two epochs counts.

    given: as the model takes them.
    """
    with probe.undisturbed(model) as norms:
        learnt = F.cross_entropy(model(given), targets).item()
        with probe.batch_statistics(norms):
            batch = F.cross_entropy(model(given), targets).item() if norms else learnt
    gap = learnt - batch
    cause = (
        "tiles that training scores well are scored badly with the learnt BatchNorm statistics: they lag behind "
        "(a small batch_size, few batches in an epoch), or they are those of another input scale"
    )
    measured = {"gap": gap, "batch_statistics": batch, "learnt_statistics": learnt}
    again = not gap <= s.eval_gap and epochs_before > 0
    return judge("eval_gap", measured, {"gap": s.eval_gap}, (again, "warning", cause))


def numbers(row: dict[str, Any], gradient_norm: float, at_chance: bool, s: Collapse) -> Finding:
    """Losses are numbers; gradients neither vanish nor explode."""
    losses = {name: row[name] for name in ("train_loss", "val_loss")}
    remedy = "lower train.lr, or set clip_norm of the recipe"
    dead = "no gradient reaches the weights: a saturated or dead head; lower train.lr"
    return judge(
        "numbers",
        losses | {"gradient_norm": gradient_norm},
        {"gradient_norm": s.gradient_norm},
        (not all(map(math.isfinite, losses.values())), "collapse", f"the loss is not a number: {remedy}"),
        (gradient_norm == 0 and at_chance, "collapse", dead),
        (not gradient_norm <= s.gradient_norm, "warning", f"gradients explode: {remedy}"),
    )


def baseline(
    accuracy: float, baselines: dict[str, float], true_share: float, s: Collapse, fitted: bool = False
) -> Finding:
    """The kept epoch beats the commonest label (true_share of validation), and nearly logistic regression on bands.

    fitted: it is a classical model's, which has other remedies.
    """
    limit = {"majority": baselines["majority"] + MAJORITY_MARGIN * (1 - baselines["majority"])}
    if "band_statistics" in baselines:
        limit["band_statistics"] = baselines["band_statistics"] - s.logistic_tolerance
    below = {name for name, value in limit.items() if true_share < TRUE_SHARE and accuracy < value}
    verdict: Verdict = "collapse" if s.gate else "warning"
    better = "logistic regression on band statistics is better: train longer, raise train.lr, or freeze less"
    learning = _LEARNING
    if fitted:
        better = "logistic regression on band statistics is better: choose another model.backbone"
        learning = "choose another model.backbone or data.bands, or check that labels belong to their tiles"
    return judge(
        "baseline",
        {"val_accuracy": accuracy, **baselines},
        limit,
        ("majority" in below, verdict, f"no better than always naming the commonest label: {learning}"),
        ("band_statistics" in below, verdict, better),
    )
