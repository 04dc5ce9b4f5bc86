"""Late fusion: layers (elevation, an NDVI composite) have a branch of their own beside the backbone.

Early fusion needs nothing: there layers are channels like all others.
"""

import torch
from torch import Tensor, nn

from landuse.model import small_cnns
from landuse.model.adapters import Select


class LateFusion(nn.Module):
    """A backbone for the spectral channels and a small network for the layers, which are the last channels.

    The branch is ``cnn_95k``: layers are few and smooth, and have no weights to start from. Features of both are
    joined: (N, channels, H, W) -> (N, features of the backbone + 128).

    spectral, layers: how many channels each gets.
    """

    def __init__(self, backbone: nn.Module, spectral: int, layers: int) -> None:
        super().__init__()
        self.places_of_bands = Select(range(spectral))
        self.places_of_layers = Select(range(spectral, spectral + layers))
        self.spectral, self.branch = backbone, small_cnns.cnn_95k(layers)

    def forward(self, x: Tensor) -> Tensor:
        # the backbone first: up to where it is frozen, nothing but it is computed (``prefix``)
        features = self.spectral(self.places_of_bands(x))
        return torch.cat([features, self.branch(self.places_of_layers(x))], dim=1)


def main(network: nn.Module) -> nn.Module:
    """Return the backbone that ``model.backbone`` names, without the branch that may stand beside it."""
    return network.spectral if isinstance(network, LateFusion) else network
