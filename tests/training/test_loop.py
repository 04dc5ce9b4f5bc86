"""The loop over phases and epochs; the identity of a training; the curves."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small import load, network, same, tiles

from landuse import params
from landuse.core.errors import Interrupted, UserError
from landuse.model.classifier import Classifier
from landuse.storage.checkpoints import Checkpointer, checkpointing
from landuse.training import loop
from landuse.training.identity import flatten, identity


def fit(p: params.Params) -> tuple[Classifier, list[loop.Row], loop.Best]:
    model = network()
    history, best = loop.Loop(model, *tiles(), p, lambda *_: None).run()
    return model, history, best


def test_it_learns_and_keeps_the_best_weights(tmp_path: Path) -> None:
    p = load(tmp_path, [{"epochs": 6, "lr": 0.003, "monitor": "val_loss"}])
    model, history, best = fit(p)
    assert best.value == min(row["val_loss"] for row in history)
    val = tiles()[1]
    assert loop.validate(model, val, val.targets, "fp32")[0]["val_loss"] == pytest.approx(best.value, abs=1e-6)
    assert max(row["val_accuracy"] for row in history) > 0.8


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    p = load(tmp_path, [{"epochs": 2}])
    first = fit(p)[0].state_dict()
    assert same(first, fit(p)[0].state_dict())
    other = fit(p.model_copy(update={"train": p.train.model_copy(update={"seed": 1})}))[0].state_dict()
    assert not torch.equal(first["head.1.weight"], other["head.1.weight"])


def test_phases_follow_each_other_from_the_best_weights(tmp_path: Path) -> None:
    p = load(tmp_path, [{"freeze": "backbone", "epochs": 2, "lr": 0.01}, {"freeze": "layer2", "epochs": 3}])
    model, history, best = fit(p)
    assert [row["phase"] for row in history] == ["p0"] * 2 + ["p1"] * 3
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]
    assert best.epoch > 2
    fresh = network().state_dict()
    now = model.state_dict()
    stages = model.stages
    for name, stage in stages.items():
        same = torch.equal(fresh[f"backbone.{name}"], now[f"backbone.{name}"])
        assert same == (stage in ("stem", "layer1", "layer2")), name


@pytest.mark.long
def test_best_weights_of_earlier_phases_are_kept_if_asked_for(tmp_path: Path) -> None:
    phases = [{"freeze": "backbone", "epochs": 2, "lr": 0.01}, {"epochs": 1}, {"epochs": 1}]
    done = {}
    for keep in (False, True):
        model = network()
        training = loop.Loop(model, *tiles(), load(tmp_path, phases, {"train.keep_phases": keep}), lambda *_: None)
        training.run()
        done[keep] = model, training.kept
    assert done[False][1] == {}
    assert list(done[True][1]) == ["p0", "p1"]
    assert same(done[False][0].state_dict(), done[True][0].state_dict())
    first = network()
    loop.Loop(first, *tiles(), load(tmp_path, phases[:1]), lambda *_: None).run()
    assert same(done[True][1]["p0"], first.state_dict())


def test_early_stopping_takes_a_tie_for_no_improvement(tmp_path: Path) -> None:
    """A learning rate of almost nothing changes no prediction: the accuracy stays what it is."""
    quiet = {"augment": "none", "head": {"hidden": None, "dropout": 0.0}}
    phase = {"freeze": "backbone", "epochs": 9, "lr": 1e-12, "monitor": "val_accuracy", "patience": 2}
    _, history, best = fit(load(tmp_path, [phase], **quiet))
    assert best.epoch == 1
    assert len(history) == 3


def test_a_loss_that_is_not_a_number_stops_with_a_remedy(tmp_path: Path) -> None:
    train, val = tiles()
    model = network()
    with torch.no_grad():
        model.head[1].weight.fill_(float("nan"))
    with pytest.raises(UserError, match=r"lower train\.lr"):
        loop.Loop(model, train, val, load(tmp_path), lambda *_: None).run()


def test_identity_changes_with_params_data_and_code(tmp_path: Path) -> None:
    flat = flatten(load(tmp_path))
    assert flat["recipe.phases.0.optimizer"] == "adamw"
    for name in ("src/landuse", "stages"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "stages/train.py").write_text("pass")
    (tmp_path / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {"train": {"deps": ["stages/train.py", "src/landuse", "data/tiles"]}}})
    )
    base = identity(flat, "d", tmp_path)
    assert identity(flat, "d", tmp_path) == base
    assert identity(flat | {"train.seed": 1}, "d", tmp_path) != base
    assert identity(flat, "e", tmp_path) != base
    (tmp_path / "src/landuse/x.py").write_text("pass")
    assert identity(flat, "d", tmp_path) != base


def test_a_smaller_gain_than_min_delta_is_none(tmp_path: Path) -> None:
    phase = {"epochs": 9, "lr": 1e-3, "monitor": "val_loss", "patience": 2, "min_delta": 100.0}
    _, history, best = fit(load(tmp_path, [phase]))
    assert best.epoch == 1
    assert len(history) == 3


def test_each_phase_counts_its_patience_anew(tmp_path: Path) -> None:
    still = {"epochs": 5, "lr": 1e-12, "monitor": "val_accuracy", "patience": 2, "freeze": "backbone"}
    quiet = {"augment": "none", "head": {"hidden": None, "dropout": 0.0}}
    _, history, best = fit(load(tmp_path, [still, still], **quiet))
    assert [row["phase"] for row in history] == ["p0"] * 3 + ["p1"] * 3
    assert best.epoch == 4


@pytest.mark.parametrize("mean", [{"ema": 0.9}, {"swa": 0.5}])
def test_the_mean_of_the_weights_is_what_is_validated_and_kept(tmp_path: Path, mean: dict[str, float]) -> None:
    phases = [{"epochs": 4, "lr": 3e-3}]
    plain = fit(load(tmp_path, phases))
    model, history, best = fit(load(tmp_path, phases, **mean))
    assert [row["train_loss"] for row in history] == [row["train_loss"] for row in plain[1]]
    assert history[-1]["val_loss"] != plain[1][-1]["val_loss"]
    val = tiles()[1]
    assert loop.validate(model, val, val.targets, "fp32")[0]["val_loss"] == pytest.approx(best.value, abs=1e-6)


def test_a_loss_that_explodes_leaves_the_last_good_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Checkpointer, "cheap", lambda _: True)
    p = load(tmp_path, [{"epochs": 2, "lr": 1e-3}, {"epochs": 2, "lr": 10.0, "optimizer": "sgd"}])
    with checkpointing(tmp_path, "me", 10, {}) as checkpointer:
        with pytest.raises(UserError, match=r"epoch 3.*lower train\.lr"):
            loop.Loop(network(), *tiles(), _explosive(p), lambda *_: None, checkpointer).run()
        kept = checkpointer.latest()
    assert kept is not None
    assert len(kept["history"]) == 2
    assert all(bool(tensor.isfinite().all()) for tensor in kept["model"].values())


def _explosive(p: params.Params) -> params.Params:
    """The same params with a learning rate beyond what params.yaml may hold."""
    recipe = p.recipes["fast"]
    phases = [recipe.phases[0], recipe.phases[1].model_copy(update={"lr": 1e30})]
    return p.model_copy(update={"recipes": {"fast": recipe.model_copy(update={"phases": phases})}})


@pytest.mark.long
@pytest.mark.parametrize("extra", [{}, {"ema": 0.8, "accumulate": 2}, {"swa": 0.0, "augment": "mixup"}])
def test_going_on_from_any_batch_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    """Stopped after every second state, one a batch, by what a signal does, until it comes to its end."""
    monkeypatch.chdir(tmp_path)
    phases = [
        {"freeze": "backbone", "epochs": 2, "lr": 1e-2, "scheduler": "cosine"},
        {"freeze": "layer2", "epochs": 2, "scheduler": "plateau", "optimizer": "sam" if not extra else "adamw"},
    ]
    p = load(tmp_path, phases, {"train.keep_phases": True}, **extra)
    model = network()
    unbroken = loop.Loop(model, *tiles(), p, lambda *_: None)
    history, best = unbroken.run()
    saved = resumed_at = 0

    def save(self: Checkpointer, content: dict[str, Any]) -> None:
        nonlocal saved
        saved += 1
        original(self, content)
        self.signal = 15 if saved == resumed_at + 2 else 0

    original = Checkpointer.save
    monkeypatch.setattr(Checkpointer, "save", save)
    stops = 0
    while stops < 20:
        again, resumed_at = network(), saved
        with checkpointing(tmp_path, "me", 1e-9, {}) as checkpointer, suppress(Interrupted):
            resumed = loop.Loop(again, *tiles(), p, lambda *_: None, checkpointer)
            history_again, best_again = resumed.run()
            break
        stops += 1
    assert stops >= 4
    assert same(unbroken.kept["p0"], resumed.kept["p0"])
    assert same(model.state_dict(), again.state_dict())
    assert history == history_again
    assert (best.epoch, best.value) == (best_again.epoch, best_again.value)
