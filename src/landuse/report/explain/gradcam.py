"""Grad-CAM: which parts of a tile speak for the label that the model gives it."""

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from landuse.core.arrays import Floats32
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.model.fusion import main

SMALLEST = 4  # positions on a side: on fewer, a heat map of a 64-pixel tile cannot say where


def heat_maps(model: Classifier, batches: Batches) -> Floats32 | None:
    """Explain each tile's predicted label by element-wise Grad-CAM on the map that ``target_layer`` names.

    Grad-CAM (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391) weights each channel by its mean gradient, which
    suits the last map. One map before, a twelfth of EuroSAT's tiles have nothing positive left; here products of
    gradient and activation are summed where they are positive.

    The model is as ``saved.load`` returns it, nothing frozen. It is left in eval mode.

    Returns:
        (n, H, W) at the size of the tiles, from 0 to 1: each tile's highest; 0 all over where nothing spoke for
        the label. None where the backbone has no such map, as a vision transformer.
    """
    layer = target_layer(model, next(iter(batches.in_order()))[0][:1])
    if layer is None:
        return None
    return np.concatenate([_heat(model, layer, pixels) for pixels, _ in batches.in_order()])


def _heat(model: Classifier, layer: nn.Module, pixels: Tensor) -> Floats32:
    seen: list[Tensor] = []
    with layer.register_forward_hook(lambda *of: seen.append(of[2])):
        logits = model(pixels)
    (slope,) = torch.autograd.grad(logits.max(dim=1).values.sum(), seen[0])
    heat = (slope * seen[0]).detach().relu().sum(dim=1, keepdim=True)
    heat = F.interpolate(_stretched(heat), size=pixels.shape[2:], mode="bilinear")
    return _stretched(heat)[:, 0].cpu().numpy()


def _stretched(heat: Tensor) -> Tensor:
    """(N, 1, H, W) from 0 to 1 in every map; 0 where a map is 0 all over."""
    heat = heat - heat.amin((2, 3), keepdim=True)
    return heat / (heat.amax((2, 3), keepdim=True) + 1e-7)


def target_layer(model: Classifier, pixels: Tensor) -> nn.Module | None:
    """Return the last module of the backbone whose output is a feature map of at least 4 x 4 positions.

    The usual choice, the last map of all, is 2 x 2 at 64 pixels and a stride of 32, and no better than chance: of 384
    EuroSAT tiles with only the hotter half left, efficientnet_lite0 gives its label a probability of 0.46 by that map,
    0.57 by the 4 x 4 one before it and 0.48 by random ones (differences +-0.03); of whole tiles 0.89.

    pixels: (1, C, H, W) float, as stored.
    """
    found: list[nn.Module] = []

    def note(module: nn.Module, _: object, output: object) -> None:
        # tiles are square, and so are their maps: tokens, and maps with channels last, are not
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3] >= SMALLEST:
            found.append(module)

    with ExitStack() as stack, torch.no_grad():
        for module in _spine(main(model.backbone)):
            stack.callback(module.register_forward_hook(note).remove)
        model.features(pixels)
    return found[-1] if found else None


def _spine(network: nn.Module) -> Iterator[nn.Module]:
    """Yield what the network does one after the other; not the insides of a block, whose output is what counts."""
    for child in network.children():
        yield child
        if isinstance(child, nn.Sequential):
            yield from _spine(child)
