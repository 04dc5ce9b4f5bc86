"""A trained model on disk: weights.safetensors and model.json (``landuse.spec.ModelSpec``); no pickle."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from landuse import params
from landuse.core.files import atomic, write_json
from landuse.core.outputs import first_fault, reading
from landuse.core.paths import MODEL
from landuse.model import backbones
from landuse.model.adapters import Adapter
from landuse.model.autoencoder import Autoencoder
from landuse.model.channels import Channels
from landuse.model.classifier import Classifier
from landuse.spec.model import ModelSpec

SPEC, WEIGHTS, AUTOENCODER = "model.json", "weights.safetensors", "autoencoder.safetensors"  # in the folder


def build(spec: ModelSpec) -> Classifier:
    """Build the network that a spec describes, with random weights."""
    adapter = Adapter(spec.input_adapter, None if spec.rgb is None else tuple(spec.rgb))
    channels = len(spec.mean)
    branch = len(spec.layers or ()) if spec.fusion == "late" else 0
    form = (spec.backbone, channels, spec.stem, spec.pooling, spec.input_size)
    backbone = backbones.build(*form, adapter=adapter, layers=branch)
    head = params.Head.model_validate(spec.head)
    seen = Channels(spec.bands, spec.channels, spec.radiometric_offset or 0) if spec.channels else None
    return Classifier(backbone, head, len(spec.classes), spec.mean, spec.std, spec.input_size, seen)


def save(
    model: Classifier,
    spec: ModelSpec,
    folder: Path = MODEL,
    phases: Mapping[str, Mapping[str, Tensor]] | None = None,
    autoencoder: Mapping[str, Tensor] | None = None,
) -> None:
    """Write both files, whole or not at all.

    phases: weights of earlier phases to keep beside them, by name. autoencoder: the weights of one that the training
    began with, its encoder as it was then.
    """
    with atomic(folder) as part:
        part.mkdir()
        write_json(part / SPEC, spec.model_dump())
        earlier = {phase_file(name, part): weights for name, weights in (phases or {}).items()}
        if autoencoder:
            earlier[part / AUTOENCODER] = autoencoder
        for file, weights in ({part / WEIGHTS: model.state_dict()} | earlier).items():
            file.parent.mkdir(exist_ok=True)
            on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
            file.write_bytes(to_bytes(on_cpu))  # save_file hides what the disk says


def phase_file(name: str, folder: Path = MODEL) -> Path:
    """Return where the weights of an earlier phase are kept."""
    return folder / "phases" / f"{name}.safetensors"


def parse(content: bytes) -> ModelSpec:
    """Return what a model.json says, or raise as ``ModelSpec.parse`` does, also for a head of no such kind."""
    spec = ModelSpec.parse(content)
    try:
        params.Head.model_validate(spec.head)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from None
    return spec


def restore(spec: ModelSpec, weights: bytes) -> Classifier:
    """Build a network with weights from a safetensors file's content, on the CPU; ValueError where they do not fit."""
    model = build(spec)
    _fill(model, weights)
    return model.eval()


def load(folder: Path = MODEL) -> tuple[Classifier, ModelSpec]:
    """Load a trained model, ready to predict, on the CPU; raises UserError where a file is missing or damaged."""
    with reading(folder / SPEC, "train"):
        spec = parse((folder / SPEC).read_bytes())
    with reading(folder / WEIGHTS, "train"):
        return restore(spec, (folder / WEIGHTS).read_bytes()), spec


def load_autoencoder(spec: ModelSpec, folder: Path = MODEL) -> Autoencoder:
    """Load the autoencoder that a training began with, on the CPU; raises UserError where it is missing or damaged."""
    network = Autoencoder(build(spec))
    with reading(folder / AUTOENCODER, "train"):
        _fill(network, (folder / AUTOENCODER).read_bytes())
    return network.eval()


def _fill(network: nn.Module, weights: bytes) -> None:
    try:
        network.load_state_dict(from_bytes(weights))
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(str(error).strip().splitlines()[-1].strip()) from error
