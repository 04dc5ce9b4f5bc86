"""One step of the optimiser: precision, compiling, accumulation, clipping, SAM and the mean of the weights."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from landuse import params
from landuse.core.errors import UserError
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.training import distributed, precision
from landuse.training.averaging import Average, momentum
from landuse.training.epochs import steps
from landuse.training.losses import Loss
from landuse.training.optim import optimizer, schedule


class Stepper:
    """A phase's optimiser and all that goes with it; ``batch`` takes it a batch further."""

    def __init__(self, model: Classifier, phase: params.Phase, p: params.Params, train: Batches) -> None:
        recipe, batches = p.recipe, steps(train)
        if recipe.accumulate > batches:
            given = f"accumulate of recipe {p.train.recipe} is {recipe.accumulate}, but an epoch has {batches} batches"
            raise UserError(f"{given}: set it to at most that, or lower batch_size")
        self.precision = precision.resolve(p.train.precision, train.device)
        precision.check(self.precision, train.device)
        if phase.optimizer == "sam" and self.precision == "fp16":
            raise UserError("sam needs gradients without a scaler: set train.precision to bf16 or fp32")
        self.model, self.device = model, train.device
        if p.train.compile and distributed.size() > 1:  # BatchNorm over all ranks comes out as no number
            raise UserError("train.compile is for one process alone: set it to false, or start without torchrun")
        self._forward = compiled(model, train.device) if p.train.compile else distributed.parallel(model)
        self.cold = p.train.compile  # the next batch compiles
        self.loss = Loss(recipe.loss, train.targets, model.classes).to(train.device)
        self.opt = optimizer(model, phase, p.train.optimizers)
        self.plan = schedule(self.opt, phase, p.train.schedulers, -(-batches // recipe.accumulate))
        self.average = Average(model, recipe, phase)
        self.scaler = precision.scaler(self.precision, train.device)
        self._parameters = [parameter for group in self.opt.param_groups for parameter in group["params"]]
        self._rho = p.train.optimizers.sam.rho if phase.optimizer == "sam" else None
        self._clip, self._group = recipe.clip_norm, recipe.accumulate
        self._nominal = float(recipe.batch_size * recipe.accumulate)
        self.pending = 0  # batches whose gradients wait for their step
        self._weight: Tensor | float = 0.0
        self.gradient_norm = 0.0

    def batch(self, pixels: Tensor, targets: Tensor, *, last: bool = False) -> tuple[Tensor, Tensor | float, Tensor]:
        """Learn from a batch, or this rank's share; return its summed loss, the weight it stands for, and its logits.

        last: of the epoch; it takes the step that is due even if its group is not full, and notes the gradient norm.
        """
        self.pending += 1
        due = self.pending == self._group or last
        with nullcontext() if due else distributed.apart(self._forward):
            total, weight, logits = self._backward(pixels, targets)
        self._weight = self._weight + weight
        if due:
            self._step(pixels, targets, measure=last)
        return total, weight, logits

    def _backward(self, pixels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor | float, Tensor]:
        with precision.autocast(self.precision, self.device):
            logits = self._forward(pixels)
        total, weight = self.loss(logits, targets)
        # gradients become the mean over ranks, and are to be their sum
        self.scaler.scale(total / (self._nominal / distributed.size())).backward()
        return total.detach(), weight, logits.detach()

    def _step(self, pixels: Tensor, targets: Tensor, measure: bool) -> None:
        if distributed.size() > 1:
            self._weight = distributed.total(torch.as_tensor(self._weight, device=self.device))
        self._finish_gradients()
        if self._rho:
            self._sharpness_aware(pixels, targets, self._rho)
        if measure or self._clip:
            norm = get_total_norm(self._gradients())
            self.gradient_norm = norm.item() if measure else self.gradient_norm
            if self._clip:
                clip_grads_with_norm_(self._parameters, self._clip, norm)
        self.scaler.step(self.opt)
        self.scaler.update()
        self.opt.zero_grad(set_to_none=True)
        self.pending, self._weight = 0, 0.0
        self.plan.after_step()
        self.average.after_step()

    def _gradients(self) -> list[Tensor]:
        return [p.grad for p in self._parameters if p.grad is not None]

    def _finish_gradients(self) -> None:
        """Make gradients of summed losses, divided by a full group's tiles, those of the group's weighted mean."""
        self.scaler.unscale_(self.opt)
        if isinstance(self._weight, Tensor) or self._weight != self._nominal:
            torch._foreach_mul_(self._gradients(), self._nominal / self._weight)

    def _sharpness_aware(self, pixels: Tensor, targets: Tensor, rho: float) -> None:
        """Replace the gradients by those a distance of rho up the slope (Foret et al. 2021, equation 2)."""
        gradients = self._gradients()
        climb = torch._foreach_mul(gradients, rho / (get_total_norm(gradients) + 1e-12))
        learnt = [p for p in self._parameters if p.grad is not None]
        with torch.no_grad():
            here = [p.clone() for p in learnt]
            torch._foreach_add_(learnt, climb)
        self.opt.zero_grad(set_to_none=True)
        with momentum(self.model, 0.0):
            self._backward(pixels, targets)
        with torch.no_grad():
            torch._foreach_copy_(learnt, here)
        self._finish_gradients()

    @property
    def _parts(self) -> dict[str, Any]:
        return {"optimizer": self.opt, "plan": self.plan.scheduler, "average": self.average, "scaler": self.scaler}

    def state_dict(self) -> dict[str, Any]:
        """Everything but the weights that the next step depends on; there must be no pending batch."""
        assert not self.pending
        return {name: part.state_dict() for name, part in self._parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts.items():
            part.load_state_dict(state[name])


def compiled(network: nn.Module, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return what computes as the network does, with its weights, by code that the first batch of a phase compiles.

    Validation does not use it: its last batch, of another size, and its other mode would be compiled as well.

    Raises:
        UserError: torch cannot compile here.
    """
    torch.compiler.reset()  # else a recipe of many phases would come to torch's limit, eight versions of a function
    try:
        torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device=device))
    except torch._dynamo.exc.BackendCompilerFailed as error:
        reason = str(error).strip().splitlines()[0]
        missing = "a C++ compiler (g++ or clang++)" if device.type == "cpu" else "a C compiler and Triton"
        raise UserError(f"train.compile does not work here: install {missing}, or set it to false ({reason})") from None
    return torch.compile(network)
