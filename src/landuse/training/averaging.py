"""Means of the weights over training: what is validated and kept instead of the weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel

from landuse import params
from landuse.model.classifier import Classifier


class Average:
    """An exponential mean (timm's) with every step, or SWA's plain mean (torch's) over a phase's last epochs.

    The exponential mean's decay grows as 1 - (1 + step)^(-2/3) to its final value: a short phase forgets its start.
    """

    def __init__(self, model: Classifier, recipe: params.Recipe, phase: params.Phase) -> None:
        self._model = model
        self._ema = None if recipe.ema is None else ModelEmaV3(model, decay=recipe.ema, use_warmup=True)
        self._swa = None if recipe.swa is None else AveragedModel(model)
        self._swa_after = round((recipe.swa or 0) * phase.epochs)
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
        if kept := self._ema or self._swa:
            kept.load_state_dict(state["mean"])


@torch.no_grad()
def _renew_statistics(model: Classifier, pixels: Iterator[Tensor]) -> None:
    """Measure BatchNorm statistics anew for averaged weights; frozen ones, which torch's ``update_bn`` resets, stay."""
    model.train()
    for norm in moving_norms(model):
        norm.reset_running_stats()
    with momentum(model, None):  # a plain mean over batches
        for batch in pixels:
            model(batch)
    model.eval()


@contextmanager
def momentum(model: nn.Module, value: float | None) -> Iterator[None]:
    """Let BatchNorm statistics that move follow the batches otherwise; 0: they stay where they are."""
    norms = moving_norms(model)
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = value
    yield
    for norm, own in zip(norms, before, strict=True):
        norm.momentum = own


def moving_norms(model: nn.Module) -> list[_BatchNorm]:
    """Return the BatchNorms whose statistics move: those in training mode."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm) and module.training]
