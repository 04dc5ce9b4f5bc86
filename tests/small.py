"""A small network, learnable tiles and recipes for the tests of training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from conftest import DEFAULTS

from landuse import params
from landuse.model import backbones
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier

CPU = torch.device("cpu")


def load(
    tmp_path: Path, phases: list[dict[str, Any]] | None = None, changes: Any = None, **recipe: Any
) -> params.Params:
    """Return the params of the repository with other phases and settings in the recipe `fast`, in fp32.

    changes: as in ``params.read``.
    """
    content = yaml.load((DEFAULTS / "params.yaml").read_text(), yaml.CSafeLoader)
    content["train"]["precision"] = "fp32"  # auto would be another on another machine
    fast = content["recipes"]["fast"]
    fast |= {"batch_size": 16, **recipe}
    if phases is not None:
        fast["phases"] = [fast["phases"][0] | {"name": f"p{i}"} | phase for i, phase in enumerate(phases)]
    (tmp_path / "params.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper))
    return params.read(tmp_path / "params.yaml", changes)


def tiles(count: int = 96, classes: int = 3) -> tuple[Batches, Batches]:
    """Return tiles of a colour that tells their class, with noise: learnable in seconds."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % classes
    images = rng.integers(0, 120, (count, 16, 16, 3)) + 100 * (np.arange(3) == targets[:, None])[:, None, None, :]
    rows = np.arange(count)
    part = count * 2 // 3
    images = images.astype(np.uint8)
    return (
        Batches(images, rows[:part], targets[:part], 16, CPU, rgb=True),
        Batches(images, rows[part:], targets[part:], 16, CPU, rgb=True),
    )


def network(classes: int = 3, backbone: str = "test_resnet", bands: int = 3) -> Classifier:
    """Return an untrained ResNet of a few thousand weights, or another network."""
    torch.manual_seed(0)
    built = backbones.build(backbone, bands)
    return Classifier(built, params.Head(hidden=None, dropout=0.1), classes, [127.0] * bands, [60.0] * bands, 16)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are the same bits."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
