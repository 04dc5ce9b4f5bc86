"""Backbones by name, what they expect of the pixels, and their five stages.

Stages give ``train.freeze`` one meaning for every network. They follow ResNet's: the stem, then layer1 to layer4 at
1/4, 1/8, 1/16 and 1/32 of the resolution. timm's networks are cut in its own parameter groups where ``feature_info``
says the resolution halves; those that do not say, or keep their resolution (ViT), into four parts of equal depth.
What follows the last stage and is not the head (a last convolution or norm) counts as layer4. The exponent of GeM
pooling has no weights to start from, nor has the branch of late fusion: they belong to the head.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from landuse.core.errors import UserError, did_you_mean
from landuse.model import adapters, classical, convolutions, small_cnns
from landuse.model.adapters import Adapter
from landuse.model.fusion import LateFusion
from landuse.model.variants import gem_pooling, small_stem
from landuse.params import CLASSICAL

STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")

_RGB_MEAN, _RGB_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, pixels in [0, 1]
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_FEATURE_STAGES = {  # the first index of `features` in each stage
    "efficientnet_b0": (0, 1, 3, 4, 6),
    "mobilenet_v3_small": (0, 1, 2, 4, 9),
}
_MISFITS = (AssertionError, RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError)  # of networks and sizes
TORCHVISION = (*RESNETS, *_FEATURE_STAGES)  # the names that torchvision serves; timm serves what is not ours


@dataclass(frozen=True)
class Backbone:
    """A feature extractor.

    module: (N, C, H, W) normalised float -> (N, features). stages: parameter name -> one of STAGES, or "head".
    mean, std: of the RGB values in [0, 1] that its weights expect. adapter: names of parameters that came without
    weights to start from, as ``adapters`` says. head: what stands for that of the recipe.
    """

    module: nn.Module
    features: int
    stages: dict[str, str]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    adapter: frozenset[str] = frozenset()
    head: nn.Module | None = None


def build(
    name: str,
    channels: int,
    stem: str = "standard",
    pooling: str = "avg",
    input_size: int = 64,
    load: Callable[[nn.Module], None] | None = None,
    adapter: Adapter = Adapter(),  # noqa: B008 (it is frozen)
    layers: int = 0,
) -> Backbone:
    """Build a backbone for ``channels`` input channels.

    load: gives the network for RGB the weights to start from, see ``training.weights``. adapter: how it gets other
    channels; small networks are made for any, with ``scratch_stem``. stem, pooling: see ``variants``. input_size:
    pixels a side. Networks of a fixed size (ViT, Swin, MLP-Mixer) are built for it. layers: so many of the last
    channels have a branch of their own, see ``fusion``; the adapter is of the others. Classical models: no variants.

    Raises UserError where there is no such backbone or variant, or it does not work at this size; and as ``load`` does.
    """
    if name in CLASSICAL:
        statistics, trees = classical.Statistics(channels), classical.Trees(mean=name == "random_forest")
        head = None if name == "logistic" else trees
        return Backbone(statistics, classical.PER_CHANNEL * channels, {}, _RGB_MEAN, _RGB_STD, head=head)
    spectral = channels - layers
    if name in small_cnns.BUILD:
        network = small_cnns.BUILD[name](spectral if adapter.word == "scratch_stem" else 3)
        stages = {p: p.split(".")[0] for p, _ in network.named_parameters()}
        backbone = Backbone(network, 0, stages, _RGB_MEAN, _RGB_STD)
    elif name in TORCHVISION:
        backbone = _torchvision(name)
    else:
        backbone = _timm(name, input_size)
    if load:
        load(backbone.module)
    if stem == "small":
        small_stem(backbone.module, name)
    if pooling == "gem":
        backbone.stages[gem_pooling(backbone.module, name)] = "head"
    learns = frozenset[str]()
    if not (adapter.word == "scratch_stem" and name in small_cnns.BUILD):
        learns = adapters.adapt(backbone.module, spectral, adapter, backbone.stages)
    backbone = replace(backbone, adapter=learns)
    if layers:
        backbone = _with_branch(backbone, spectral, layers)
    convolutions.adapt(backbone.module)
    return replace(backbone, features=features_at(backbone.module, name, channels, input_size))


def _with_branch(backbone: Backbone, spectral: int, layers: int) -> Backbone:
    joined = LateFusion(backbone.module, spectral, layers)
    stages = {f"spectral.{parameter}": stage for parameter, stage in backbone.stages.items()}
    stages |= {f"branch.{parameter}": "head" for parameter, _ in joined.branch.named_parameters()}
    adapter = frozenset(f"spectral.{parameter}" for parameter in backbone.adapter)
    return replace(backbone, module=joined, stages=stages, adapter=adapter)


def features_at(network: nn.Module, name: str, channels: int, size: int) -> int:
    """Return how many features a backbone gives at an input size, by running it once, or raise UserError; no trace."""
    training = network.training
    try:
        with torch.no_grad():
            found: torch.Tensor = network.eval()(torch.zeros(2, channels, size, size))
        if found.ndim != 2:
            raise ValueError(f"it answers in the shape {tuple(found.shape)}")
    except _MISFITS as error:
        raise _refused_size(name, size, error) from None
    finally:
        network.train(training)
    return found.shape[1]


def _refused_size(name: str, size: int, error: Exception) -> UserError:
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(name, allow_unregistered=True)
    made_for = config.input_size[-1] if config and config.input_size[-1] != size else 0
    remedy = f"-S model.input_size={made_for}, which it was made for" if made_for else "another model.input_size"
    reason = " ".join(str(error).split())[:120]
    return UserError(f"{name} does not work at {size} px ({reason}): try {remedy}, or choose another model.backbone")


def _torchvision(name: str) -> Backbone:
    from torchvision import models

    network = models.get_model(name, weights=None)
    setattr(network, "fc" if name in RESNETS else "classifier", nn.Identity())

    def stage(parameter: str) -> str:
        first, second, *_ = parameter.split(".")
        if name in RESNETS:
            return first if first in STAGES else "stem"
        return STAGES[sum(int(second) >= start for start in _FEATURE_STAGES[name]) - 1]

    return Backbone(network, 0, {p: stage(p) for p, _ in network.named_parameters()}, _RGB_MEAN, _RGB_STD)


def _timm(name: str, input_size: int) -> Backbone:
    import timm

    refuse_unknown(name)
    try:
        network: Any = timm.create_model(**timm_settings(name, input_size), pretrained=False, num_classes=0)
    except _MISFITS as error:
        raise _refused_size(name, input_size, error) from None
    if not hasattr(network, "group_matcher") or not any(isinstance(m, nn.Conv2d) for m in network.modules()):
        fault = "does not say in which order its layers come, or has no convolution to adapt to the bands"
        raise UserError(f"{name} {fault}: choose another model.backbone")
    config = network.pretrained_cfg
    return Backbone(network, 0, _timm_stages(network), config["mean"], config["std"])


def timm_settings(name: str, input_size: int) -> dict[str, Any]:
    """Return what timm's ``create_model`` is told of a backbone."""
    import timm

    if name == "efficientnet_lite0":  # symmetric padding for the weights of the package: see training.weights
        return {"model_name": "tf_efficientnet_lite0", "pad_type": ""}
    config = timm.models.get_pretrained_cfg(name)
    return {"model_name": name} | ({"img_size": input_size} if config and config.fixed_input_size else {})


