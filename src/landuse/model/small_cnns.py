"""The small networks of docs/origins.md, to be trained from scratch; their three stages are stem, layer2 and layer4."""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F


class Quarters(nn.Module):
    """Means of the four quarters: (N, C, H, W) -> (N, C, 2, 2), H and W at least 2.

    What AdaptiveAvgPool2d(2) gives, whose gradient on CUDA is not deterministic.
    """

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return F.avg_pool2d(x, ((height + 1) // 2, (width + 1) // 2), (height // 2, width // 2))


def cnn_54k(channels: int) -> nn.Sequential:
    """Document 001's SimpleCNN: two convolutions and a dense layer; (N, channels, H, W) -> (N, 128).

    The document gives its size alone (54 K); this has 53,797 parameters with five classes and six bands.
    """
    return nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(nn.Conv2d(channels, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            layer2=nn.Sequential(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            quarters=Quarters(),
            layer4=nn.Sequential(nn.Flatten(), nn.Linear(4 * 64, 128), nn.ReLU()),
        )
    )


def cnn_95k(channels: int) -> nn.Sequential:
    """Document 004's CNN: three blocks and global average pooling; (N, channels, H, W) -> (N, 128)."""
    return nn.Sequential(
        OrderedDict(
            stem=_block(channels, 32),
            layer2=_block(32, 64),
            layer4=_block(64, 128),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
        )
    )


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2))


BUILD: dict[str, Callable[[int], nn.Sequential]] = {"cnn_54k": cnn_54k, "cnn_95k": cnn_95k}
