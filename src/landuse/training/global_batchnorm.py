"""BatchNorm over the tiles of all processes: a batch dealt to many has the statistics of the whole.

torch's ``SyncBatchNorm`` does it on GPUs and refuses CPUs, for which a plain form is here.
"""

from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from landuse.training.distributed import size


def share_statistics(model: nn.Module) -> None:
    """Let every BatchNorm in training mode use, and learn, the statistics of all ranks; weights and names stay."""
    if size() == 1:
        return
    if next(model.parameters()).device.type == "cuda":
        # timm's conversion: torch's would lose the activations that timm's norms hold
        for name, child in model.named_children():
            setattr(model, name, convert_sync_batchnorm(child))  # type: ignore[no-untyped-call]
        return
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = type(f"Global{type(module).__name__}", (_Global, type(module)), {})


class _Global(_BatchNorm):
    """What goes before a BatchNorm's own class; in eval mode it changes nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape and dtype."""
        if not self.training:
            return super().forward(x)
        x = self._by_all_ranks(x)
        return self.act(self.drop(x)) if isinstance(self, BatchNormAct2d) else x

    def _by_all_ranks(self, x: Tensor) -> Tensor:
        others = [dim for dim in range(x.ndim) if dim != 1]
        wide = x.float()
        var, mean = (value.double() for value in torch.var_mean(wide, others, correction=0))
        count = mean.new_full((1,), x.numel() / x.shape[1])
        # sums in double precision: mean of squares - square of mean would lose digits in single
        sums = _Total.apply(torch.cat([count * mean, count * (var + mean.square()), count]))
        tiles = sums[-1].detach()
        mean, square = (sums[:-1] / tiles).chunk(2)
        var = square - mean.square()
        self._learn(mean.detach(), var.detach() * tiles / (tiles - 1))
        shape = [1, -1] + [1] * (x.ndim - 2)
        scale = (var + self.eps).rsqrt()
        offset = -mean * scale
        if self.affine:
            scale, offset = scale * self.weight, offset * self.weight + self.bias
        return torch.addcmul(offset.float().view(shape), wide, scale.float().view(shape)).to(x.dtype)

    @torch.no_grad()
    def _learn(self, mean: Tensor, var: Tensor) -> None:
        """Move the running statistics, as ``nn.BatchNorm2d`` does. var: unbiased."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean), momentum)
        self.running_var.lerp_(var.to(self.running_var), momentum)


class _Total(torch.autograd.Function):
    """Sum over the ranks; each rank's gradient is the sum of all ranks' gradients."""

    @staticmethod
    def forward(_: Any, part: Tensor) -> Tensor:
        whole = part.clone()
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        whole = gradient.clone()
        distributed.all_reduce(whole)
        return whole
