"""Training: from a split tile store to a model on disk, its history and its curves."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from landuse import params, tracking
from landuse.batches import Batches
from landuse.errors import UserError
from landuse.files import write_csv, write_json
from landuse.model import backbones, saved
from landuse.model.classifier import Classifier
from landuse.model.predict import pick_device
from landuse.splits import read_split
from landuse.tiles import TileStore, open_store
from landuse.training import curves, loop
from landuse.training.identity import digest, flatten, identity

HISTORY = Path("plots/history.csv")
CURVES = Path("plots/training_curves.png")
METRICS = Path("metrics/train.json")


def run(p: params.Params) -> None:
    """Train the chosen backbone by the chosen recipe; write the model, metrics, history and curves."""
    _deterministic()
    store, split = open_store(), read_split()
    device = pick_device()
    torch.manual_seed(p.train.seed)
    model, spec = _prepare(p, store, split)
    model.to(device).to(memory_format=torch.channels_last)
    train, val = (_batches(store, split, part, p.recipe.batch_size, device) for part in ("train", "val"))
    print(_introduction(p, spec, train, val, device), flush=True)
    with tracking.run(spec.identity, spec.params, _tags(p, spec)) as tracked:

        def on_epoch(row: loop.Row, speed: float) -> None:
            print(_line(row, speed), flush=True)
            tracked.epoch(row, {"tiles_per_second": speed})

        history, best = loop.fit(model, train, val, p, on_epoch)
        saved.save(model, spec)
        table = pd.DataFrame(history)
        write_csv(HISTORY, table)
        write_json(METRICS, _summary(table, best.epoch))
        curves.draw(table, best.epoch, CURVES)


def _prepare(p: params.Params, store: TileStore, split: pd.DataFrame) -> tuple[Classifier, saved.Spec]:
    """Build the network and the description that will be saved beside its weights."""
    classes = split[split["target"] >= 0].drop_duplicates("target").sort_values("target")["label"].tolist()
    backbone = backbones.build(p.model.backbone, len(store.info["bands"]), p.model.weights)
    mean, std = _normalisation(backbone, store, split)
    flat = flatten(p)
    data_digest = digest([store.info["digest"], split[["file", "target", "split"]].to_dict("list")])
    spec = saved.Spec(
        backbone=p.model.backbone,
        head=p.recipe.head.model_dump(),
        classes=classes,
        bands=store.info["bands"],
        units=store.info["units"],
        dtype=store.info["dtype"],
        tile_size=store.info["tile_size"],
        input_size=p.model.input_size,
        mean=mean,
        std=std,
        temperature=1.0,
        source=store.info["source"],
        data_licence=store.info["licence"],
        weights=p.model.weights,
        data_digest=data_digest,
        params_digest=digest(flat),
        identity=identity(flat, data_digest),
        params=flat,
    )
    return Classifier(backbone, p.recipe.head, len(classes), mean, std, p.model.input_size), spec


def _normalisation(
    backbone: backbones.Backbone, store: TileStore, split: pd.DataFrame
) -> tuple[list[float], list[float]]:
    """Per-band mean and deviation in stored units: what the weights expect of RGB, else the training tiles'."""
    if store.info["dtype"] == "uint8":
        return [m * 255 for m in backbone.mean], [s * 255 for s in backbone.std]
    rows = split.loc[split["split"] == "train", "row"].to_numpy()
    tile_means = np.stack([store.images[row].mean(axis=(0, 1), dtype=np.float64) for row in rows])
    tile_variances = np.stack([store.images[row].var(axis=(0, 1), dtype=np.float64) for row in rows])
    mean = tile_means.mean(axis=0)
    variance = tile_variances.mean(axis=0) + tile_means.var(axis=0)  # within tiles + between tiles
    return [round(float(m), 4) for m in mean], [round(float(s), 4) for s in np.sqrt(variance)]


def _batches(store: TileStore, split: pd.DataFrame, part: str, size: int, device: torch.device) -> Batches:
    chosen = split[split["split"] == part]
    if chosen.empty:
        raise UserError(f"the {part} split has no tile: change split.fractions or split.method")
    return Batches(store.images, chosen["row"].to_numpy(copy=True), chosen["target"].to_numpy(copy=True), size, device)


def _deterministic() -> None:
    """Same machine, same versions, same thread count: the same bytes."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
    torch.use_deterministic_algorithms(True)
    # it would fill every new tensor, a third of the time, to catch reads of unset memory
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False


def _introduction(p: params.Params, spec: saved.Spec, train: Batches, val: Batches, device: torch.device) -> str:
    return (
        f"recipe {p.train.recipe}: {spec.backbone} ({spec.weights}) at {spec.input_size} px on {device.type}, "
        f"{len(spec.classes)} classes, {len(train.rows):,} tiles to train on, {len(val.rows):,} to validate on"
    )


def _line(row: loop.Row, speed: float) -> str:
    return (
        f"epoch {row['epoch']:>3}  {row['phase']:<10} lr {row['lr']:.1e}  "
        f"train loss {row['train_loss']:.4f} acc {row['train_accuracy']:.4f}  "
        f"val loss {row['val_loss']:.4f} acc {row['val_accuracy']:.4f} macro-F1 {row['val_macro_f1']:.4f}  "
        f"{speed:,.0f} tiles/s"
    )


def _tags(p: params.Params, spec: saved.Spec) -> dict[str, str]:
    return {
        "landuse.data_digest": spec.data_digest,
        "landuse.params_digest": spec.params_digest,
        "landuse.recipe": p.train.recipe,
        "landuse.backbone": spec.backbone,
    }


def _summary(history: pd.DataFrame, best_epoch: int) -> dict[str, Any]:
    best = history[history["epoch"] == best_epoch].iloc[0]
    return {
        "epochs": len(history),
        "best_epoch": best_epoch,
        "val": {name: round(float(best[f"val_{name}"]), 6) for name in ("loss", "accuracy", "macro_f1")},
    }
