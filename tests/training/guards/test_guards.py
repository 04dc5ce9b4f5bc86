"""Each guard finds what it is for, and nothing else; none leaves a trace."""

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from healthy import NAMES, SETTINGS, TRUTH_001, facts, guards, pretrained, rescaled
from small import network, tiles
from torch.nn import functional as F

from landuse import params
from landuse.core.errors import UserError
from landuse.model import backbones
from landuse.model.classifier import Classifier
from landuse.training.guards import Collapsed, Guards, probe, start
from landuse.training.guards.epoch import learning, numbers, predictions


def looked(model: Classifier, *parts: object, **other: object) -> dict[str, str]:
    """The verdicts before training."""
    found = guards(**other)
    found.before_training(model, *(parts or tiles()))
    return {name: check["verdict"] for name, check in found.report()["checks"].items()}


def fit_head(model: Classifier, found: Guards, targets: np.ndarray, epochs: int) -> None:
    """Train the head with these labels, asking the guards before, after every epoch and at the end."""
    train, val = tiles()
    train = replace(train, targets=targets, batch_size=64)
    found.before_training(model, train, val)
    opt = torch.optim.Adam(model.head.parameters(), lr=1e-2)
    for epoch in range(1, epochs + 1):
        for pixels, labels in train.in_order():
            opt.zero_grad()
            F.cross_entropy(model(pixels), labels).backward()
            opt.step()
        norm = torch.cat([p.grad.flatten() for p in model.head.parameters()]).norm().item()
        with torch.no_grad():
            output = torch.cat([model.eval()(pixels) for pixels, _ in val.in_order()])
        model.train()
        loss = F.cross_entropy(output, torch.from_numpy(val.targets)).item()
        found.after_epoch(model, train, val, facts(output.argmax(1).numpy(), epoch, loss, norm))
    found.at_end({"epoch": epochs, "val_accuracy": (output.argmax(1).numpy() == val.targets).mean()})


@pytest.mark.parametrize("action", ["fail", "stop"])
def test_a_frozen_network_that_sees_pixels_divided_twice_is_refused(action: str) -> None:
    with pytest.raises(Collapsed, match=r"auto.*collapse\.action=warn") as raised:
        guards(action).before_training(rescaled(pretrained(), 255), *tiles())
    assert isinstance(raised.value, UserError)
    assert "\n" not in str(raised.value)


def test_double_scaling_shows_in_the_inputs_and_the_features() -> None:
    verdicts = looked(rescaled(pretrained(), 255))
    assert (verdicts["inputs"], verdicts["features"]) == ("collapse", "collapse")
    found = guards()
    found.before_training(rescaled(pretrained(), 255), *tiles())
    checks = found.report()["checks"]
    assert checks["inputs"]["measured"]["largest_std"] < 1e-3
    assert "alike" in checks["features"]["cause"]


def test_one_class_after_double_scaling_is_found_in_the_second_epoch() -> None:
    found = guards()
    fit_head(rescaled(pretrained(), 255), found, tiles()[0].targets, epochs=2)
    check = found.report()["checks"]["one_class"]
    assert (check["verdict"], check["epoch"]) == ("collapse", 2)


def test_the_right_scale_passes_and_learns() -> None:
    found = guards("fail")
    fit_head(pretrained(), found, tiles()[0].targets, epochs=20)
    report = found.report()
    assert {name: check["verdict"] for name, check in report["checks"].items()} == dict.fromkeys(report["checks"], "ok")
    assert report["baselines"]["band_statistics"] > 0.9


@pytest.mark.parametrize("freeze", ["none", "layer2", "backbone"])
def test_untrained_weights_are_no_collapse(freeze: str) -> None:
    model = network()
    model.freeze(freeze)  # type: ignore[arg-type]
    assert set(looked(model, action="fail").values()) <= {"ok", "warning"}


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small"])
def test_random_weights_are_judged_by_the_statistics_of_the_batch(name: str) -> None:
    """In eval mode their features vanish (mobilenet) or explode: statistics of 0 and 1 are nobody's."""
    torch.manual_seed(0)
    head = params.Head(hidden=None, dropout=0.0)
    model = Classifier(backbones.build(name, 3), head, 3, [127.0] * 3, [60.0] * 3, 32)
    verdicts = looked(model, action="fail")
    assert (verdicts["features"], verdicts["outputs"]) == ("ok", "ok")


def test_permuted_labels_are_not_learning_and_not_collapse() -> None:
    found = guards("fail")
    labels = np.random.default_rng(4).permutation(tiles()[0].targets)
    fit_head(pretrained(), found, labels, epochs=8)
    checks = found.report()["checks"]
    assert checks["one_class"]["verdict"] == "ok"
    assert checks["baseline"]["verdict"] == "warning"
    assert "labels belong to their tiles" in checks["baseline"]["cause"]


