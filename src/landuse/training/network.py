"""From params and tiles to a network that is to be trained, and the spec of what will be saved beside its weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.model import backbones, small_cnns
from landuse.model.adapters import Adapter
from landuse.model.backbones import Backbone
from landuse.model.channels import Channels
from landuse.model.classifier import Classifier
from landuse.spec.model import VERSION, ModelSpec
from landuse.tiles.split import labels_of
from landuse.tiles.store import TileStore
from landuse.training.adapter import choose
from landuse.training.identity import digest, flatten, identity
from landuse.training.normalisation import normalisation
from landuse.training.precision import resolve
from landuse.training.weights import loader


def build(
    p: params.Params, store: TileStore, split: pd.DataFrame, device: torch.device
) -> tuple[Classifier, ModelSpec]:
    """Build the network for the channels of these tiles, with the weights to start from, and describe it.

    Raises UserError where params and tiles do not go together.
    """
    info, chosen, recipe = store.info, p.model, p.recipe
    layers = len(info.get("layers") or [])
    channels = _channels(info, recipe, layers)
    names = [channel for channel, _ in channels] if channels else info["bands"]
    seen = Channels(info["bands"], channels, info["radiometric_offset"] or 0) if channels else None
    size = info["tile_size"] if recipe.fit else chosen.input_size
    weights = "none" if recipe.from_scratch or recipe.pretraining or recipe.fit else chosen.weights
    backbone, adapter = _backbone(p, names, layers, size, weights)
    rows = split.loc[split["split"] == "train", "row"].tolist()
    mean, std = normalisation(recipe.normalise, backbone, store.images, rows, names, seen, layers)
    precision = "fp32" if recipe.fit else resolve(p.train.precision, device)
    flat = flatten(p) | {"train.precision": precision}  # it changes the result
    data_digest = digest([info["pixels"], split[["file", "target", "split"]].to_dict("list")])
    spec = ModelSpec(
        version=VERSION,
        backbone=chosen.backbone,
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


def _channels(info: Mapping[str, Any], recipe: params.Recipe, layers: int) -> list[tuple[str, str]] | None:
    """What a network sees, as ``ModelSpec`` has it; classical models also see the usual indices."""
    channels = [(channel, formula) for channel, formula in info.get("channels") or []] or None
    return sensors.with_indices(info["bands"], channels, layers) if recipe.fit else channels


def _backbone(p: params.Params, names: Sequence[str], layers: int, size: int, weights: str) -> tuple[Backbone, Adapter]:
    """Build the backbone for channels of these names, of which so many of the last are layers."""
    chosen, recipe = p.model, p.recipe
    if recipe.pretraining and chosen.backbone not in small_cnns.BUILD:
        known = " or ".join(sorted(small_cnns.BUILD, reverse=True))
        told = f"recipe {p.train.recipe}: there is no autoencoder of {chosen.backbone}"
        raise UserError(f"{told}: -S model.backbone={known}")
    if chosen.fusion == "late" and not layers:
        raise UserError(
            "model.fusion is 'late', but the tiles have no layers: add some with -S data.layers=... (docs/data.md), or "
            "choose early"
        )
    branch = layers if chosen.fusion == "late" else 0
    spectral = names[: len(names) - branch]
    adapter = Adapter() if recipe.fit else choose(chosen.input_adapter, chosen.backbone, spectral, weights != "none")
    load = loader(weights, chosen.backbone, size)
    backbone = backbones.build(chosen.backbone, len(names), chosen.stem, chosen.pooling, size, load, adapter, branch)
    _refuse_sizes(recipe, backbone, chosen.backbone, len(names), size)
    return backbone, adapter


def _refuse_sizes(recipe: params.Recipe, backbone: Backbone, name: str, channels: int, size: int) -> None:
    """Raise UserError where the backbone does not work at the size of every phase."""
    for other, phase in {phase.input_size or size: phase.name for phase in reversed(recipe.phases)}.items():
        try:
            if other != size:
                backbones.features_at(backbone.module, name, channels, other)
        except UserError:
            raise UserError(
                f"phase {phase} of the recipe has an input_size of {other} px, at which {name}, built for "
                f"model.input_size ({size} px), does not work: leave it out, or choose another model.backbone"
            ) from None
