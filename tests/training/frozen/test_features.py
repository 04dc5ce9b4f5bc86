"""What the rest of a network gets: the same bits kept or not, whatever happens to the disk; and what the key is of."""

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import CPU, network, tiles
from torch import Tensor

from landuse.model import backbones
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.model.prefix import PrefixOutput
from landuse.params import Augment, Head
from landuse.storage.cache import Cache
from landuse.training import augment
from landuse.training.epochs import drawn, shuffled
from landuse.training.frozen.features import Features, sources
from landuse.training.frozen.views import views
from landuse.training.precision import autocast

DIHEDRAL = Augment(dihedral=True)
COLOURS = Augment(hflip=True, rotate=15, brightness=0.2)


def frozen(upto: str = "layer2", seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    model = network().to(memory_format=torch.channels_last)
    model.freeze(upto)  # type: ignore[arg-type]
    return model


def part(
    model: Classifier | None = None,
    settings: Augment = DIHEDRAL,
    frozen_views: int | None = None,
    precision: str = "fp32",
    seed: int = 0,
    batches: Batches | None = None,
) -> Features:
    batches = tiles()[0] if batches is None else batches
    own_views = views(settings, frozen_views, seed)
    assert own_views is not None
    return Features(model or frozen(), batches, settings, own_views, partial(autocast, precision, CPU))


def kept(made: Features, shelf: Path, limit_gb: float = 1.0, tiles: str = "digest") -> Features:
    assert made.keep(Cache(shelf, tiles, limit_gb), {"backbone": "x"}) is None
    return made


def epoch(made: Features, number: int = 1, **given: Any) -> list[tuple[Tensor, Tensor]]:
    return [(output.values, targets) for output, targets in made.shuffled(0, number, **given)]


def equal(first: list[tuple[Tensor, Tensor]], second: list[tuple[Tensor, Tensor]]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a, b) and a.stride() == b.stride() and a.dtype == b.dtype and torch.equal(t, u)
        for (a, t), (b, u) in zip(first, second, strict=True)
    )


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tiles the prefix computed, a number each time."""
    counts: list[int] = []
    prefix = Classifier.prefix

    def counting(self: Classifier, pixels: Tensor) -> PrefixOutput:
        counts.append(len(pixels))
        return prefix(self, pixels)

    monkeypatch.setattr(Classifier, "prefix", counting)
    return counts


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("settings", "frozen_views"), [(DIHEDRAL, None), (Augment(), None), (COLOURS, 3)])
def test_kept_or_not_the_bits_are_the_same(
    tmp_path: Path, precision: str, settings: Augment, frozen_views: int | None, computed: list[int]
) -> None:
    model = frozen()
    make = partial(part, model, settings, frozen_views, precision)
    plain, cold = make(), kept(make(), tmp_path)
    for number in (1, 2):
        assert equal(epoch(plain, number), epoch(cold, number))
    computed.clear()
    warm = kept(make(), tmp_path)
    assert len(computed) == 1  # a few tiles, for the key
    for number in (1, 2):
        assert equal(epoch(plain, number), epoch(warm, number))
    values = epoch(warm)[0][0]
    assert values.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    assert values.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("settings", [DIHEDRAL, COLOURS])
def test_a_branch_beside_what_is_frozen_sees_the_same_view_of_the_same_tile(tmp_path: Path, settings: Augment) -> None:
    torch.manual_seed(0)
    model = Classifier(
        backbones.build("test_resnet", 3, layers=1), Head(hidden=None, dropout=0.0), 3, [127.0] * 3, [60.0] * 3, 16
    )
    model.freeze("backbone")
    batches, own_views = tiles()[0], views(settings, 2, 0)
    assert own_views is not None
    made = kept(part(model, settings, 2, batches=batches), tmp_path)
    model.eval()
    for given, targets in [*made.shuffled(0, 1), *made.in_order()]:
        assert given.pixels is not None
        with torch.no_grad():
            assert model.cut is not None
            torch.testing.assert_close(given.values, model.cut.prefix(given.pixels))
            torch.testing.assert_close(model.pooled(given), model.backbone(given.pixels))
        assert len(given.pixels) == len(targets)
    order, draws = drawn(batches, 0, 1)
    pixels = augment.apply(
        settings,
        batches.pixels(batches.rows[order]),
        torch.from_numpy(own_views.numbers(batches.rows[order], own_views.of(draws))),
        batches.rgb,
    )
    seen = torch.cat([given.pixels for given, _ in made.shuffled(0, 1) if given.pixels is not None])
    assert torch.equal(seen, model.preprocess(pixels[: len(seen)]))


@pytest.mark.parametrize("name", ["efficientnet_lite0", "convnext_atto", "cnn_54k"])
def test_the_bits_depend_on_no_other_tile_and_no_size_of_batch(tmp_path: Path, name: str) -> None:
    """In fp32 libraries do round by the size of a batch: of one tile otherwise than of 64."""
    torch.manual_seed(0)
    backbone = backbones.build(name, 3)
    model = Classifier(backbone, Head(hidden=None, dropout=0.0), 3, [127.0] * 3, [60.0] * 3, 32)
    model.to(memory_format=torch.channels_last).freeze("backbone" if name == "cnn_54k" else "layer3")
    train = tiles(150)[0]
    by_tile: dict[tuple[int, bytes], Tensor] = {}
    for size, keeping in ((100, False), (37, True), (1, False), (1, True)):
        batches = replace(train, batch_size=size)
        own = part(model, batches=batches)
        own = kept(own, tmp_path / str(size)) if keeping else own
        order, draws = drawn(batches, 0, 1)
        outputs = torch.cat([values for values, _ in epoch(own)])
        own_views = views(DIHEDRAL, None, 0).of(draws)  # type: ignore[union-attr]
        for row, view, output in zip(batches.rows[order], own_views, outputs, strict=True):
            assert torch.equal(by_tile.setdefault((row, bytes(view)), output), output)


def test_the_prefix_always_computes_as_many_tiles(tmp_path: Path, computed: list[int]) -> None:
    made = kept(part(), tmp_path)
    for _ in made.in_order():
        pass
    for own in (made, part()):
        epoch(own)
        epoch(own, start=3)
    assert set(computed) == {64}


def test_a_tile_is_computed_once_a_view(tmp_path: Path, computed: list[int]) -> None:
    made = kept(part(settings=Augment()), tmp_path)
    computed.clear()
    for number in range(5):
        epoch(made, number)
    assert sum(computed) == 64  # of 64 tiles


@pytest.mark.parametrize("keeping", [False, True])
def test_it_yields_what_batches_would_through_the_prefix(tmp_path: Path, keeping: bool) -> None:
    """The same tiles in the same order, in training from any batch and in parts of batches, and in validation."""
    model, batches = frozen(), replace(tiles()[0], batch_size=12)
    made = part(model, batches=batches)
    made = kept(made, tmp_path) if keeping else made
    for given in ({}, {"start": 2}, {"share": (1, 3)}, {"start": 4, "share": (0, 5)}):
        expected = list(shuffled(batches, 0, 1, DIHEDRAL, **given))
        found = epoch(made, **given)
        assert len(found) == len(expected) == 5 - given.get("start", 0)
        for (values, targets), (pixels, own) in zip(found, expected, strict=True):
            torch.testing.assert_close(values, model.prefix(pixels).values)
            assert torch.equal(targets, own)
    assert [len(targets) for _, targets in made.in_order()] == [12, 12, 12, 12, 12, 4]
    for (output, targets), (pixels, own) in zip(made.in_order(), batches.in_order(), strict=True):
        torch.testing.assert_close(output.values, model.prefix(pixels).values)
        assert torch.equal(targets, own)


def test_a_share_of_no_tile_yields_nothing() -> None:
    none = np.empty(0, np.int64)
    assert list(part(batches=replace(tiles()[0], rows=none, targets=none)).in_order()) == []


def failing(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The disk gets full: so many writes, a short one, and errors."""
    write, count = os.pwrite, 0

    def full(file: int, content: bytes, at: int) -> int:
        nonlocal count
        count += 1
        if count > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, content[: len(content) // 2] if count == after else content, at)

    monkeypatch.setattr(os, "pwrite", full)


@pytest.mark.parametrize("after", [1, 2, 41, 90, 129])
def test_a_full_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], after: int
) -> None:
    expected = [epoch(part(), number=number) for number in (1, 2)]
    made = kept(part(), tmp_path)
    with monkeypatch.context() as patch:
        failing(patch, after)
        assert all(equal(own, epoch(made, number=number)) for number, own in enumerate(expected, 1))
    told = capsys.readouterr().out
    assert told.count("not kept any more (No space left on device): training goes on without") == 1
    again = kept(part(), tmp_path)
    assert all(equal(own, epoch(again, number=number)) for number, own in enumerate(expected, 1))