def refuse_unknown(name: str) -> None:
    """Raise UserError, with near names, where there is no such backbone."""
    import timm

    own = [*CLASSICAL, *small_cnns.BUILD, *TORCHVISION, "efficientnet_lite0"]
    architecture, _, tag = name.partition(".")
    known = timm.list_pretrained(f"{architecture}.*") if timm.is_model(architecture) else [*own, *timm.list_models()]
    if name not in own and (not timm.is_model(architecture) or (tag and name not in known)):
        raise UserError(f"model.backbone is {name!r}, no such backbone{did_you_mean(name, known)}")


def _timm_stages(network: Any) -> dict[str, str]:
    from timm.models import group_parameters

    groups = group_parameters(network, network.group_matcher(coarse=True))
    order = sorted(groups)
    last_at: dict[int, int] = {}  # stride -> the last group that works at it
    info = network.feature_info
    for feature in getattr(info, "info", info):
        inside = [g for g in order if any(p.startswith(feature["module"] + ".") for p in groups[g])]
        last_at[feature["reduction"]] = max(inside, default=0)
    ends = [max((g for stride, g in last_at.items() if stride <= limit), default=0) for limit in (4, 8, 16)]
    if not order[0] < ends[0] < ends[1] < ends[2] < order[-1]:
        body = order[1:]
        ends = [body[max(0, round(len(body) * part / 4) - 1)] for part in (1, 2, 3)]
    return {p: STAGES[0 if g == order[0] else 1 + sum(g > end for end in ends)] for g in order for p in groups[g]}
