"""A trained model on disk: weights.safetensors and model.json; no pickle.

model.json says everything that is needed to use the weights: backbone and its variant, head, classes, bands, units,
input size and normalisation, and where it came from: digests of data and params. It describes the network as training
left it; what evaluation finds out about its answers is in models/calibration.json.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from landuse import params
from landuse.errors import UserError
from landuse.files import atomic, write_json
from landuse.model import backbones
from landuse.model.classifier import Classifier

FOLDER = Path("models/model")
SPEC, WEIGHTS = "model.json", "weights.safetensors"  # in the folder


@dataclass(frozen=True)
class Spec:
    """What model.json holds.

    mean, std: per band, in ``units``.
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
    source: str
    data_licence: str
    weights: str
    data_digest: str
    params_digest: str
    identity: str
    params: dict[str, Any]


def build(spec: Spec, weights: str) -> Classifier:
    """Build the network that a spec describes. weights: as in ``model.weights``."""
    backbone = backbones.build(spec.backbone, len(spec.bands), weights, spec.stem, spec.pooling, spec.input_size)
    head = params.Head.model_validate(spec.head)
    return Classifier(backbone, head, len(spec.classes), spec.mean, spec.std, spec.input_size)


def save(
    model: Classifier, spec: Spec, folder: Path = FOLDER, phases: Mapping[str, Mapping[str, Tensor]] | None = None
) -> None:
    """Write both files, whole or not at all. phases: weights of earlier phases to keep beside them, by name."""
    with atomic(folder) as part:
        part.mkdir()
        (part / WEIGHTS).write_bytes(_bytes(model.state_dict()))  # save_file hides what the disk says
        write_json(part / SPEC, asdict(spec))
        for name, weights in (phases or {}).items():
            file = phase_file(name, part)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(_bytes(weights))


def _bytes(weights: Mapping[str, Tensor]) -> bytes:
    return to_bytes({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})


def phase_file(name: str, folder: Path = FOLDER) -> Path:
    """Return where the weights of an earlier phase are kept."""
    return folder / "phases" / f"{name}.safetensors"


def read_spec(folder: Path = FOLDER) -> Spec:
    """Read model.json alone."""
    file = folder / SPEC
    if not file.is_file() or not (folder / WEIGHTS).is_file():
        raise UserError(f"no model at {folder}: run 'dvc repro train' first")
    return parse(file.read_text(encoding="utf-8"), str(folder))


def parse(text: str, where: str) -> Spec:
    """Return what a model.json says. where: whose it is, for the error."""
    content = json.loads(text)
    if content.keys() != {field.name for field in fields(Spec)}:
        raise UserError(f"the model.json of {where} was written by another version of landuse: train that model again")
    return Spec(**content)


def restore(spec: Spec, weights: bytes) -> Classifier:
    """Build a network and give it its weights, the content of a safetensors file; ready to predict, on the CPU."""
    model = build(spec, weights="none")
    model.load_state_dict(from_bytes(weights))
    return model.eval()


def load(folder: Path = FOLDER, device: str | torch.device = "cpu") -> tuple[Classifier, Spec]:
    """Load a trained model, ready to predict."""
    spec = read_spec(folder)
    return restore(spec, (folder / WEIGHTS).read_bytes()).to(device), spec
