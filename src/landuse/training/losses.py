"""Losses over whole and over mixed labels, as sums, so that batches can be joined with the right weights."""

from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landuse import params


class Loss(nn.Module):
    """Cross-entropy, or the focal loss of Lin et al. 2017 (softmax form); class weights; label smoothing.

    Class weights are N / (C n), counted on the training tiles; the focal loss has them in place of its alpha.
    """

    class_weights: Tensor | None

    def __init__(self, settings: params.Loss, targets: npt.NDArray[np.int64], classes: int) -> None:
        super().__init__()
        self.gamma, self.smoothing = settings.gamma if settings.name == "focal" else 0.0, settings.label_smoothing
        weights = None
        if settings.class_weights:
            counts = np.bincount(targets, minlength=classes)
            weights = torch.tensor(len(targets) / (classes * counts), dtype=torch.float32)
        self.register_buffer("class_weights", weights)

    def forward(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | float]:
        """Return the summed loss of a batch and the weight it stands for; their ratio is torch's weighted mean.

        logits: (B, C). targets: (B,) class numbers, or (B, C) shares of classes.
        """
        logits = logits.float()
        plain = partial(F.cross_entropy, weight=self.class_weights, reduction="sum", label_smoothing=self.smoothing)
        total = self._focal(logits, targets) if self.gamma else plain(logits, targets)
        if self.class_weights is None or targets.is_floating_point():
            return total, float(len(logits))
        return total, self.class_weights[targets].sum()

    def _focal(self, logits: Tensor, targets: Tensor) -> Tensor:
        classes = logits.shape[1]
        shares = targets if targets.is_floating_point() else F.one_hot(targets, classes).to(logits.dtype)
        shares = shares * (1 - self.smoothing) + self.smoothing / classes
        log_p = logits.log_softmax(1)
        terms = -shares * (1 - log_p.exp()) ** self.gamma * log_p
        return (terms if self.class_weights is None else terms * self.class_weights).sum()
