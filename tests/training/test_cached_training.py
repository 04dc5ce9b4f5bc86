"""Training on what is kept of frozen stages ends where training without does, to the byte."""

import copy
import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import warm
from small import load, network, same, tiles
from torch import Tensor, nn

from landuse import params
from landuse.core.errors import Interrupted
from landuse.model.classifier import Classifier
from landuse.model.prefix import PrefixOutput
from landuse.storage.cache import Cache
from landuse.storage.checkpoints import Checkpointer, checkpointing
from landuse.training import loop
from landuse.training.loop import Row

PHASES = [
    {"freeze": "backbone", "epochs": 2, "lr": 1e-2, "scheduler": "cosine"},
    {"freeze": "layer2", "epochs": 3, "lr": 3e-3, "monitor": "val_accuracy"},
    {"freeze": "none", "epochs": 1, "lr": 1e-3},
]
Trained = tuple[dict[str, Tensor], list[Row]]


def fit(p: params.Params, shelf: Path | None = None, model: Classifier | None = None, **given: Any) -> Trained:
    """Weights and history of a training of a new network, kept in a shelf or not at all."""
    model = model or network().to(memory_format=torch.channels_last)
    cache = Cache(shelf, "digest", 1.0) if shelf else None
    history, _ = loop.Loop(model, *tiles(), p, lambda *_: None, cache=cache, **given).run()
    return model.state_dict(), history


def assert_same(first: Trained, second: Trained) -> None:
    assert same(first[0], second[0])
    assert first[1] == second[1]


def whole(model: Classifier) -> Classifier:
    """The network as it is without a cut, in every phase."""

    class Whole(Classifier):
        cut = None

    double = copy.deepcopy(model)
    double.__class__ = Whole
    return double


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tiles trunks computed, a number each time."""
    counts: list[int] = []
    prefix = Classifier.prefix

    def counting(self: Classifier, pixels: Tensor) -> PrefixOutput:
        counts.append(len(pixels))
        return prefix(self, pixels)

    monkeypatch.setattr(Classifier, "prefix", counting)
    return counts


@pytest.mark.long
@pytest.mark.parametrize(
    ("precision", "augment", "extra"),
    [
        ("fp32", "dihedral", {}),
        ("fp32", "none", {"swa": 0.4}),
        ("fp32", "dihedral", {"ema": 0.8, "accumulate": 2, "clip_norm": 1.0}),
        ("bf16", "dihedral", {"swa": 0.4}),
        ("bf16", "none", {"ema": 0.8, "accumulate": 2, "clip_norm": 1.0}),
    ],
)
def test_cold_warm_or_without_it_ends_in_the_same_bytes(
    tmp_path: Path, precision: str, augment: str, extra: dict[str, Any], computed: list[int]
) -> None:
    p = load(tmp_path, PHASES, {"train.precision": precision}, augment=augment, **extra)
    plain = fit(p)
    cold = fit(p, tmp_path / "features")
    computed.clear()
    warm = fit(p, tmp_path / "features")
    assert len(computed) == 4  # a few tiles for the key, in two phases for training and for validation
    assert_same(cold, plain)
    assert_same(warm, plain)


@pytest.mark.long
@pytest.mark.parametrize("change", [{"optimizer": "sam"}, {"bn": "adapt"}, {"bn": "train"}])
def test_other_ways_to_train_end_in_the_same_bytes_too(tmp_path: Path, change: dict[str, Any]) -> None:
    p = load(tmp_path, [phase | change for phase in PHASES[:2]])
    plain = fit(p)
    for _ in range(2):
        assert_same(fit(p, tmp_path / "features"), plain)


@pytest.mark.parametrize("augment", ["dihedral", "none"])
@pytest.mark.parametrize("bn", ["eval", "adapt"])
def test_it_is_the_training_of_the_whole_network(tmp_path: Path, augment: str, bn: str) -> None:
    """To rounding: the frozen BatchNorms are folded. In float64, where rounding stays small over epochs."""
    phases = [phase | {"bn": bn, "monitor": "val_loss"} for phase in PHASES[:2]]
    p = load(tmp_path, phases, augment=augment)
    model = network().double()
    nn.init.uniform_(model.backbone.conv1[1].weight, 0.5, 1.5)
    reference = fit(p, model=whole(model))
    found = fit(p, tmp_path / "features", model)
    assert list((tmp_path / "features").iterdir())
    for before, after in zip(reference[1], found[1], strict=True):
        assert list(after.values())[2:] == pytest.approx(list(before.values())[2:], rel=1e-6)
    for name, tensor in reference[0].items():
        torch.testing.assert_close(found[0][name], tensor, rtol=1e-7, atol=1e-9, msg=name)


@pytest.mark.long
def test_chosen_views_are_the_same_kept_or_not_and_not_the_endless_ones(tmp_path: Path, computed: list[int]) -> None:
    p = load(tmp_path, PHASES[:2], {"train.frozen_views": 3}, augment="d000")
    plain = fit(p)
    computed.clear()
    assert_same(fit(p, tmp_path / "features"), plain)
    filled = sum(computed)
    computed.clear()
    assert_same(fit(p, tmp_path / "features"), plain)
    assert sum(computed) < filled
    endless = load(tmp_path, PHASES[:2], augment="d000")
    found = fit(endless)
    assert_same(fit(endless, tmp_path / "features"), found)
    assert not same(found[0], plain[0])


@pytest.mark.parametrize("augment", ["mixup", "cutmix", "d000"])
def test_where_views_are_endless_only_validation_is_kept(tmp_path: Path, augment: str, computed: list[int]) -> None:
    p = load(tmp_path, [{"freeze": "layer2", "epochs": 2}], {"train.frozen_views": 3 if augment != "d000" else None},
             augment=augment)  # fmt: skip
    plain = fit(p)
    computed.clear()
    assert_same(fit(p, tmp_path / "features"), plain)
    assert computed.count(16) == 2 * 4  # batches of pixels
    assert len([each for each in (tmp_path / "features").iterdir() if each.is_dir()]) == 1


@pytest.mark.long
def test_stopped_at_any_batch_it_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each state is after a batch; it stops after every third; what was kept until then is used again."""
    monkeypatch.chdir(tmp_path)
    p = load(tmp_path, PHASES, ema=0.8)
    plain = fit(p)
    saved = resumed_at = 0

    def save(self: Checkpointer, content: dict[str, Any]) -> None:
        nonlocal saved
        saved += 1
        original(self, content)
        self.signal = 15 if saved == resumed_at + 3 else 0

    original = Checkpointer.save
    monkeypatch.setattr(Checkpointer, "save", save)
    stops = 0
    while stops < 20:
        resumed_at = saved
        with checkpointing(tmp_path, "me", 1e-9, {}) as checkpointer, suppress(Interrupted):
            found = fit(p, tmp_path / "features", checkpointer=checkpointer)
            break
        stops += 1
    assert stops >= 6
    assert_same(found, plain)