def test_chance_for_three_epochs_is_a_warning_and_a_loss_that_stands_still_is_collapse() -> None:
    losses = {"moving": [1.2, 1.1, 1.15, 1.3], "still": [1.2, 1.20001, 1.20002, 1.20001]}
    verdicts = {name: learning(values, 3, 0.0).verdict for name, values in losses.items()}
    assert verdicts == {"moving": "warning", "still": "collapse"}
    assert learning([0.01] * 4, 0, 0.0).verdict == "ok"  # it has learnt, and is done
    assert learning([1.2] * 4, 3, 0.5).verdict == "warning"  # BatchNorm has yet to follow


def test_a_label_that_really_is_nearly_everywhere_is_no_alarm() -> None:
    train, val = tiles()
    rare = np.zeros_like(val.targets)
    rare[:1] = 1
    val = replace(val, targets=rare)
    train = replace(train, targets=(np.arange(len(train.rows)) % 32 == 0).astype(np.int64))
    found = guards("fail", ["common", "rare"])
    model = pretrained()
    found.before_training(model, train, val)
    for epoch in range(1, 5):
        found.after_epoch(model, train, val, facts(np.zeros_like(rare), epoch, 0.2))
    found.at_end({"epoch": 4, "val_accuracy": 31 / 32})
    assert {check["verdict"] for check in found.report()["checks"].values()} == {"ok"}


def test_pixels_that_are_no_numbers_are_found() -> None:
    train, val = tiles()
    images = train.images.astype(np.float32)
    images[3] = np.nan
    with pytest.raises(Collapsed, match="no numbers"):
        guards("fail").before_training(pretrained(), replace(train, images=images), replace(val, images=images))


def test_the_confusion_of_document_001_is_one_class() -> None:
    told = predictions(TRUTH_001, np.zeros(75, dtype=np.int64), 5, SETTINGS)
    assert told["one_class"] == told["chance"] == told["largest_share"] == 1
    assert np.mean(TRUTH_001 == 0) == pytest.approx(0.1333, abs=1e-4)
    assert (told["macro_recall"], told["mcc"], told["entropy"]) == (pytest.approx(0.2), 0, 0)


def test_one_class_of_a_network_whose_logits_differ_is_collapse_only_when_it_lasts() -> None:
    """A new head may prefer one label at first."""
    model, (train, val) = pretrained(), tiles()
    found = guards("fail")
    found.before_training(model, train, val)
    for epoch in range(1, 5):
        found.after_epoch(model, train, val, facts(np.zeros_like(val.targets), epoch, 2 - epoch / 10))
        assert found.report()["checks"]["one_class"]["verdict"] == ("ok" if epoch == 1 else "warning")
    with pytest.raises(Collapsed, match="one_class"):
        found.after_epoch(model, train, val, facts(np.zeros_like(val.targets), 5, 1.0))
    assert found.report()["checks"]["one_class"]["verdict"] == "collapse"


def test_labels_that_left_their_tiles_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = start.shuffled
    mistaken = lambda *given: ((pixels, targets.roll(1)) for pixels, targets in honest(*given))  # noqa: E731
    monkeypatch.setattr(start, "shuffled", mistaken)
    assert looked(pretrained())["pairing"] == "collapse"


def test_a_label_without_tiles_and_a_tile_in_two_parts_are_found() -> None:
    train, val = tiles()
    few = train.targets != 2
    fewer = replace(train, rows=train.rows[few], targets=train.targets[few])
    assert looked(pretrained(), fewer, val)["pairing"] == "collapse"
    leaked = replace(val, rows=train.rows[: len(val.rows)], targets=train.targets[: len(val.rows)])
    assert looked(pretrained(), train, leaked)["pairing"] == "warning"


def test_a_gap_between_batch_and_learnt_statistics_is_told_in_its_second_epoch() -> None:
    model, (train, val) = pretrained("none"), tiles()
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer *= 1e-3
    found = guards()
    found.before_training(model, train, val)
    for epoch in (1, 2):
        found.after_epoch(model, train, val, facts(val.targets, epoch))
        assert found.report()["checks"]["eval_gap"]["verdict"] == ("ok" if epoch == 1 else "warning")


def test_losses_and_gradients_that_are_out_of_range_are_told() -> None:
    def verdict(norm: float, at_chance: bool = False, **row: float) -> str:
        return numbers({"train_loss": 1.0, "val_loss": 1.0} | row, norm, at_chance, SETTINGS).verdict

    assert (verdict(1.0), verdict(0.0), verdict(0.0, at_chance=True)) == ("ok", "ok", "collapse")
    assert (verdict(2e3), verdict(float("nan")), verdict(float("inf"))) == ("warning",) * 3
    assert verdict(1.0, val_loss=float("nan")) == "collapse"


