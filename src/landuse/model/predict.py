"""Logits of many tiles."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from landuse.model.classifier import Classifier
from landuse.model.prefix import PrefixOutput


class InOrder(Protocol):
    """Batches of tiles, or of what a frozen prefix made of them, each tile once; see ``Batches.in_order``."""

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]] | Iterator[tuple[PrefixOutput, Tensor]]: ...


def logits(model: Classifier, batches: InOrder) -> npt.NDArray[np.float32]:
    """Return (n, classes) float32 logits of the tiles in order. The model is left in the mode it was in."""
    training = model.training
    model.eval()
    with torch.inference_mode():
        parts = [model(given).float().cpu() for given, _ in batches.in_order()]
    model.train(training)
    return torch.cat(parts).numpy()


def pick_device() -> torch.device:
    """The first accelerator there is, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
