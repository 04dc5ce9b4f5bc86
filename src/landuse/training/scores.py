"""What training is judged by."""

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import f1_score
from torch import Tensor
from torch.nn import functional as F


def measured(logits: Tensor, targets: npt.NDArray[np.int64]) -> dict[str, float]:
    """Cross-entropy (unweighted, unsmoothed), accuracy and macro-F1 of (n, classes) logits of validation tiles."""
    predicted = logits.argmax(1).numpy()
    f1 = f1_score(targets, predicted, labels=range(logits.shape[1]), average="macro", zero_division=0)
    return {
        "val_loss": F.cross_entropy(logits, torch.from_numpy(targets)).item(),
        "val_accuracy": float(np.mean(predicted == targets)),
        "val_macro_f1": float(f1),
    }
