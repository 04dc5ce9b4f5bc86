"""Classical models: statistics of all training tiles, one fit by scikit-learn, and what it found as tensors."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from tqdm import tqdm

from landuse.core.errors import UserError
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.params import Fit, Params
from landuse.training.guards import Guards
from landuse.training.loop import Best, OnEpoch, Row
from landuse.training.scores import measured

_STEPS = 2000  # of L-BFGS, at most
_PARTS = 8  # in which a forest grows, so that it can say how far it is
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def fit(
    model: Classifier, train: Batches, val: Batches, p: Params, on_epoch: OnEpoch, guards: Guards | None = None
) -> tuple[list[Row], Best]:
    """Fit what ``model.backbone`` names, put it into the model, and judge it, as ``Loop.run`` does with a network.

    The history is of one epoch. Raises UserError where a label has no training tile, and what the guards raise.
    """
    if guards:
        guards.before_training(model, train, val)
    absent = [name for name in range(model.classes) if name not in train.targets]
    if absent:
        told = f"{len(absent)} of {model.classes} labels have no training tile"
        raise UserError(f"{p.model.backbone} cannot be fitted: {told}: look at data/split.csv, or raise data.fraction")
    started = time.perf_counter()
    statistics: Any = model.backbone
    known = statistics.standardise(_statistics(model, train))
    assert p.recipe.fit
    counts = np.bincount(train.targets)
    weights = dict(enumerate(len(train.rows) / (len(counts) * counts))) if p.recipe.loss.class_weights else None
    fitted = estimator(p.model.backbone, p.recipe.fit, weights, p.train.seed)
    _fit(fitted, known.cpu().numpy(), train.targets)
    put(fitted, model.head)
    speed = len(train.rows) / (time.perf_counter() - started)
    with torch.no_grad():
        of_train = measured(model.head(known).cpu(), train.targets)
        output = model.head(_statistics(model, val)).cpu()
    row: Row = {"epoch": 1, "phase": "fit", "lr": None}
    row |= {f"train_{name}": of_train[f"val_{name}"] for name in ("loss", "accuracy")}
    row |= measured(output, val.targets)
    on_epoch(row, speed)
    if guards:
        guards.after_fit(val, row, output.argmax(1).numpy())
        guards.at_end(row, fitted=True)
    return [row], Best(row["val_loss"], 1, {})


@torch.no_grad()
def _statistics(model: Classifier, tiles: Batches) -> Tensor:
    """(n, F) of all tiles, on the device."""
    bar = tqdm(tiles.in_order(), "statistics", total=len(tiles), unit="batch", delay=2, disable=None, leave=False)
    return torch.cat([model.features(pixels) for pixels, _ in bar])


def estimator(name: str, settings: Fit, weights: dict[int, float] | None, seed: int) -> Any:
    """Return scikit-learn's estimator, not fitted. weights: of classes."""
    if name == "logistic":
        return LogisticRegression(C=settings.logistic.C, class_weight=weights, max_iter=_STEPS)
    if name == "random_forest":
        forest = settings.random_forest
        return RandomForestClassifier(
            n_estimators=forest.trees, max_leaf_nodes=forest.leaves, min_samples_leaf=forest.smallest_leaf,
            class_weight=weights, random_state=seed, n_jobs=torch.get_num_threads(), warm_start=True,
        )  # fmt: skip
    boosting = settings.gradient_boosting
    return HistGradientBoostingClassifier(
        max_iter=boosting.iterations, learning_rate=boosting.learning_rate, max_leaf_nodes=boosting.leaves,
        l2_regularization=boosting.l2, early_stopping=False, class_weight=weights, random_state=seed,
    )  # fmt: skip


