"""A trained model on disk: weights.safetensors and model.json; no pickle.

model.json says everything that is needed to use the weights: backbone and its variant, head, classes, bands, units,
input size, normalisation and calibration temperature, and where it came from: digests of data and params.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes

from landuse import params
from landuse.errors import UserError
from landuse.files import atomic, write_json
from landuse.model import backbones
from landuse.model.classifier import Classifier

FOLDER = Path("models/model")


@dataclass(frozen=True)
class Spec:
    """What model.json holds.

    mean, std: per band, in ``units``. temperature: logits are divided by it before the softmax.
    identity: digest of all that made the model (params, data, code); params: the train stage's, flat.
    """

    backbone: str
    stem: str
    pooling: str
    head: dict[str, Any]
    classes: list[str]
    bands: list[str]
    units: str
    dtype: str
    tile_size: int
    input_size: int
    mean: list[float]
    std: list[float]
    temperature: float
    source: str
    data_licence: str
    weights: str
    data_digest: str
    params_digest: str
    identity: str
    params: dict[str, Any]


def build(spec: Spec, weights: str) -> Classifier:
    """Build the network that a spec describes. weights: as in ``model.weights``."""
    backbone = backbones.build(spec.backbone, len(spec.bands), weights, spec.stem, spec.pooling)
    head = params.Head.model_validate(spec.head)
    return Classifier(backbone, head, len(spec.classes), spec.mean, spec.std, spec.input_size)


def save(model: Classifier, spec: Spec, folder: Path = FOLDER) -> None:
    """Write both files, whole or not at all."""
    with atomic(folder) as part:
        part.mkdir()
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        (part / "weights.safetensors").write_bytes(to_bytes(tensors))  # save_file hides what the disk says
        write_json(part / "model.json", asdict(spec))


def read_spec(folder: Path = FOLDER) -> Spec:
    """Read model.json alone."""
    file = folder / "model.json"
    if not file.is_file() or not (folder / "weights.safetensors").is_file():
        raise UserError(f"no model at {folder}: run 'dvc repro train' first")
    return Spec(**json.loads(file.read_text(encoding="utf-8")))


def load(folder: Path = FOLDER, device: str | torch.device = "cpu") -> tuple[Classifier, Spec]:
    """Load a trained model, ready to predict."""
    spec = read_spec(folder)
    model = build(spec, weights="none")
    model.load_state_dict(load_file(folder / "weights.safetensors"))
    return model.to(device).eval(), spec
