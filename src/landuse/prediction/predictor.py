"""Networks that answer together: what the export holds, and how tiles are run through them, each once."""

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx, nn
from torch.nn import functional
from tqdm import tqdm

from landuse.model.autoencoder import Autoencoder
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.model.prefix import split
from landuse.params import Freeze
from landuse.spec.answers import Answers
from landuse.spec.scaling import Scaling

_ROWS = 64  # tiles times views that a network gets at once: the fastest on a CPU, where more leave its cache
# of the statistics: stages, and how much each weighs. Later ones forget what tells a sea from a field, if neither is a
# label; earlier ones know less of land at other places: docs/uncertainty.md
_STAGES: dict[Freeze, float] = {"layer2": 1.0, "layer3": 0.7}


class Predictor(nn.Module):
    """Networks for the same classes, each of which sees every view. views: 1, or the 8 flips and turns."""

    def __init__(self, members: Sequence[Classifier], views: int, device: torch.device) -> None:
        super().__init__()
        self.members = nn.ModuleList(_Folded(member, device) for member in members)
        self.views = views

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, C, H, W) float pixel values as stored -> what ``Answers`` holds of them.

        Returns:
            (N, members, views, classes) logits; (N, F) features and (N, G) statistics of the first member, of the tile
            as it is.
        """
        count = pixels.shape[0]
        pixels = seen(pixels, self.views)
        answers = [member(pixels) for member in self.members]
        logits = torch.stack([own.unflatten(0, (self.views, count)) for own, *_ in answers]).permute(2, 0, 1, 3)
        features, statistics = (own[:count] for own in answers[0][1:])
        return logits, features, statistics


def seen(pixels: Tensor, views: int) -> Tensor:
    """(N, C, S, S) -> (views x N, C, S, S): the tiles themselves first, then, for 8 views, their other symmetries."""
    if views == 1:
        return pixels
    turned = (pixels, pixels.transpose(2, 3))
    every = [x.flip(axes) if axes else x for x in turned for axes in ((), (3,), (2,), (2, 3))]
    return torch.cat(every).contiguous(memory_format=torch.channels_last)


def calibrated(logits: Tensor, scaling: Scaling) -> Tensor:
    """(N, classes) pooled logits -> (N, classes) probabilities, as ``Scaling`` does with arrays."""
    if scaling.power == 1:
        return torch.softmax(logits / scaling.temperature, dim=1)
    gaps = logits.amax(dim=1, keepdim=True) - logits
    return torch.softmax(-(gaps**scaling.power) / scaling.temperature, dim=1)


class _Folded(nn.Module):
    """A classifier whose BatchNorms are folded into its convolutions: twice as fast, equal but for rounding."""

    def __init__(self, model: Classifier, device: torch.device) -> None:
        super().__init__()
        model = copy.deepcopy(model).eval().to(device).to(memory_format=torch.channels_last)
        self.staged = _staged(model)
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (N, classes) logits, (N, F) features, and (N, G) statistics of a middle stage, or the features."""
        if self.staged is None:
            statistics = features = self.model.pooled(pixels)
        else:
            prefix, rest = self.staged
            end, *maps = prefix(self.model.preprocess(pixels))
            statistics = features = rest(end)
            if all(own.ndim == 4 for own in maps):
                summaries = [weight * _summary(own) for own, weight in zip(maps, _STAGES.values(), strict=True)]
                statistics = torch.cat(summaries, dim=1)
        return self.model.head(features), features, statistics


def _summary(maps: Tensor) -> Tensor:
    """(N, C, H, W) maps -> (N, 2 C) means and deviations, together of length 1."""
    flat = maps.float().flatten(2)
    return functional.normalize(torch.cat([flat.mean(2), flat.std(2, correction=0)], dim=1))


def _staged(model: Classifier) -> nn.ModuleList | None:
    """Fold a classifier; return its backbone, which also puts out the maps at the ends of ``_STAGES``, and the rest.

    The rest does nothing, but for backbones that cannot be traced to their end. None where no single tensor leaves such
    a stage, or the network cannot be traced.
    """
    ends = []
    for name in _STAGES:
        model.freeze(name)
        end = model.cut.prefix.graph.output_node().args[0] if model.cut else None
        if not isinstance(end, fx.Node):
            return None
        ends.append(end.name)
    # all of the backbone: what ``freeze`` leaves out of it, the exponent of GeM, rests as well here
    whole = split(model.backbone, set(model.backbone.modules()), set(model.backbone.parameters()))
    if whole is None:
        return None
    backbone = whole.prefix
    inside = {node.name: node for node in backbone.graph.nodes}
    if not inside.keys() >= set(ends):
        return None
    output = backbone.graph.output_node()
    output.args = ((output.args[0], *(inside[end] for end in ends)),)
    backbone.recompile()
    return nn.ModuleList([backbone, whole.rest])


def predict(
    members: Sequence[Classifier],
    views: int,
    images: npt.NDArray[np.generic],
    rows: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int64],
    device: torch.device,
    title: str = "predict",
) -> Answers:
    """Run networks over tiles, in float32, each view of each tile once.

    images: (N, H, W, C) of the whole store. rows, targets: (n,) of the tiles to predict, in order.
    """
    predictor = Predictor(members, views, device)
    batches = Batches(images, rows, targets, max(1, _ROWS // views), device)
    bar = tqdm(batches.in_order(), total=len(batches), desc=title, unit="batch", disable=None, leave=False)
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        parts = [[part.float().cpu() for part in predictor(pixels)] for pixels, _ in bar]
    return Answers(rows, targets, *(torch.cat(part).numpy() for part in zip(*parts, strict=True)))


def reconstruction_errors(
    autoencoder: Autoencoder, model: Classifier, answers: Answers, images: npt.NDArray[np.generic], device: torch.device
) -> npt.NDArray[np.float32]:
    """Return (n,) errors of the tiles of some answers, in float32. model: that began with this autoencoder."""
    model, autoencoder = model.to(device), autoencoder.to(device).to(memory_format=torch.channels_last)
    batches = Batches(images, answers.rows, answers.targets, _ROWS, device)
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        parts = [autoencoder.errors(model.preprocess(pixels)).cpu() for pixels, _ in batches.in_order()]
    return torch.cat(parts).numpy()
