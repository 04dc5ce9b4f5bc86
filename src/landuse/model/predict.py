"""Logits of many tiles."""

import numpy as np
import numpy.typing as npt
import torch

from landuse.batches import Batches
from landuse.model.classifier import Classifier


def logits(model: Classifier, batches: Batches) -> npt.NDArray[np.float32]:
    """Return (n, classes) float32 logits of the tiles in order. The model is left in the mode it was in."""
    training = model.training
    model.eval()
    with torch.inference_mode():
        parts = [model(pixels).float().cpu() for pixels, _ in batches.in_order()]
    model.train(training)
    return torch.cat(parts).numpy()


def pick_device() -> torch.device:
    """The first accelerator there is, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
