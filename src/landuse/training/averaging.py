"""Means of the weights over training: what is validated and kept instead of the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from landuse import params
from landuse.model.classifier import Classifier
from landuse.training.precision import batch_norms


class Average:
    """An exponential mean (timm's) with every step, or SWA's plain mean (torch's) over a phase's last epochs.

    The decay of the exponential mean grows as 1 - (1 + step)^(-2/3) up to its final value, so that a short phase
    does not drag its first weights along.
    """

    def __init__(self, model: Classifier, recipe: params.Recipe, phase: params.Phase) -> None:
        self._model = model
        self._ema = None if recipe.ema is None else ModelEmaV3(model, decay=recipe.ema, use_warmup=True)
        self._swa = None if recipe.swa is None else AveragedModel(model)
        self._swa_after = 0 if recipe.swa is None else round(recipe.swa * phase.epochs)
        self._steps = 0

    def after_step(self) -> None:
        self._steps += 1
        if self._ema:
            self._ema.update(self._model, self._steps)

    def after_epoch(self, epoch_in_phase: int, pixels: Iterator[Tensor]) -> None:
        """Take in an epoch's last weights. epoch_in_phase: from 1. pixels: an epoch of training batches."""
        if self._swa and epoch_in_phase > self._swa_after:
            self._swa.update_parameters(self._model)
            _renew_statistics(self._swa.module, pixels)  # type: ignore[arg-type]

    @property
    def model(self) -> Classifier:
        """The network to validate: the mean where there is one already."""
        if self._ema:
            return self._ema.module  # type: ignore[no-any-return]
        if self._swa and self._swa.n_averaged > 0:
            return self._swa.module  # type: ignore[return-value]
        return self._model

    def state_dict(self) -> dict[str, Any]:
        kept = self._ema or self._swa
        return {"steps": self._steps, "mean": kept.state_dict() if kept else {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._steps = state["steps"]
        kept = self._ema or self._swa
        if kept:
            kept.load_state_dict(state["mean"])


def _renew_statistics(model: Classifier, pixels: Iterator[Tensor]) -> None:
    """Measure BatchNorm statistics anew for averaged weights; frozen ones stay.

    torch's ``update_bn`` would reset the frozen ones too, and never fill them again.
    """
    model.train()
    norms = batch_norms(model)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
    with torch.no_grad():
        for batch in pixels:
            model(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


@contextmanager
def still_statistics(model: Classifier) -> Iterator[None]:
    """Keep BatchNorm statistics where they are while a batch runs a second time."""
    norms = batch_norms(model)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