def test_what_cannot_be_kept_is_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = epoch(part())
    made = part()
    refusal = made.keep(Cache(tmp_path / "features", "digest", 1e-9), {})
    assert refusal is not None
    assert "runtime.cache_gb is 1e-09" in refusal
    assert equal(epoch(made), expected)
    (tmp_path / "file").touch()
    refusal = made.keep(Cache(tmp_path / "file" / "features", "digest", 1), {})
    assert refusal == "nothing can be written to .landuse (Not a directory)"
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", unable)
        refusal = made.keep(Cache(tmp_path / "features", "another", 1), {})
    assert refusal == "nothing can be written to .landuse (No space left on device)"
    assert equal(epoch(made), expected)
    assert equal(epoch(kept(part(), tmp_path / "features", tiles="another")), expected)


def unable(*_: object, **__: object) -> Iterator[None]:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_set_removed_while_it_is_used_changes_nothing(tmp_path: Path) -> None:
    expected = [epoch(part(), number=number) for number in (1, 2)]
    made = kept(part(), tmp_path)
    own = made.shuffled(0, 1)
    first = next(own)
    other = kept(part(frozen("layer3")), tmp_path, 0.0004)  # has room for one
    assert len([each for each in tmp_path.iterdir() if each.is_dir()]) == 1
    rest = [(output.values, targets) for output, targets in (first, *own)]
    assert equal(rest, expected[0])
    assert equal(epoch(made, number=2), expected[1])
    assert equal(epoch(other), epoch(part(frozen("layer3"))))


