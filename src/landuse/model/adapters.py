"""From the bands of a tile to a network that was made for red, green and blue: the word ``model.input_adapter``.

The adapter stands where the first convolution stood, and its parameters belong to the stem.
"""

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from timm.layers import Conv2dSame  # type: ignore[attr-defined]
from timm.models import adapt_input_conv
from torch import Tensor, nn

Word = Literal["inflate", "repeat", "project", "scratch_stem", "select_rgb"]


@dataclass(frozen=True)
class Adapter:
    """How a network for RGB gets other bands.

    word: inflate: the filters of RGB at their own bands, filters that start at zero at the others. repeat: the filters
    of RGB in turn over all bands, times 3 / bands. project: a 1 x 1 convolution to three bands, which starts as
    choosing RGB. scratch_stem: a stem with random weights. select_rgb: the other bands are not seen.
    rgb: places of red, green and blue among the bands; None: they are not there.
    """

    word: Word = "repeat"
    rgb: tuple[int, ...] | None = None


class Select(nn.Module):
    """Some of the bands, in this order: (N, C, H, W) -> (N, len(places), H, W)."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__()
        self.places = tuple(places)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, i : i + 1] for i in self.places], dim=1)  # an index by a list is no longer channels-last


class Inflated(nn.Module):
    """The convolution of RGB as it was, and one of the other bands that starts at zero: the sum of both.

    Two, so that the filters of RGB can be frozen, to the bit, while the others learn.
    """

    def __init__(self, rgb: nn.Conv2d, places: Sequence[int], channels: int) -> None:
        super().__init__()
        others = [i for i in range(channels) if i not in places]
        # not the class of the first one: some standardise their weights, which zeros do not survive
        kind = Conv2dSame if "Same" in type(rgb).__name__ else nn.Conv2d
        form: Any = (len(others), rgb.out_channels, rgb.kernel_size, rgb.stride, rgb.padding, rgb.dilation, 1, False)
        with torch.device("meta"):  # no random numbers are drawn: the head starts as that of RGB
            self.rgb, self.others = rgb, kind(*form)
        self.others.weight = nn.Parameter(torch.zeros(self.others.weight.shape))
        self.places_of_rgb, self.places_of_others = Select(places), Select(others)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> what the first convolution gives, (N, C', H', W')."""
        return self.rgb(self.places_of_rgb(x)) + self.others(self.places_of_others(x))  # type: ignore[no-any-return]

    @torch.no_grad()
    def merged(self) -> nn.Conv2d:
        """One convolution of all bands that gives the same but for rounding; for kinds that are linear in weights."""
        one = copy.deepcopy(self.rgb)
        one.in_channels += self.others.in_channels
        weight = one.weight.new_empty(one.out_channels, one.in_channels, *one.kernel_size)
        for places, part in ((self.places_of_rgb, self.rgb), (self.places_of_others, self.others)):
            weight[:, places.places] = part.weight
        one.weight = nn.Parameter(weight)
        return one


def adapt(network: nn.Module, channels: int, adapter: Adapter, stages: dict[str, str]) -> frozenset[str]:
    """Give a network for RGB this many bands. stages: of its parameters; it follows their new names.

    Returns the names of the parameters that have no weights to start from.
    """
    name, conv = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    parent: Any = network.get_submodule(name.rpartition(".")[0])
    if "patch_embed" in name and hasattr(parent, "in_chans"):
        parent.in_chans = channels
    if adapter.word in ("repeat", "scratch_stem"):
        if conv.in_channels != channels:
            conv.weight = nn.Parameter(adapt_input_conv(channels, conv.weight.detach()))
            conv.in_channels = channels
        return _start_anew(network, stages) if adapter.word == "scratch_stem" else frozenset()
    assert adapter.rgb is not None
    if adapter.word != "project" and adapter.rgb == tuple(range(channels)):
        return frozenset()
    new, learns = _instead(conv, channels, adapter.word, adapter.rgb)
    network.set_submodule(name, new)
    for parameter, _ in conv.named_parameters():
        stages[f"{name}.rgb.{parameter}"] = stages.pop(f"{name}.{parameter}")
    added = {f"{name}.{parameter}" for parameter in learns}
    stages |= dict.fromkeys(added, "stem")
    return frozenset(added)


def _instead(conv: nn.Conv2d, channels: int, word: Word, rgb: Sequence[int]) -> tuple[nn.Module, list[str]]:
    """Return what stands for a convolution of RGB, which is its child ``rgb``, and the names of its new parameters."""
    if word == "inflate" and channels > len(rgb):
        return Inflated(conv, rgb, channels), ["others.weight"]
    if word != "project":
        return nn.Sequential(OrderedDict(bands=Select(rgb), rgb=conv)), []
    with torch.device("meta"):
        projection = nn.Conv2d(channels, len(rgb), 1, bias=False)
    projection.weight = nn.Parameter(torch.eye(channels)[list(rgb), :, None, None])
    return nn.Sequential(OrderedDict(bands=projection, rgb=conv)), ["bands.weight"]


def _start_anew(network: nn.Module, stages: Mapping[str, str]) -> frozenset[str]:
    """Give the layers of the stem random weights; return the names of those."""
    drawn = set()
    for name, module in network.named_modules():
        own = {f"{name}.{parameter}" for parameter, _ in module.named_parameters()}
        if own and all(stages.get(parameter) == "stem" for parameter in own) and hasattr(module, "reset_parameters"):
            module.reset_parameters()
            drawn |= own
    return frozenset(drawn)
