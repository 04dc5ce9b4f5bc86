"""Convolutions that know small tiles and CPUs; results, gradients, weights and names are those of plain ones.

Taps of a kernel that can meet nothing but padding are left out: 16 of 25, where 5 x 5 kernels see maps of 2 x 2. In
bfloat16 on a CPU, few positions with many channels are one product of matrices, and gradients of depthwise kernels
are computed in float32 (but for 3 x 3 ones with stride 1): there PyTorch's are slow. docs/speed.md has the numbers.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_POINTWISE = 64  # positions of a map up to which a 1 x 1 convolution is faster as a product; never slower
_KERNEL = 4  # the same for larger kernels, whose patches take time to gather
_QUICK_SIDE = 4  # of maps from which on depthwise 3 x 3 kernels with stride 1 have fast gradients in bfloat16


class LeanConv2d(nn.Conv2d):
    """A convolution with odd kernels and as many zeros around as they reach."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W'), as ``nn.Conv2d``."""
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            if self._as_product(x):
                return self._product(x)
            if self._in_float32(x):
                with torch.autocast("cpu", enabled=False):
                    return self._reaching(x.float()).bfloat16()
        return self._reaching(x)

    def _reaching(self, x: Tensor) -> Tensor:
        """Convolve with the taps that reach the map from some position."""
        height, width = (side // 2 for side in self.kernel_size)
        up, along = min(height, x.shape[-2] - 1), min(width, x.shape[-1] - 1)
        if (up, along) == (height, width):
            return super().forward(x)
        weight = self.weight[:, :, height - up : height + up + 1, width - along : width + along + 1]
        return F.conv2d(x, weight, self.bias, self.stride, (up, along), self.dilation, self.groups)

    def _as_product(self, x: Tensor) -> bool:
        if self.groups != 1:
            return False
        height, width = ((side - 1) // step + 1 for side, step in zip(x.shape[-2:], self.stride, strict=True))
        if height * width > (_POINTWISE if self.kernel_size == (1, 1) else _KERNEL):
            return False
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        return dtype == torch.bfloat16

    def _in_float32(self, x: Tensor) -> bool:
        if self.groups == 1 or not torch.is_autocast_enabled("cpu"):
            return False
        if torch.get_autocast_dtype("cpu") != torch.bfloat16 or not torch.is_grad_enabled():
            return False
        quick = self.kernel_size == (3, 3) and self.stride == (1, 1) and min(x.shape[-2:]) >= _QUICK_SIDE
        return not quick and (x.requires_grad or self.weight.requires_grad)

    def _product(self, x: Tensor) -> Tensor:
        down, right = self.stride
        if self.kernel_size == (1, 1):
            seen = x[:, :, ::down, ::right].permute(0, 2, 3, 1)
        else:
            seen = _Patches.apply(x, self.kernel_size, self.stride)
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, -1)
        made = F.linear(seen.reshape(-1, weight.shape[1]), weight, self.bias)
        return made.view(*seen.shape[:3], -1).permute(0, 3, 1, 2)


class _Patches(torch.autograd.Function):
    """(N, C, H, W) -> (N, H', W', taps x C): what a kernel sees from each of its positions, zeros beyond the border.

    Without a backward pass of its own, autograd would fill a map of zeros for every tap.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
        ctx.shape, ctx.kernel, ctx.stride = x.shape, kernel, stride
        up, along = kernel[0] // 2, kernel[1] // 2
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, along, along, up, up))
        return torch.cat([padded[window] for window in _windows(x.shape, kernel, stride)], dim=3)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = gradients
        count, channels, height, width = ctx.shape
        up, along = ctx.kernel[0] // 2, ctx.kernel[1] // 2
        padded = gradient.new_zeros(count, height + 2 * up, width + 2 * along, channels, dtype=torch.float32)
        taps = gradient.chunk(ctx.kernel[0] * ctx.kernel[1], dim=3)
        for window, tap in zip(_windows(ctx.shape, ctx.kernel, ctx.stride), taps, strict=True):
            padded[window] += tap
        inner = padded[:, up : up + height, along : along + width]
        return inner.to(gradient.dtype).permute(0, 3, 1, 2), None, None


def _windows(shape: torch.Size, kernel: tuple[int, int], stride: tuple[int, int]) -> list[tuple[slice, slice, slice]]:
    """The positions of the padded map (N, H, W, C) that each tap of the kernel meets, tap by tap."""
    (down, right), (height, width) = stride, shape[-2:]
    return [
        (slice(None), slice(i, i + height, down), slice(j, j + width, right))
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


def adapt(network: nn.Module) -> None:
    """Make each convolution a ``LeanConv2d`` where it can be one; weights and names stay."""
    for conv in network.modules():
        if type(conv) is nn.Conv2d and (conv.padding_mode, conv.dilation) == ("zeros", (1, 1)):
            sides = conv.kernel_size
            if all(side % 2 for side in sides) and conv.padding == tuple(side // 2 for side in sides):
                conv.__class__ = LeanConv2d