def test_the_baselines_are_a_gate_if_the_user_says_so() -> None:
    for gate, row, verdict in ((False, 0.3, "warning"), (True, 0.95, "ok"), (True, 0.3, "collapse")):
        found = guards(gate=gate)
        found.before_training(pretrained(), *tiles())
        found.at_end({"epoch": 3, "val_accuracy": row})
        assert found.report()["checks"]["baseline"]["verdict"] == verdict
    with pytest.raises(Collapsed, match="commonest label"):
        found = guards("fail", gate=True)
        found.before_training(pretrained(), *tiles())
        found.at_end({"epoch": 3, "val_accuracy": 0.3})


def test_stop_ends_after_the_epoch_and_warn_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    for action, stopped in (("warn", False), ("stop", True)):
        found = guards(action)
        found.before_training(pretrained(), *tiles())
        found.after_epoch(pretrained(), *tiles(), facts(tiles()[1].targets, 1, float("nan")))
        assert found.stopped == found.report()["stopped"] == stopped
        told = capsys.readouterr().out.strip().splitlines()
        assert len(told) == 1
        assert told[0].startswith("collapse (numbers), epoch 1: the loss is not a number")


@pytest.mark.parametrize("training", [True, False])
def test_no_guard_leaves_a_trace(training: bool) -> None:
    model = pretrained("layer2").train(training)
    before = pickle.dumps({name: tensor.numpy() for name, tensor in model.state_dict().items()})
    modes = [module.training for module in model.modules()]
    state, numpy_state = torch.get_rng_state(), pickle.dumps(np.random.get_state())
    found = guards()
    found.before_training(model, *tiles())
    for epoch in (1, 2, 3):
        found.after_epoch(model, *tiles(), facts(np.zeros(32, dtype=np.int64), epoch))
    assert pickle.dumps({name: tensor.numpy() for name, tensor in model.state_dict().items()}) == before
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert pickle.dumps(np.random.get_state()) == numpy_state
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_is_frozen_sees_the_same_tiles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until something else is frozen; the gap is what guards find that look for the first time."""
    model, prefix, seen = pretrained("layer2"), Classifier.prefix, []
    monkeypatch.setattr(Classifier, "prefix", lambda self, pixels: (seen.append(id(self.cut)), prefix(self, pixels))[1])

    def gap(found: Guards) -> object:
        found.after_epoch(model.train(), *tiles(), facts(tiles()[1].targets, 1))
        return found.report()["checks"]["eval_gap"]["measured"]

    known = guards()
    for freeze in ("layer2", "layer1"):
        model.freeze(freeze)
        assert gap(known) == gap(known) == gap(guards())
    assert len(seen) == 2 + 2
    assert len(set(seen)) == 2


def test_a_training_that_was_killed_ends_with_the_same_report() -> None:
    model, (train, val) = pretrained("layer2"), tiles()
    losses = [1.2, 1.20001, 1.20002, 1.20001, 0.8]

    def run(found: Guards, first: int) -> tuple[str, list[str]]:
        """The report at the end, and the state before each epoch."""
        states = []
        for epoch in range(first, 5):
            states.append(json.dumps(found.state()))
            found.after_epoch(model, train, val, facts(np.zeros_like(val.targets), epoch + 1, losses[epoch]))
        found.at_end({"epoch": 5, "val_accuracy": 0.5})
        return json.dumps(found.report(), sort_keys=True, allow_nan=False), states

    whole = guards()
    whole.before_training(model, train, val)
    report, states = run(whole, 0)
    for at in (0, 1, 2, 4):
        resumed = guards()
        resumed.restore(json.loads(states[at]))
        assert run(resumed, at)[0] == report, at


def test_the_report_keeps_its_size() -> None:
    model, (train, val) = pretrained(), tiles()
    found = guards()
    found.before_training(model, train, val)
    sizes = []
    for epoch in range(1, 31):
        found.after_epoch(model, train, val, facts(val.targets, epoch, float("nan"), float("inf")))
        sizes.append(len(json.dumps([found.report(), found.state()], allow_nan=True)))
    assert max(sizes) < 1.1 * sizes[5]
    json.dumps(found.report(), allow_nan=False)
    assert found.report()["checks"]["numbers"]["measured"]["val_loss"] is None


def test_a_sample_holds_all_classes_of_a_store_that_is_sorted_by_class() -> None:
    train, _ = tiles()
    ordered = replace(train, rows=train.rows[np.argsort(train.targets)], targets=np.sort(train.targets))
    assert len(set(next(probe.sample(ordered).in_order())[1].tolist())) == len(NAMES)
