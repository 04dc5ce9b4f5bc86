"""The failure of document 001, and its repair, in the real loop.

Its ResNet-50 from Keras expects pixels of 0 to 255 less their mean, which deviate by about 60; it got reflectance, 0 to
0.4, through frozen layers. Without the ImageNet weights, random ones of a ResNet-18 stand in, whose BatchNorm has seen
pictures of the right scale: they show the mechanism. Scales are divided by 60 here, so that 1 is the right deviation.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from healthy import SETTINGS, calibrate, patches_001
from small import load

from landuse import params
from landuse.model import adapters, backbones
from landuse.model.classifier import Classifier
from landuse.training import loop
from landuse.training.guards import Collapsed, Guards

pytestmark = pytest.mark.long
CLASSES = ["Agriculture", "Forest", "Water", "Urban", "Barren"]


def pictures(count: int = 64, size: int = 32) -> torch.Tensor:
    """Pictures with the 1/f spectrum of natural ones, (count, 3, size, size), mean 0 and deviation 1."""
    rng = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size))
    frequency[0, 0] = 1 / size
    grey = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(count, 1, size, size))) / frequency, (size, size))
    colour = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(count, 3, size, size))) / frequency, (size, size))
    mixed = grey + 0.3 * colour
    return torch.from_numpy((mixed - mixed.mean()) / mixed.std()).float()


def network(mean: list[float], std: list[float], freeze: params.Freeze) -> Classifier:
    torch.manual_seed(0)
    backbone = backbones.build("resnet18", 3)
    head = params.Head(hidden=128, dropout=0.0, hidden_dropout=0.3)
    model = Classifier(backbone, head, 5, [0.0] * 3, [1.0] * 3, 32)
    calibrate(model, pictures())
    adapters.adapt(model.backbone, 6, adapters.Adapter("repeat"), model.stages)
    model.mean, model.std = (torch.tensor(v).view(1, -1, 1, 1) for v in (mean, std))
    model.freeze(freeze)
    return model


def train(
    tmp_path: Path, mean: list[float], std: list[float], freeze: params.Freeze, action: str, epochs: int = 2
) -> tuple[Guards, list[loop.Row]]:
    phase = {"freeze": freeze, "epochs": epochs, "lr": 1e-4, "optimizer": "adam"}
    phase |= {"weight_decay": 0.0, "scheduler": "constant"}
    loss = {"class_weights": False, "label_smoothing": 0.0}
    p = load(tmp_path, [phase], batch_size=32, augment="none", loss=loss)
    guards = Guards(SETTINGS.model_copy(update={"action": action}), CLASSES)
    learnt, judged = patches_001()
    torch.manual_seed(0)
    history, _ = loop.Loop(network(mean, std, freeze), learnt, judged, p, lambda *_: None, None, guards).run()
    return guards, history


def unscaled() -> tuple[list[float], list[float]]:
    return [0.0] * 6, [10_000.0 * 60] * 6


def right() -> tuple[list[float], list[float]]:
    images = patches_001()[0].images[:300]
    return images.mean((0, 1, 2)).tolist(), images.std((0, 1, 2)).tolist()


@pytest.mark.parametrize("freeze", ["backbone", "layer3"])
def test_the_guards_refuse_it_before_the_first_epoch(tmp_path: Path, freeze: params.Freeze) -> None:
    with pytest.raises(Collapsed, match="normalise of the recipe to auto"):
        train(tmp_path, *unscaled(), freeze, "fail")


def test_unguarded_it_names_one_class_and_the_second_epoch_says_so(tmp_path: Path) -> None:
    guards, history = train(tmp_path, *unscaled(), "backbone", "warn")
    checks = guards.report()["checks"]
    assert [checks[name]["verdict"] for name in ("inputs", "features", "one_class")] == ["collapse"] * 3
    assert checks["features"]["measured"]["cosine"] > 0.9999
    assert checks["one_class"]["epoch"] == 2
    assert max(row["val_accuracy"] for row in history) <= 21 / 75  # one of five classes


def test_the_right_scale_passes(tmp_path: Path) -> None:
    guards, history = train(tmp_path, *right(), "layer3", "fail", epochs=4)
    checks = guards.report()["checks"]
    del checks["outputs"]  # features of random weights are large, and so is the first loss: a warning
    assert {check["verdict"] for check in checks.values()} == {"ok"}, checks
    assert checks["features"]["measured"]["cosine"] < 0.9
    assert history[-1]["val_accuracy"] > 0.9
