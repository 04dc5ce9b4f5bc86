"""From params and data on disk to a network and the batches that it learns from."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from landuse import params
from landuse.core.errors import UserError
from landuse.core.paths import repository
from landuse.model import backbones
from landuse.model.batches import Batches, on_device, pick_device
from landuse.model.classifier import Classifier
from landuse.spec.model import VERSION, ModelSpec
from landuse.storage.cache import Cache, folder_of
from landuse.tiles.split import labels_of, read_split
from landuse.tiles.store import TileStore, open_store
from landuse.training import distributed
from landuse.training.adapter import choose
from landuse.training.identity import digest, flatten, identity
from landuse.training.precision import resolve
from landuse.training.weights import loader

_FULL_RANGE = {"uint8": 255.0, "uint16": 10_000.0}  # digital numbers / 10,000 are reflectance


@dataclass(frozen=True)
class Prepared:
    """A network on its device, what will be saved beside its weights, the tiles to train and validate on, the cache."""

    model: Classifier
    spec: ModelSpec
    train: Batches
    val: Batches
    cache: Cache | None = None


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
    parts = []
    for part in ("train", "val"):
        chosen = split[split["split"] == part]
        if chosen.empty:
            raise UserError(f"the {part} split has no tile: change split.fractions or split.method")
        rows, targets = (chosen[column].to_numpy(copy=True) for column in ("row", "target"))
        parts.append(Batches(store.images, rows, targets, size, device, resident))
    train, val = parts
    smallest = min(size, len(train.rows), len(val.rows))
    if smallest < distributed.size():
        raise UserError(
            f"{distributed.size()} processes cannot share {smallest} tiles (batch_size is {size}, tiles to train on "
            f"{len(train.rows)}, to validate on {len(val.rows)}): raise train.batch_size, or start fewer"
        )
    folder = folder_of(repository().resolve())
    cache = Cache(folder, store.info["digest"], p.runtime.cache_gb) if p.runtime.cache else None
    return Prepared(model, spec, train, val, cache)


def _model(
    p: params.Params, store: TileStore, split: pd.DataFrame, device: torch.device
) -> tuple[Classifier, ModelSpec]:
    info, chosen, recipe = store.info, p.model, p.recipe
    weights = "none" if recipe.from_scratch else chosen.weights
    channels, name, size = len(info["bands"]), chosen.backbone, chosen.input_size
    adapter = choose(chosen.input_adapter, name, info["bands"], weights != "none")
    load = loader(weights, name, size)
    backbone = backbones.build(name, channels, chosen.stem, chosen.pooling, size, load, adapter)
    for other, phase in {phase.input_size or size: phase.name for phase in reversed(recipe.phases)}.items():
        try:
            if other != size:
                backbones.features_at(backbone.module, name, channels, other)
        except UserError:
            raise UserError(
                f"phase {phase} of the recipe has an input_size of {other} px, at which {name}, built for "
                f"model.input_size ({size} px), does not work: leave it out, or choose another model.backbone"
            ) from None
    mean, std = _normalisation(recipe.normalise, backbone, store, split)
    flat = flatten(p) | {"train.precision": resolve(p.train.precision, device)}  # it changes the result
    data_digest = digest([info["digest"], split[["file", "target", "split"]].to_dict("list")])
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
        ground_resolution=info["ground_resolution"],
        input_size=size,
        mean=mean,
        std=std,
        source=info["source"],
        data_licence=info["licence"],
        weights=weights,
        data_digest=data_digest,
        params_digest=digest(flat),
        identity=identity(flat, data_digest),
        params=flat,
    )
    return Classifier(backbone, recipe.head, len(spec.classes), mean, std, size), spec


def _normalisation(
    how: str, backbone: backbones.Backbone, store: TileStore, split: pd.DataFrame
) -> tuple[list[float], list[float]]:
    """Return each band's mean and deviation in stored units, as ``normalise`` of a recipe asks for them."""
    bands = len(store.info["bands"])
    if how == "unscaled":
        once_too_often = _FULL_RANGE[store.info["dtype"]] * 255
        mean, std = np.resize(backbone.mean, bands), np.resize(backbone.std, bands)
        return (mean * once_too_often).tolist(), (std * once_too_often).tolist()
    if how == "auto" and store.info["dtype"] == "uint8" and bands == 3:
        return [m * 255 for m in backbone.mean], [s * 255 for s in backbone.std]
    tiles = [store.images[row] for row in split.loc[split["split"] == "train", "row"]]
    means, variances = (
        np.stack([of(tile, axis=(0, 1), dtype=np.float64) for tile in tiles]) for of in (np.mean, np.var)
    )
    variance = variances.mean(axis=0) + means.var(axis=0)  # within tiles + between tiles
    return [round(float(m), 4) for m in means.mean(axis=0)], [round(float(s), 4) for s in np.sqrt(variance)]