@pytest.mark.long
def test_experiments_share_what_is_frozen(tmp_path: Path, computed: list[int]) -> None:
    """Other learning rates, schedules and heads leave the frozen stages what they are."""
    first = load(tmp_path, PHASES[1:2], augment="none")
    fit(first, tmp_path / "features")
    sets = {each.name for each in (tmp_path / "features").iterdir()}
    for other in ({"lr": 1e-4}, {"scheduler": "onecycle"}, {"optimizer": "sgd"}):
        p = load(tmp_path, [PHASES[1] | other], augment="none")
        plain = fit(p)
        computed.clear()
        assert_same(fit(p, tmp_path / "features"), plain)
        assert len(computed) == 2  # a few tiles for the key, in training and in validation
    assert {each.name for each in (tmp_path / "features").iterdir()} == sets


EXPERIMENT = f"""
import hashlib, os
from pathlib import Path
import torch
import warm
from small import load, network, tiles
from landuse.storage.cache import Cache
from landuse.training.loop import Loop
folder = Path(os.environ["FOLDER"])
folder.mkdir()
p = load(folder, {PHASES[:2]!r})
model = network().to(memory_format=torch.channels_last)
Loop(model, *tiles(), p, lambda *_: None, cache=Cache(folder.parent / "features", "digest", 1.0)).run()
print("digest", hashlib.sha256(b"".join(t.numpy().tobytes() for t in model.state_dict().values())).hexdigest())
"""


@pytest.mark.long
def test_experiments_at_the_same_time_share_a_set(tmp_path: Path) -> None:
    weights, _ = fit(load(tmp_path, PHASES[:2]))
    expected = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in weights.values())).hexdigest()
    processes = [
        warm.code(EXPERIMENT, tmp_path, tmp_path / f"{name}-said", FOLDER=str(tmp_path / name)) for name in "ab"
    ]
    assert [process.end() for process in processes] == [0, 0]
    assert [process.out.splitlines()[-1] for process in processes] == [f"digest {expected}"] * 2
    assert len(list((tmp_path / "features").iterdir())) == 4  # two phases, training and validation


def test_a_limit_that_is_too_small_is_told_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    p = load(tmp_path, PHASES[1:2])
    plain = fit(p)
    model = network().to(memory_format=torch.channels_last)
    loop.Loop(model, *tiles(), p, lambda *_: None, cache=Cache(tmp_path / "features", "digest", 1e-6)).run()
    assert same(model.state_dict(), plain[0])
    told = capsys.readouterr().out
    assert (
        told.count("p0: what is frozen is computed in every epoch: it would take 0.0 GB, runtime.cache_gb is 1e-06")
        == 2
    )
