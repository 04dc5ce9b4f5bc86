"""From params and data on disk to a network and the batches that it learns from."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.core.paths import repository
from landuse.model import backbones, small_cnns
from landuse.model.adapters import Adapter
from landuse.model.batches import Batches, on_device, pick_device
from landuse.model.channels import Channels
from landuse.model.classifier import Classifier
from landuse.spec.model import VERSION, ModelSpec
from landuse.storage.cache import Cache, folder_of
from landuse.tiles.split import labels_of, read_split
from landuse.tiles.store import TileStore, open_store
from landuse.training import distributed
from landuse.training.adapter import choose
from landuse.training.autoencoder import Pretrained, pretrain
from landuse.training.identity import digest, flatten, identity
from landuse.training.normalisation import normalisation
from landuse.training.precision import resolve
from landuse.training.weights import loader


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
    model, spec = _model(p, store, split, device)
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
    train, val = parts
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
        # data.fraction says how many labels there are: the tiles that it leaves out are there without theirs
        rows = split.loc[split["split"].isin(["train", "unused"]), "row"].to_numpy(copy=True)
        unlabelled = replace(train, rows=rows, targets=np.full_like(rows, -1))
        pixels = digest([store.info["pixels"], store.info.get("channels")])
        pretrained = pretrain(model, unlabelled, p, cache, pixels)
    return Prepared(model, spec, train, val, cache, pretrained)


def _model(
    p: params.Params, store: TileStore, split: pd.DataFrame, device: torch.device
) -> tuple[Classifier, ModelSpec]:
    info, chosen, recipe = store.info, p.model, p.recipe
    name, size = chosen.backbone, info["tile_size"] if recipe.fit else chosen.input_size
    weights = "none" if recipe.from_scratch or recipe.pretraining or recipe.fit else chosen.weights
    if recipe.pretraining and name not in small_cnns.BUILD:
        known = " or ".join(sorted(small_cnns.BUILD, reverse=True))
        raise UserError(f"recipe {p.train.recipe}: there is no autoencoder of {name}: -S model.backbone={known}")
    layers = [layer["name"] for layer in info.get("layers") or []]
    if chosen.fusion == "late" and not layers:
        raise UserError(
            "model.fusion is 'late', but the tiles have no layers: add some with -S data.layers=... (docs/data.md), or "
            "choose early"
        )
    channels = [(channel, formula) for channel, formula in info.get("channels") or []] or None
    if recipe.fit:
        channels = sensors.with_indices(info["bands"], channels, len(layers))
    names = [channel for channel, _ in channels] if channels else info["bands"]
    seen = Channels(info["bands"], channels, info["radiometric_offset"] or 0) if channels else None
    branch = len(layers) if chosen.fusion == "late" else 0
    spectral = names[: len(names) - branch]
    adapter = Adapter() if recipe.fit else choose(chosen.input_adapter, name, spectral, weights != "none")
    load = loader(weights, name, size)
    backbone = backbones.build(name, len(names), chosen.stem, chosen.pooling, size, load, adapter, branch)
    for other, phase in {phase.input_size or size: phase.name for phase in reversed(recipe.phases)}.items():
        try:
            if other != size:
                backbones.features_at(backbone.module, name, len(names), other)
        except UserError:
            raise UserError(
                f"phase {phase} of the recipe has an input_size of {other} px, at which {name}, built for "
                f"model.input_size ({size} px), does not work: leave it out, or choose another model.backbone"
            ) from None
    rows = split.loc[split["split"] == "train", "row"].tolist()
    mean, std = normalisation(recipe.normalise, backbone, store.images, rows, names, seen, len(layers))
    precision = "fp32" if recipe.fit else resolve(p.train.precision, device)
    flat = flatten(p) | {"train.precision": precision}  # it changes the result
    data_digest = digest([info["pixels"], split[["file", "target", "split"]].to_dict("list")])
    spec = ModelSpec(
        version=VERSION,
        backbone=name,
        stem=chosen.stem,
        pooling=chosen.pooling,
        input_adapter=adapter.word,
        rgb=None if adapter.rgb is None else list(adapter.rgb),
        head=recipe.head.model_dump(),
        classes=labels_of(split),
        bands=info["bands"],
        units=info["units"],
        radiometric_offset=info["radiometric_offset"],
        dtype=info["dtype"],
        tile_size=info["tile_size"],
        resized=info.get("resized"),
        ground_resolution=info["ground_resolution"],
        input_size=size,
        channels=channels,
        layers=info.get("layers"),
        fusion=chosen.fusion if layers else None,
        mean=mean,
        std=std,
        source=info["source"],
        data_licence=info["licence"],
        weights="autoencoder" if recipe.pretraining else weights,
        data_digest=data_digest,
        params_digest=digest(flat),
        identity=identity(flat, data_digest),
        params=flat,
    )
    return Classifier(backbone, recipe.head, len(spec.classes), mean, std, size, seen), spec