def _fit(fitted: Any, known: npt.NDArray[np.float32], targets: Ints) -> None:
    """Fit an estimator to (n, F) statistics. A forest grows in parts; boosted trees would sort all tiles for each."""
    if not isinstance(fitted, RandomForestClassifier):
        fitted.fit(known.astype(np.float64), targets)
        return
    counts = sorted({-(-fitted.n_estimators * part // _PARTS) for part in range(1, _PARTS + 1)})
    for count in tqdm(counts, "fit", unit="part", delay=2, disable=None, leave=False):
        fitted.set_params(n_estimators=count).fit(known, targets)


def put(fitted: Any, head: nn.Module) -> None:
    """Give the numbers of a fitted estimator to the head of a network, which then answers as it does."""
    if isinstance(fitted, LogisticRegression):
        weight, bias = (torch.from_numpy(of).float() for of in (fitted.coef_, fitted.intercept_))
        if len(bias) == 1:  # of two labels, the logit of the second one
            weight, bias = (torch.cat([-of, of]) / 2 for of in (weight, bias))
        head.load_state_dict({"1.weight": weight, "1.bias": bias})
    else:
        trees, rounds = _of_forest(fitted) if isinstance(fitted, RandomForestClassifier) else _of_boosting(fitted)
        head.load_state_dict(tensors(trees, rounds))


@dataclass(frozen=True)
class Tree:
    """The nodes of a tree, the root first: left and right are -1 in a leaf, which alone has a value, (nodes, V)."""

    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    value: Floats
    depth: int


def _of_forest(fitted: RandomForestClassifier) -> tuple[list[Tree], int]:
    count = len(fitted.estimators_)
    trees = [
        Tree(t.feature, t.threshold, t.children_left, t.children_right, t.value[:, 0] / count, t.max_depth)
        for t in (each.tree_ for each in fitted.estimators_)
    ]
    return trees, count


def _of_boosting(fitted: HistGradientBoostingClassifier) -> tuple[list[Tree], int]:
    """Read its trees from where scikit-learn keeps them for itself; there is no public place."""
    trees = []
    for number, round_ in enumerate(fitted._predictors):
        for start, each in zip(fitted._baseline_prediction[0], round_, strict=True):
            nodes, leaf = each.nodes, each.nodes["is_leaf"].astype(bool)
            left, right = (np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
            value = nodes["value"][:, None] + (start if number == 0 else 0.0)
            if len(round_) == 1:  # two labels: the logit of the second one
                value = np.concatenate([-value, value], axis=1) / 2
            feature = nodes["feature_idx"].astype(np.int64)
            trees.append(Tree(feature, nodes["num_threshold"], left, right, value, each.get_max_depth()))
    return trees, len(fitted._predictors)


def tensors(trees: list[Tree], rounds: int) -> dict[str, Tensor]:
    """Return trees as ``model.classical.Trees`` holds them; leaves that say the same are one."""
    leaf = np.concatenate([tree.left < 0 for tree in trees])
    value, said = np.unique(
        np.concatenate([tree.value for tree in trees])[leaf].astype(np.float32), axis=0, return_inverse=True
    )
    inner = int((~leaf).sum())
    number = np.empty(len(leaf), np.int64)  # of every node, in the one numbering
    number[~leaf], number[leaf] = np.arange(inner), inner + said.ravel()
    starts = np.cumsum([0, *(len(tree.left) for tree in trees)])
    sides = [
        np.concatenate([getattr(tree, side) + start for tree, start in zip(trees, starts[:-1], strict=True)])
        for side in ("left", "right")
    ]
    child = np.stack([number[side[~leaf]] for side in sides], axis=1)
    leaves = np.arange(inner, inner + len(value))
    feature, threshold = (np.concatenate([getattr(t, name) for t in trees])[~leaf] for name in ("feature", "threshold"))
    found = {
        "roots": number[starts[:-1]].reshape(rounds, -1),
        "feature": np.append(feature, np.zeros_like(leaves)),
        "threshold": np.append(_down(threshold), np.full(len(leaves), np.inf, np.float32)),
        "child": np.append(child.ravel(), np.repeat(leaves, 2)),
        "value": value,
        "depth": np.array([max(tree.depth for tree in trees)]),
    }
    return {k: torch.from_numpy(v if v.dtype == np.float32 else v.astype(np.int32)) for k, v in found.items()}


def _down(thresholds: Floats) -> npt.NDArray[np.float32]:
    """Round to float32, downwards: of float32 values, the same ones are at most a threshold as scikit-learn finds.

    It compares them, in float64, with thresholds between two float32 values: the nearest could be the upper one.
    """
    near = thresholds.astype(np.float32)
    return np.where(near > thresholds, np.nextafter(near, np.float32(-np.inf)), near)
