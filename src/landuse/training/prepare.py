"""From params and data on disk to a network and the batches that it learns from."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.core.paths import repository
from landuse.model.batches import Batches, on_device, pick_device
from landuse.model.classifier import Classifier
from landuse.spec.model import ModelSpec
from landuse.storage.cache import Cache, folder_of
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store
from landuse.training import distributed, network
from landuse.training.autoencoder import Pretrained, pretrain
from landuse.training.identity import digest


@dataclass(frozen=True)
class Prepared:
    """A network on its device, what will be saved beside its weights, the tiles to train and validate on, the cache.

    pretrained: the autoencoder whose encoder the network starts from, where the recipe has one.
    """

    model: Classifier
    spec: ModelSpec
    train: Batches
    val: Batches
    cache: Cache | None = None
    pretrained: Pretrained | None = None


def prepare(p: params.Params) -> Prepared:
    """Build what a training needs, from ``data/tiles`` and ``data/split.csv`` and the seed."""
    store = open_store()
    split = read_split(store)
    device = pick_device()
    torch.manual_seed(p.train.seed)
    model, spec = network.build(p, store, split, device)
    model.to(device).to(memory_format=torch.channels_last)
    distributed.share_statistics(model)
    size, resident = p.recipe.batch_size, on_device(store.images, device)
    rgb, layers = sensors.is_rgb(store.info["bands"], store.images.dtype), len(store.info.get("layers") or [])
    parts = []
    for part in ("train", "val"):
        chosen = split[split["split"] == part]
        if chosen.empty:
            raise UserError(f"the {part} split has no tile: change split.fractions or split.method")
        rows, targets = (chosen[column].to_numpy(copy=True) for column in ("row", "target"))
        parts.append(Batches(store.images, rows, targets, size, device, resident, rgb, layers))
    train, val = replace(parts[0], least=p.recipe.least_batches), parts[1]
    smallest = min(size, len(train.rows), len(val.rows))
    if smallest < distributed.size():
        raise UserError(
            f"{distributed.size()} processes cannot share {smallest} tiles (batch_size is {size}, tiles to train on "
            f"{len(train.rows)}, to validate on {len(val.rows)}): raise train.batch_size, or start fewer"
        )
    folder = folder_of(repository().resolve())
    cache = Cache(folder, store.info["digest"], p.runtime.cache_gb) if p.runtime.cache else None
    pretrained = None
    if p.recipe.pretraining:
        # data.fraction and data.shots say how many labels there are: tiles that they leave out are there without
        rows = split.loc[split["split"].isin(["train", "unused"]), "row"].to_numpy(copy=True)
        unlabelled = replace(train, rows=rows, targets=np.full_like(rows, -1))
        pixels = digest([store.info["pixels"], store.info.get("channels")])
        pretrained = pretrain(model, unlabelled, p, cache, pixels)
    return Prepared(model, spec, train, val, cache, pretrained)
