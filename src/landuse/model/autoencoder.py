"""A convolutional autoencoder: the blocks of a small network make few numbers of a tile, a decoder draws it again."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from landuse.model.classifier import Classifier


class Autoencoder(nn.Module):
    """The convolutional blocks of a small network, shared with it, not copied, and their mirror image.

    Each block halves the resolution; its mirror doubles it by a transposed convolution (4 x 4, stride 2), which covers
    every pixel equally often.
    """

    def __init__(self, model: Classifier) -> None:
        super().__init__()
        blocks = [part for part in model.backbone.children() if any(isinstance(m, nn.Conv2d) for m in part.modules())]
        self.encoder = nn.Sequential(*blocks)
        widths = [model.mean.shape[1]]
        for block in blocks:
            widths.append([m.out_channels for m in block.modules() if isinstance(m, nn.Conv2d)][-1])
        mirror: list[nn.Module] = []
        for outputs, inputs in reversed([*pairwise(widths)]):
            mirror += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
        self.decoder = nn.Sequential(*mirror[:-1])

    @property
    def factor(self) -> int:
        """Sides of tiles have to be a multiple of it, in pixels."""
        return int(2 ** len(self.encoder))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) as ``Classifier.preprocess`` gives it -> its reconstruction."""
        return self.decoder(self.encoder(x))  # type: ignore[no-any-return]

    def errors(self, x: Tensor) -> Tensor:
        """(N, C, H, W) as ``Classifier.preprocess`` gives it -> (N,) mean squared errors of its reconstruction."""
        return torch.square(self(x) - x).mean(dim=(1, 2, 3))