def key(tmp_path: Path, made: Features, tiles: str = "digest") -> str:
    """The name of the set that is made for a part."""
    before = {each.name for each in tmp_path.iterdir()}
    kept(made, tmp_path / "shelf", tiles=tiles)
    names = [each.name for each in (tmp_path / "shelf").iterdir()]
    for name in names:
        (tmp_path / "shelf" / name).rename(tmp_path / f"{len(before)}-{name}")
    assert len(names) == 1
    return names[0]


def changed(model: Classifier, name: str, upto: str = "layer2") -> Classifier:
    """The same network with one number other."""
    weights = model.state_dict()
    tensor = next(t for n, t in weights.items() if n.startswith(name))
    tensor[(0,) * tensor.ndim] += 0.001
    model.load_state_dict(weights)
    model.freeze(upto)  # type: ignore[arg-type]
    return model


def larger_input() -> Classifier:
    model = frozen()
    model.input_size = 24
    return model


def small_stem() -> Classifier:
    """The same weights, after which the first convolution strides otherwise."""
    model = frozen("backbone")
    conv = next(m for m in model.modules() if isinstance(m, torch.nn.Conv2d))
    conv.stride = (1, 1)
    return model


@pytest.mark.long
def test_the_key_changes_with_all_that_an_entry_depends_on(tmp_path: Path) -> None:
    train, val = tiles()
    brighter = replace(train, images=np.minimum(train.images, 200))
    made = {
        "base": part(),
        "weights of the prefix": part(changed(frozen(), "backbone.conv1")),
        "statistics of the prefix": part(changed(frozen(), "backbone.bn1.running_var")),
        "mean": part(changed(frozen(), "mean")),
        "deviation": part(changed(frozen(), "std")),
        "freezing": part(frozen("layer1")),
        "all frozen": part(frozen("backbone")),
        "stem": part(small_stem()),
        "input size": part(larger_input()),
        "precision": part(precision="bf16"),
        "no views": part(settings=Augment()),
        "fewer views": part(settings=Augment(hflip=True)),
        "other views as many": part(settings=Augment(vflip=True)),
        "pixels, if the digest did not tell": part(batches=brighter),
        "chosen views": part(settings=COLOURS, frozen_views=4),
        "more chosen views": part(settings=COLOURS, frozen_views=5),
        "another seed of chosen views": part(settings=COLOURS, frozen_views=4, seed=1),
        "another augmentation": part(settings=COLOURS.model_copy(update={"rotate": 10.0}), frozen_views=4),
        "flips before it": part(settings=COLOURS.model_copy(update={"vflip": True}), frozen_views=4),
    }
    keys = {what: key(tmp_path, own) for what, own in made.items()}
    keys["tiles"] = key(tmp_path, part(), "another digest")
    assert len(set(keys.values())) == len(keys)
    assert key(tmp_path, part()) == keys["base"]
    assert key(tmp_path, part(batches=val)) == keys["base"]
    assert key(tmp_path, part(batches=replace(train, rows=train.rows[::-2], batch_size=7))) == keys["base"]
    assert key(tmp_path, part(changed(frozen(), "backbone.layer3"))) == keys["base"]
    assert key(tmp_path, part(changed(frozen(), "head"))) == keys["base"]
    assert key(tmp_path, part(frozen("layer4"))) == keys["all frozen"]


def test_the_key_tells_precisions_apart_whose_outputs_have_one_dtype(tmp_path: Path) -> None:
    """ConvNeXt scales its layers in fp32, so that its prefix returns that in bf16 too."""
    torch.manual_seed(0)
    model = Classifier(
        backbones.build("convnext_atto", 3), Head(hidden=None, dropout=0.0), 3, [127.0] * 3, [60.0] * 3, 32
    )
    model.freeze("layer2")
    first, second = part(model), part(model, precision="bf16")
    assert epoch(first)[0][0].dtype == epoch(second)[0][0].dtype == torch.float32
    assert key(tmp_path, first) != key(tmp_path, second)


def test_sources_of_a_phase() -> None:
    train, val = tiles()
    context = partial(autocast, "fp32", CPU)
    model = frozen("none")
    assert sources(model, train, val, DIHEDRAL, views(DIHEDRAL, None, 0), context) == (train, val)
    model.freeze("layer2")
    own, other = sources(model, train, val, COLOURS, None, context)
    assert own is train  # endless views
    assert isinstance(other, Features)  # validation has one
    assert np.array_equal(other.targets, val.targets)
