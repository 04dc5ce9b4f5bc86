"""Networks whose BatchNorm knows a scale, as pretrained ones do, and the mistakes that the guards are for."""

from dataclasses import replace

import numpy as np
import torch
from conftest import DEFAULTS
from small import CPU, network, tiles
from torch import nn

from landuse import params
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.training.guards import EpochFacts, Guards

SETTINGS = params.read(DEFAULTS / "params.yaml").collapse
NAMES = ["red", "green", "blue"]
TRUTH_001 = np.repeat(np.arange(5), (10, 21, 19, 8, 17))  # validation labels of document 001


def calibrate(model: Classifier, pixels: torch.Tensor) -> Classifier:
    """Give every BatchNorm the statistics of these pixels."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(pixels)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return model


def pretrained(freeze: params.Freeze = "backbone") -> Classifier:
    """A small network that expects these tiles as they are, partly frozen."""
    model = calibrate(network(), next(replace(tiles()[0], batch_size=64).in_order())[0])
    model.freeze(freeze)
    return model


def rescaled(model: Classifier, factor: float) -> Classifier:
    """Let the backbone see pixels that were divided by a factor too much, not centred: 255 is double scaling."""
    model.mean.zero_()
    model.std.fill_(255 * factor)
    return model


def guards(action: str = "warn", classes: list[str] = NAMES, **other: object) -> Guards:
    return Guards(SETTINGS.model_copy(update={"action": action, **other}), classes)


def facts(predicted: np.ndarray, epoch: int = 1, val_loss: float = 1.0, norm: float = 1.0, **row: float) -> EpochFacts:
    return EpochFacts({"epoch": epoch, "train_loss": 1.0, "val_loss": val_loss, **row}, predicted, norm)


def patches_001(seed: int = 0) -> tuple[Batches, Batches]:
    """Document 001's data in kind: 300 and 75 patches of 8 x 8 pixels, 6 bands, reflectance 0 to 0.4 in 1/10,000.

    Five spectra that the nearest mean tells apart without an error.
    """
    rng = np.random.default_rng(seed)
    spectra = rng.uniform(0.03, 0.33, (5, 6))
    targets = np.concatenate([np.repeat(TRUTH_001, 4), TRUTH_001])
    level = spectra[targets] + rng.normal(0, 0.01, (375, 6))
    images = level[:, None, None, :] + rng.normal(0, 0.02, (375, 8, 8, 6))
    images = (images.clip(0, 0.4) * 10_000).astype(np.uint16)
    rows = np.arange(375)
    return Batches(images, rows[:300], targets[:300], 32, CPU, rgb=False), Batches(
        images, rows[300:], targets[300:], 32, CPU, rgb=False
    )
