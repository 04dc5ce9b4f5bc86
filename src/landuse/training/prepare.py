"""From params and data on disk to a network and the batches that it learns from."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from landuse import params
from landuse.core.errors import UserError
from landuse.core.paths import repository
from landuse.model import backbones
from landuse.model.classifier import Classifier
from landuse.spec import VERSION, ModelSpec
from landuse.storage.cache import Cache, folder_of
from landuse.tiles.batches import Batches, on_device, pick_device
from landuse.tiles.split import labels_of, read_split
from landuse.tiles.store import TileStore, open_store
from landuse.training import distributed
from landuse.training.identity import digest, flatten, identity
from landuse.training.precision import resolve
from landuse.training.weights import loader

_FULL_RANGE = {"uint8": 255.0, "uint16": 10_000.0}  # digital numbers / 10,000 are reflectance


@dataclass(frozen=True)
class Prepared:
    """A network on its device, what will be saved beside its weights, and the tiles to train and validate on.

    cache: of what frozen stages compute.
    """

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
    resident = on_device(store.images, device)
    train, val = (_batches(store, split, part, p.recipe.batch_size, device, resident) for part in ("train", "val"))
    smallest = min(p.recipe.batch_size, len(train.rows), len(val.rows))
    if smallest < distributed.size():
        raise UserError(
            f"{distributed.size()} processes cannot share {smallest} tiles (batch_size is {p.recipe.batch_size}, tiles "
            f"to train on {len(train.rows)}, to validate on {len(val.rows)}): raise train.batch_size, or start fewer"
        )
    root = repository().resolve()
    cache = Cache(folder_of(root), store.info["digest"], p.runtime.cache_gb) if p.runtime.cache else None
    return Prepared(model, spec, train, val, cache)


def _model(
    p: params.Params, store: TileStore, split: pd.DataFrame, device: torch.device
) -> tuple[Classifier, ModelSpec]:
    classes = labels_of(split)
    weights = "none" if p.recipe.from_scratch else p.model.weights
    channels = len(store.info["bands"])
    name, size = p.model.backbone, p.model.input_size
    backbone = backbones.build(name, channels, p.model.stem, p.model.pooling, size, loader(weights, name, size))
    for other, phase in {phase.input_size or size: phase.name for phase in reversed(p.recipe.phases)}.items():
        try:
            if other != size:
                backbones.features_at(backbone.module, name, channels, other)
        except UserError:
            raise UserError(
                f"phase {phase} of the recipe has an input_size of {other} px, at which {name}, built for "
                f"model.input_size ({size} px), does not work: leave it out, or choose another model.backbone"
            ) from None
    mean, std = _normalisation(p.recipe.normalise, backbone, store, split)
    flat = flatten(p) | {"train.precision": resolve(p.train.precision, device)}  # it changes the result
    data_digest = digest([store.info["digest"], split[["file", "target", "split"]].to_dict("list")])
    spec = ModelSpec(
        version=VERSION,
        backbone=p.model.backbone,
        stem=p.model.stem,
        pooling=p.model.pooling,
        head=p.recipe.head.model_dump(),
        classes=classes,
        bands=store.info["bands"],
        units=store.info["units"],
        radiometric_offset=store.info["radiometric_offset"],
        dtype=store.info["dtype"],
        tile_size=store.info["tile_size"],
        ground_resolution=store.info["ground_resolution"],
        input_size=p.model.input_size,
        mean=mean,
        std=std,
        source=store.info["source"],
        data_licence=store.info["licence"],
        weights=weights,
        data_digest=data_digest,
        params_digest=digest(flat),
        identity=identity(flat, data_digest),
        params=flat,
    )
    return Classifier(backbone, p.recipe.head, len(classes), mean, std, p.model.input_size), spec


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
    rows = split.loc[split["split"] == "train", "row"].to_numpy()
    tile_means = np.stack([store.images[row].mean(axis=(0, 1), dtype=np.float64) for row in rows])
    tile_variances = np.stack([store.images[row].var(axis=(0, 1), dtype=np.float64) for row in rows])
    variance = tile_variances.mean(axis=0) + tile_means.var(axis=0)  # within tiles + between tiles
    return [round(float(m), 4) for m in tile_means.mean(axis=0)], [round(float(s), 4) for s in np.sqrt(variance)]


def _batches(
    store: TileStore, split: pd.DataFrame, part: str, size: int, device: torch.device, resident: torch.Tensor | None
) -> Batches:
    chosen = split[split["split"] == part]
    if chosen.empty:
        raise UserError(f"the {part} split has no tile: change split.fractions or split.method")
    rows, targets = (chosen[column].to_numpy(copy=True) for column in ("row", "target"))
    return Batches(store.images, rows, targets, size, device, resident)
