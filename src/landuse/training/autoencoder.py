"""Pre-training without labels: a small network learns to reconstruct tiles, before it learns what they show."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor
from tqdm import tqdm

from landuse.core.errors import UserError
from landuse.model.autoencoder import Autoencoder
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.params import Params
from landuse.storage.cache import Cache, Entries, NoRoom
from landuse.training import distributed
from landuse.training.epochs import shuffled, steps
from landuse.training.identity import digest, identity

_ONLY = np.zeros(1, dtype=np.int64)  # row, and view, of the one entry that a result is
_ERROR = "error"


@dataclass(frozen=True)
class Pretrained:
    """weights: of the autoencoder, on the CPU. error: the mean squared one of its last epoch."""

    weights: dict[str, Tensor]
    error: float


def pretrain(model: Classifier, tiles: Batches, p: Params, cache: Cache | None, pixels: str) -> Pretrained:
    """Train the convolutions of a network as the encoder of an autoencoder, by the recipe's ``pretraining``.

    The result is kept: a training that was killed goes on with it, and others that differ in labels alone use it, too.
    Several processes all do the same.

    pixels: digest of what the tile store holds, and of what is made of its bands.

    Raises UserError where the size of the tiles cannot be halved often enough, or the error becomes no number.
    """
    torch.manual_seed(p.train.seed)
    network = Autoencoder(model).to(tiles.device).to(memory_format=torch.channels_last).train()
    if model.input_size % network.factor:
        raise UserError(
            f"model.input_size is {model.input_size}, which an autoencoder of {p.model.backbone} cannot halve "
            f"{len(network.encoder)} times: choose a multiple of {network.factor}"
        )
    entries = _entries(cache, model, network, tiles, p, pixels) if cache and distributed.rank() == 0 else None
    found = distributed.on_first(lambda: _read(entries))
    if found is None:
        error = _train(model, network, tiles, p)
        found = _content(network, error)
        _keep(entries, found)
    weights = from_bytes(found)
    error = weights.pop(_ERROR).item()
    network.load_state_dict(weights)
    print(f"autoencoder of {p.model.backbone}: reconstruction error {error:.4f}", flush=True)
    return Pretrained(weights, error)


def _train(model: Classifier, network: Autoencoder, tiles: Batches, p: Params) -> float:
    """Train to the end, at a rate that falls to zero as a cosine; return the error of the last epoch."""
    settings, adam, per_epoch = p.recipe.pretraining, p.train.optimizers.adam, steps(tiles)
    assert settings is not None
    opt = torch.optim.Adam(network.parameters(), lr=settings.lr, betas=(adam.beta1, adam.beta2), fused=True)
    hidden, mean = distributed.rank() > 0 or None, 0.0  # None: where there is no terminal
    for epoch in range(settings.epochs):
        total = torch.zeros((), device=tiles.device)
        batches = shuffled(tiles, p.train.seed, epoch + 1, p.augment)
        title = f"autoencoder, epoch {epoch + 1}/{settings.epochs}"
        for batch, (pixels, _) in enumerate(tqdm(batches, title, per_epoch, unit="batch", leave=False, disable=hidden)):
            done = (epoch + batch / per_epoch) / settings.epochs
            opt.param_groups[0]["lr"] = settings.lr * (1 + math.cos(math.pi * done)) / 2
            opt.zero_grad()
            error = network.errors(model.preprocess(pixels)).mean()
            error.backward()  # type: ignore[no-untyped-call]
            opt.step()
            total += error.detach()
        mean = total.item() / per_epoch
        print(f"autoencoder: epoch {epoch + 1:>3}  reconstruction error {mean:.4f}", flush=True)
        if not math.isfinite(mean):
            key = f"recipes.{p.train.recipe}.pretraining.lr"
            raise UserError(f"the autoencoder's error is not a number: lower {key} (it is {settings.lr:g})")
    opt.zero_grad()  # or the first step of a phase would add these gradients to its own
    return mean


def _content(network: Autoencoder, error: float) -> bytes:
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return to_bytes(state | {_ERROR: torch.tensor(error)})


def _entries(
    cache: Cache, model: Classifier, network: Autoencoder, tiles: Batches, p: Params, pixels: str
) -> Entries | None:
    """Where the result of this pre-training is kept, under a digest of all that it depends on."""
    assert p.recipe.pretraining is not None
    kind = tiles.device.type
    facts = {
        "pretraining": p.recipe.pretraining.model_dump(),
        "adam": p.train.optimizers.adam.model_dump(),
        "batch_size": tiles.batch_size,
        "augment": p.augment.model_dump(),
        "seed": p.train.seed,
        "model": p.model.model_dump(),
        "normalisation": [of.flatten().tolist() for of in (model.mean, model.std)],
        "torch": torch.__version__,
        "threads": torch.get_num_threads() if kind == "cpu" else 0,  # another number may round otherwise
        "device": torch.cuda.get_device_name() if kind == "cuda" else kind,
    }
    key = identity(facts, digest([pixels, tiles.rows.tolist()]))
    example = np.frombuffer(_content(network, 0.0), np.uint8)[None]
    told = {"autoencoder": p.model.backbone, "epochs": p.recipe.pretraining.epochs, "seed": p.train.seed}
    try:
        return cache.open(key, _ONLY, 1, 1, example, told)
    except NoRoom as refusal:
        print(f"the autoencoder is not kept: {refusal}", flush=True)
    except OSError as error:
        print(f"the autoencoder is not kept: nothing can be written to .landuse ({error.strerror})", flush=True)
    return None


def _read(entries: Entries | None) -> bytes | None:
    if entries is None or entries.missing(_ONLY, _ONLY)[0]:
        return None
    content: bytes = entries.get(_ONLY, _ONLY)[0].tobytes()
    return content


def _keep(entries: Entries | None, content: bytes) -> None:
    try:
        if entries:
            entries.put(_ONLY, _ONLY, np.frombuffer(content, np.uint8)[None])
    except OSError as error:
        print(f"the autoencoder is not kept ({error.strerror})", flush=True)
