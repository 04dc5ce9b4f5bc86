"""The network run once over a large window, its pooling and its head slid over the last map: dense.onnx.

In: ``pixels`` (1, S, S, C) as stored, S eight tiles. Out: ``probabilities`` (n, n, classes) float32 of the tile-sized
windows that start at every stride of the network. They differ from the tiles' own answers where a tile is padded: at
its borders a large window shows land. Views are left out: a window is seen as it is. These are scores of windows, no
segmentation. The file is empty where a network has no such form.
"""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from landuse.core.errors import UserError
from landuse.export import onnx_file
from landuse.model.classifier import Classifier
from landuse.model.variants import GeM
from landuse.prediction.predictor import Predictor, calibrated
from landuse.spec.answers import pool
from landuse.spec.model import ModelSpec
from landuse.spec.scaling import Scaling

TILES = 8  # a side of a large window
_FLAT = (nn.Flatten, nn.Identity, nn.Dropout)  # what may stand between the pooling and the head


class Dense(nn.Module):
    """(1, H, W, C) pixels as stored -> (h, w, classes) probabilities; of a tile: (1, 1, classes)."""

    def __init__(self, members: list["_Member"], scaling: Scaling) -> None:
        super().__init__()
        self.members, self.scaling = nn.ModuleList(members), scaling

    def forward(self, pixels: Tensor) -> Tensor:
        logits = torch.stack([member(pixels.permute(0, 3, 1, 2).float()) for member in self.members])
        rows = logits.flatten(1, 2).permute(1, 0, 2).unsqueeze(2)  # (positions, members, one view, classes)
        return calibrated(pool(rows, torch.logsumexp), self.scaling).reshape(logits.shape[1:])


class _Member(nn.Module):
    """(1, C, H, W) -> (h, w, classes) logits of one network. side: of the last map of a tile, which is pooled."""

    def __init__(self, model: Classifier, maps: nn.Module, gem: GeM | None, tile: int) -> None:
        super().__init__()
        self.model, self.maps, self.gem, self.zoom = model, maps, gem, model.input_size / tile
        with torch.no_grad():
            self.side = maps(torch.zeros(1, model.mean.shape[1], model.input_size, model.input_size)).shape[-1]

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.model.normalise(pixels)
        if self.zoom != 1:
            x = F.interpolate(x, scale_factor=self.zoom, mode="bilinear", align_corners=False)
        x = self.maps(x)
        if self.gem is None:
            x = F.avg_pool2d(x, self.side, 1)
        else:
            x = F.avg_pool2d(x.clamp(min=1e-6).pow(self.gem.p), self.side, 1).pow(1 / self.gem.p)
        return self.model.head(x[0].permute(1, 2, 0))  # type: ignore[no-any-return]


def convert(predictor: Predictor, spec: ModelSpec, scaling: Scaling, opset: int) -> bytes:
    """Return the content of dense.onnx; empty where ``dense`` is None. predictor: on the CPU."""
    network = dense(predictor, spec.tile_size, scaling)
    if network is None:
        return b""
    side = TILES * spec.tile_size
    example = torch.zeros((1, side, side, len(spec.bands)), dtype=getattr(torch, spec.dtype))
    return onnx_file.write(network, example, None, ["probabilities"], spec, opset)


def dense(predictor: Predictor, tile: int, scaling: Scaling) -> Dense | None:
    """Return the dense form of a predictor.

    None: a network does not end in one global average or GeM pooling, pools over all of a window before (squeeze and
    excitation: its answer to a place depends on all that is in view), halves its maps by no divisor of a tile, or has
    another stride than the other members.
    """
    members = []
    folded: Any
    for folded in predictor.members:
        found = _unpooled(folded.staged[0]) if folded.staged is not None else None
        if found is None:
            return None
        members.append(_Member(folded.model, *found, tile))
    if {member.side for member in members} != {members[0].side} or tile % members[0].side:
        return None
    network = Dense(members, scaling).eval()
    size = (1, 2 * tile, 2 * tile, members[0].model.bands)
    with torch.no_grad():  # a stride that is no whole number of pixels shows in the number of positions
        positions = network(torch.zeros(size)).shape[0]
    return network if positions == members[0].side + 1 else None


def _unpooled(backbone: nn.Module) -> tuple[fx.GraphModule, GeM | None] | None:
    """Return a traced backbone up to its global pooling, and that if it is GeM."""
    assert isinstance(backbone, fx.GraphModule)
    cut = copy.deepcopy(backbone)
    graph, modules = cut.graph, dict(cut.named_modules())
    pools = [n for n in graph.nodes if isinstance(modules.get(str(n.target)), nn.AdaptiveAvgPool2d | GeM)]
    squeezed = any(node.op == "call_method" and node.target == "mean" for node in graph.nodes)
    if len(pools) != 1 or squeezed:
        return None
    output: Any = graph.output_node()
    node = output.args[0][0]
    while node is not pools[0]:
        if node.target is not torch.flatten and not isinstance(modules.get(str(node.target)), _FLAT):
            return None
        node = node.args[0]
    output.args = (node.args[0],)
    graph.eliminate_dead_code()
    cut.recompile()
    pooling = modules[node.target]
    return cut, pooling if isinstance(pooling, GeM) else None


def check(content: bytes, predictor: Predictor, scaling: Scaling, tiles: npt.NDArray[np.generic], limit: float) -> None:
    """Raise UserError unless the file gives a mosaic of tiles what the network gives it.

    tiles: (n, S, S, C) as stored; repeated where they are fewer than a large window holds.
    """
    network = dense(predictor, tiles.shape[1], scaling)
    if network is None:
        return
    side, bands = TILES * tiles.shape[1], tiles.shape[3]
    every = tiles[np.arange(TILES**2) % len(tiles)].reshape(TILES, TILES, *tiles.shape[1:])
    mosaic = np.ascontiguousarray(every.transpose(0, 2, 1, 3, 4)).reshape(1, side, side, bands)
    with torch.no_grad():
        expected = network(torch.from_numpy(mosaic.astype(np.float32))).numpy()
    difference = np.abs(onnx_file.session(content).run(None, {"pixels": mosaic})[0] - expected).max()
    if not difference < limit:
        raise UserError(
            f"dense.onnx does not agree with the network: largest probability difference {difference:.2e} "
            f"(export.tolerance {limit:.0e}): try another -S export.opset"
        )
