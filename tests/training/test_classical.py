"""What scikit-learn has fitted, and what the network makes of it: the same answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import CPU, load, same, tiles

from landuse import params
from landuse.core.errors import UserError
from landuse.model import backbones
from landuse.model.classical import Statistics, Trees
from landuse.model.classifier import Classifier
from landuse.params import Head
from landuse.training import classical
from landuse.training.guards import Collapsed, Guards
from landuse.training.identity import flatten
from landuse.training.loop import Row

NAMES = ("logistic", "random_forest", "gradient_boosting")
SMALL = {
    "recipes.classical.fit.random_forest.trees": 12,
    "recipes.classical.fit.gradient_boosting.iterations": 9,
    "recipes.classical.fit.gradient_boosting.leaves": 5,
    "train.recipe": "classical",
}


def chosen(tmp_path: Path, name: str, **changes: object) -> params.Params:
    return load(tmp_path, changes=SMALL | {"model.backbone": name} | changes)


def untrained(name: str, classes: int = 3) -> Classifier:
    torch.manual_seed(0)
    plain = Head(hidden=None, dropout=0.0)
    return Classifier(backbones.build(name, 3), plain, classes, [127.0] * 3, [60.0] * 3, 16)


def data(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Statistics in float32 that overlap between labels, some of which are equal to others or thresholds."""
    rng = np.random.default_rng(0)
    targets = np.arange(600) % classes
    known = rng.normal(size=(600, 8)) + targets[:, None] * np.linspace(0, 1, 8)
    known[:, 0] = np.round(known[:, 0], 1)  # few different values: thresholds lie between neighbours
    return known.astype(np.float32), targets


@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_the_head_answers_as_scikit_learn_does(tmp_path: Path, name: str, classes: int, weights: bool) -> None:
    known, targets = data(classes)
    of_classes = {label: 1.0 + label for label in range(classes)} if weights else None
    fitted = classical.estimator(name, chosen(tmp_path, name).recipe.fit, of_classes, 0)
    classical._fit(fitted, known[:400], targets[:400])
    head = (
        untrained(name, classes).head
        if name != "logistic"
        else torch.nn.Sequential(torch.nn.Dropout(0), torch.nn.Linear(8, classes))
    )
    classical.put(fitted, head.eval())
    with torch.no_grad():
        logits = head(torch.from_numpy(known))
    given = known.astype(np.float64) if name == "logistic" else known
    assert np.abs(logits.softmax(1).numpy() - fitted.predict_proba(given)).max() < 1e-6
    assert np.array_equal(logits.argmax(1).numpy(), fitted.predict(given))


def test_a_threshold_between_two_neighbours_parts_them() -> None:
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    threshold = np.array([(3 * np.float64(high) + np.float64(low)) / 4, float(low), float(high)])
    rounded = classical._down(threshold)
    assert rounded.tolist() == [low, low, high]
    for own, down in zip(threshold, rounded, strict=True):
        assert [bool(x <= down) for x in (low, high)] == [np.float64(x) <= own for x in (low, high)]


@pytest.mark.parametrize("name", NAMES)
def test_one_fit_fills_the_network_and_one_row(tmp_path: Path, name: str) -> None:
    train, val = tiles()
    rows: list[Row] = []
    model = untrained(name)
    own = chosen(tmp_path, name)
    guards = Guards(own.collapse, ["a", "b", "c"])
    history, best = classical.fit(model, train, val, own, lambda row, _: rows.append(row), guards)
    assert history == rows
    assert (best.epoch, history[0]["epoch"], history[0]["lr"]) == (1, 1, None)
    assert history[0]["val_accuracy"] > 0.9
    with torch.no_grad():
        answers = torch.cat([model.eval()(pixels) for pixels, _ in val.in_order()]).argmax(1).numpy()
    assert np.mean(answers == val.targets) == history[0]["val_accuracy"]
    report = guards.report()
    assert report["verdict"] == "ok"
    assert set(report["checks"]) == {"pairing", "inputs", "one_class", "baseline"}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(tmp_path: Path, name: str) -> None:
    def fitted(threads: int, seed: int = 3) -> dict[str, torch.Tensor]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            model = untrained(name)
            classical.fit(model, *tiles(), chosen(tmp_path, name, **{"train.seed": seed}), lambda *_: None)
        finally:
            torch.set_num_threads(before)
        return model.state_dict()

    assert same(fitted(1), fitted(2))
    if name == "random_forest":
        assert not same(fitted(1), fitted(1, seed=4))


def test_a_model_that_says_one_thing_is_a_collapse(tmp_path: Path) -> None:
    train, val = tiles()
    grey = np.full_like(train.images, 100)
    own = chosen(tmp_path, "random_forest")
    with pytest.raises(Collapsed):
        classical.fit(
            untrained("random_forest"), replace(train, images=grey), replace(val, images=grey), own,
            lambda *_: None, Guards(own.collapse, ["a", "b", "c"]),
        )  # fmt: skip


def test_a_label_without_training_tiles_is_refused(tmp_path: Path) -> None:
    train, val = tiles()
    with pytest.raises(UserError, match=r"1 of 4 labels have no training tile.*data\.fraction"):
        classical.fit(untrained("logistic", 4), train, val, chosen(tmp_path, "logistic"), lambda *_: None)


def test_who_it_is_depends_on_the_settings_of_the_chosen_model_alone(tmp_path: Path) -> None:
    flat = flatten(chosen(tmp_path, "logistic"))
    assert {key for key in flat if key.startswith("recipe.fit")} == {"recipe.fit.logistic.C"}
    assert not any("fit" in key for key in flatten(load(tmp_path)))


def test_trees_with_many_equal_leaves_are_small(tmp_path: Path) -> None:
    known, targets = data(3)
    fitted = classical.estimator("random_forest", chosen(tmp_path, "random_forest").recipe.fit, None, 0)
    fitted.fit(known, targets)
    head = Trees(mean=True)
    classical.put(fitted, head)
    assert len(head.value) == 3  # leaves of whole trees hold one label
    assert len(head.feature) == sum(tree.tree_.node_count // 2 for tree in fitted.estimators_) + 3


def test_statistics_take_whatever_bands_there_are() -> None:
    assert Statistics(5)(torch.randn(2, 5, 8, 8, device=CPU)).shape == (2, 35)
