"""Convolutions that know small tiles and CPUs; results, gradients, weights and names are those of plain ones.

Taps of a kernel that can meet nothing but padding are left out: 16 of 25, where 5 x 5 kernels see maps of 2 x 2. On a
CPU, gradients of depthwise 5 x 5 kernels are put together of those of 3 x 3 ones, which oneDNN has fast code for. In
bfloat16 on a CPU, few positions with many channels are one product of matrices, and gradients of depthwise kernels
are computed in float32 (but for 3 x 3 ones with stride 1): there PyTorch's are slow. docs/speed.md has the numbers.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_input, conv2d_weight

_POINTWISE = 64  # positions of a map up to which a 1 x 1 convolution is faster as a product; never slower
_KERNEL = 4  # the same for larger kernels, whose patches take time to gather
_WIDE = 16  # side up to which strided 5 x 5 kernels learn faster as 3 x 3 ones; without stride they always do
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
        weight = self.weight
        if (up, along) != (height, width):
            weight = weight[:, :, height - up : height + up + 1, width - along : width + along + 1]
        if x.device.type == "cpu" and not torch.compiler.is_compiling() and self._in_parts(x, weight):
            return _InParts.apply(x, weight, self.stride, (up, along))  # type: ignore[no-any-return]
        return F.conv2d(x, weight, self.bias, self.stride, (up, along), self.dilation, self.groups)

    def _in_parts(self, x: Tensor, weight: Tensor) -> bool:
        if not (self.groups == x.shape[1] == len(weight)) or self.bias is not None or x.dtype != torch.float32:
            return False
        if not (weight.requires_grad and torch.is_grad_enabled()):
            return False
        taps, side = tuple(weight.shape[2:]), min(x.shape[2:])
        return (taps == (3, 3) and side == 2) or (taps == (5, 5) and (self.stride == (1, 1) or side <= _WIDE))

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


class _InParts(torch.autograd.Function):
    """A depthwise convolution (N, C, H, W) -> (N, C, H', W') whose kernels (C, 1, h, w) learn 3 x 3 taps at a time.

    Parts of a 5 x 5 kernel meet in its middle row and column, and agree on their gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        channels, (up, along) = len(weight), ctx.padding
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = conv2d_input(x.shape, weight, gradient, ctx.stride, ctx.padding, groups=channels)  # type: ignore[no-untyped-call]
        rows, columns = ((side - 1) * step + 3 for side, step in zip(gradient.shape[2:], ctx.stride, strict=True))
        to_weight = torch.empty_like(weight)
        for i in range(0, weight.shape[2] - 1, 2):
            for j in range(0, weight.shape[3] - 1, 2):
                left, top = along - j, up - i  # zeros around, or, below zero, pixels that this part does not meet
                seen = F.pad(x, (left, columns - left - x.shape[3], top, rows - top - x.shape[2]))
                part = conv2d_weight(  # type: ignore[no-untyped-call]
                    seen, (channels, 1, 3, 3), gradient, ctx.stride, groups=channels
                )
                to_weight[:, :, i : i + 3, j : j + 3] = part
        return to_x, to_weight, None, None


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
