"""Pre-training without labels: what it learns, from which tiles, and that a kill or the cache changes no bit."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import trained
from conftest import ROOT
from small import load, network, same, tiles
from torch import Tensor

from landuse import params
from landuse.core.errors import UserError
from landuse.core.paths import ANSWERS, MODEL, SPLIT, TRAIN_METRICS
from landuse.model import saved
from landuse.model.autoencoder import Autoencoder
from landuse.spec.answers import Answers
from landuse.storage.cache import Cache
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store
from landuse.training import autoencoder, prepare
from landuse.training.autoencoder import Pretrained, pretrain
from landuse.training.loop import Loop
from stages import RUN, untracked

TILES = tiles()[0]


def settings(tmp_path: Path, epochs: int = 2, lr: float = 3e-3, **changes: Any) -> params.Params:
    changed = {"model.backbone": "cnn_54k"} | {name.replace("__", "."): value for name, value in changes.items()}
    return load(tmp_path, changes=changed, pretraining={"epochs": epochs, "lr": lr})


def pretrained(p: params.Params, cache: Cache | None = None) -> Pretrained:
    return pretrain(network(backbone="cnn_54k"), TILES, p, cache, "pixels")


def kept_in(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "features", "tiles", 1.0)


def test_it_learns_to_reconstruct_and_leaves_the_encoder_in_the_network(tmp_path: Path) -> None:
    model = network(backbone="cnn_54k")
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = pretrain(model, TILES, settings(tmp_path, epochs=12), None, "")
    pixels = next(TILES.in_order())[0]
    x = model.preprocess(pixels)
    assert found.error < 0.7 * x.var(dim=(0, 2, 3)).mean()  # of drawing every tile in the mean colour
    now = model.state_dict()
    assert all(parameter.grad is None for parameter in model.parameters()), "the first phase would add it to its own"
    moved = {name for name in fresh if not torch.equal(fresh[name], now[name])}
    assert moved == {f"backbone.{part}.0.{kind}" for part in ("stem", "layer2") for kind in ("weight", "bias")}
    assert torch.equal(found.weights["encoder.0.0.weight"], now["backbone.stem.0.weight"])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(tmp_path: Path) -> None:
    p = settings(tmp_path)
    first, again = pretrained(p), pretrained(p)
    assert same(first.weights, again.weights) and first.error == again.error
    other = pretrained(settings(tmp_path, train__seed=1))
    assert not torch.equal(first.weights["decoder.0.weight"], other.weights["decoder.0.weight"])


def test_killed_in_the_middle_or_kept_it_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    p, cache, original = settings(tmp_path), kept_in(tmp_path), autoencoder.shuffled
    alone = pretrained(p)

    def killed(of: Any, seed: int, epoch: int, *others: Any) -> Any:
        if epoch == 2:
            raise KeyboardInterrupt
        return original(of, seed, epoch, *others)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(autoencoder, "shuffled", killed)
        pretrained(p, cache)
    capsys.readouterr()
    for trains in (True, False):
        found = pretrained(p, cache)
        assert same(found.weights, alone.weights) and found.error == alone.error
        assert ("epoch   1" in capsys.readouterr().out) == trains
    (values,) = tmp_path.glob("features/*/values.bin")
    content = bytearray(values.read_bytes())
    content[-1] ^= 1
    values.write_bytes(content)
    assert same(pretrained(p, cache).weights, alone.weights)
    assert "epoch   1" in capsys.readouterr().out


def test_a_training_is_the_same_whether_it_was_kept_or_computed(tmp_path: Path) -> None:
    p, cache = settings(tmp_path, epochs=1, train__epochs=1), kept_in(tmp_path)
    ends = []
    for _ in range(2):
        model = network(backbone="cnn_54k")
        pretrain(model, TILES, p, cache, "pixels")
        Loop(model, *tiles(), p, lambda *_: None).run()
        ends.append(model.state_dict())
    assert same(*ends)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"lr": 1e-3},
        {"train__seed": 1},
        {"train__augment": "none"},
        {"train__batch_size": 8},
        {"tiles": "b"},
    ],
)
def test_what_is_kept_is_not_used_for_other_settings_or_tiles(tmp_path: Path, change: dict[str, Any]) -> None:
    asked: list[str] = []

    class Asked(Cache):
        def open(self, key: str, *_: Any) -> Any:
            asked.append(key)
            raise OSError(28, "No space left on device")

    for changed in ({}, change):
        p = settings(tmp_path, **{name: value for name, value in changed.items() if name != "tiles"})
        of = replace(TILES, rows=TILES.rows[:16], batch_size=p.recipe.batch_size)
        pretrain(network(backbone="cnn_54k"), of, p, Asked(tmp_path, "tiles", 1.0), changed.get("tiles", "a"))
    assert len(set(asked)) == 2


def test_an_error_that_is_no_number_is_told_with_the_key(tmp_path: Path) -> None:
    model = network(backbone="cnn_54k")
    model.std.fill_(1e-30)
    with pytest.raises(UserError, match=r"not a number: lower recipes\.fast\.pretraining\.lr \(it is 0\.003\)"):
        pretrain(model, TILES, settings(tmp_path), None, "")


def test_a_size_that_cannot_be_halved_is_refused(tmp_path: Path) -> None:
    model = network(backbone="cnn_54k")
    model.input_size = 18
    with pytest.raises(UserError, match=r"input_size is 18.* cannot halve 2 times: choose a multiple of 4"):
        pretrain(model, TILES, settings(tmp_path), None, "")


def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in a folder with a few tiles, of which some training tiles are left out."""
    trained.build(tmp_path, trained.spec(), count=90, tests=6)
    for name in ("src", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    split = pd.read_csv(SPLIT, keep_default_na=False)
    split.loc[split.index[split["split"] == "train"][::3], "split"] = "unused"
    split.to_csv(SPLIT, index=False)


def test_it_sees_the_tiles_of_training_and_those_without_labels_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace(tmp_path, monkeypatch)
    seen: list[Any] = []

    def noting(_: Any, of: Any, *__: Any) -> Pretrained:
        seen.append(of)
        return Pretrained({}, 0.0)

    monkeypatch.setattr(prepare, "pretrain", noting)
    made = prepare.prepare(settings(tmp_path, model__input_size=32))
    split = read_split(open_store())
    assert sorted(seen[0].rows) == split.index[split["split"].isin(["train", "unused"])].tolist()
    assert len(seen[0].rows) > len(made.train.rows)
    assert set(seen[0].targets) == {-1}
    assert (made.spec.weights, made.spec.input_adapter) == ("autoencoder", "inflate")


def test_a_network_without_one_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"no autoencoder of resnet50: -S model\.backbone=cnn_95k or cnn_54k"):
        prepare.prepare(settings(tmp_path, model__backbone="resnet50"))


@pytest.mark.long
def test_the_stages_keep_it_and_ask_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(tmp_path, monkeypatch)
    untracked(monkeypatch)
    p = settings(tmp_path, model__input_size=32, train__epochs=1, collapse__action="warn", evaluate__bootstrap=100)
    RUN["train"](p)
    assert "reconstruction_error" in json.loads(TRAIN_METRICS.read_text())
    RUN["evaluate"](p)
    store, split = open_store(), read_split(open_store())
    model, spec = saved.load(MODEL)
    own = saved.load_autoencoder(spec)
    assert not torch.equal(own.encoder[0][0].weight, model.backbone.stem[0].weight), "the network has learnt on"
    for part in ("test", "aside"):
        found = Answers.load(ANSWERS / f"{part}.npz", len(split))
        assert found.reconstruction is not None
        assert np.allclose(found.reconstruction, errors(own, model, store.images[found.rows]), rtol=1e-4)
    scores = json.loads(Path("reports/evaluate.json").read_text())["ood"]["scores"]
    assert "reconstruction" in scores


def errors(own: Autoencoder, model: Any, images: Any) -> Any:
    pixels: Tensor = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        return own.errors(model.preprocess(pixels)).numpy()
