"""Training: from a split tile store to a model on disk and its history."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch

from landuse import params, tracking
from landuse.core.errors import Interrupted, UserError
from landuse.core.files import write_csv, write_json
from landuse.core.paths import COLLAPSE, HISTORY, TRAIN_METRICS, repository
from landuse.model import saved
from landuse.storage.checkpoints import checkpointing
from landuse.training import classical, distributed, loop
from landuse.training.autoencoder import Pretrained
from landuse.training.guards import Guards
from landuse.training.guards.findings import Collapsed
from landuse.training.prepare import prepare
from landuse.training.process import configure, return_memory


@distributed.group()
def run(p: params.Params) -> None:
    """Train, or go on with a training of the same params, data and code; write the model and what became of it.

    Under ``torchrun`` several processes train as one.
    """
    configure()
    if p.recipe.fit and distributed.size() > 1:
        raise UserError(f"{p.model.backbone} is fitted by one process: start the training without torchrun")
    ready = prepare(p)
    spec = ready.spec
    print(
        f"recipe {p.train.recipe}: {spec.backbone} ({spec.weights}) at {spec.input_size} px on "
        f"{ready.train.device.type} ({torch.get_num_threads()} threads) in {spec.params['train.precision']}, "
        f"{len(spec.classes)} classes, {len(ready.train.rows):,} tiles to train on, {len(ready.val.rows):,} to "
        "validate on",
        flush=True,
    )
    tags = {f"landuse.{name}": getattr(spec, name) for name in ("data_digest", "params_digest", "backbone")}
    tags["landuse.recipe"] = p.train.recipe
    root = repository().resolve()
    facts = spec.params | {"data": spec.data_digest}
    guards = Guards(p.collapse, spec.classes)
    checkpoints = checkpointing(root, spec.identity, p.runtime.checkpoint_minutes, facts)
    with (
        distributed.entered_by_first(checkpoints) as checkpointer,
        distributed.entered_by_first(tracking.run(spec.identity, spec.params, tags)) as tracked,
    ):

        def on_epoch(row: loop.Row, speed: float) -> None:
            print(_line(row, speed), flush=True)
            if tracked:
                tracked.epoch(row, {"tiles_per_second": speed})

        try:
            kept: Mapping[str, Any] = {}
            if p.recipe.fit:
                history, best = classical.fit(ready.model, ready.train, ready.val, p, on_epoch, guards)
            else:
                training = loop.Loop(
                    ready.model, ready.train, ready.val, p, on_epoch, checkpointer, guards, ready.cache
                )
                history, best = training.run()
                kept = training.kept
                del training
        except Collapsed:
            if checkpointer:
                write_json(COLLAPSE, guards.report())
            raise
        if checkpointer is None:
            return  # rank 0 writes
        checkpointer.finish()
        return_memory()  # of the optimiser and the best weights, which have gone with the loop
        pretrained = ready.pretrained
        saved.save(ready.model, spec, phases=kept, autoencoder=pretrained.weights if pretrained else None)
        table = pd.DataFrame(history)
        write_csv(HISTORY, table)
        write_json(TRAIN_METRICS, _summary(table, best.epoch, pretrained))
        write_json(COLLAPSE, guards.report())
    if checkpointer.signal:  # it came after the last batch
        raise Interrupted("stopped when all was trained and written: the same command goes on", checkpointer.signal)


def _line(row: loop.Row, speed: float) -> str:
    lr = "" if row["lr"] is None else f"lr {row['lr']:.1e}  "
    return (
        f"epoch {row['epoch']:>3}  {row['phase']:<10} {lr}"
        f"train loss {row['train_loss']:.4f} acc {row['train_accuracy']:.4f}  "
        f"val loss {row['val_loss']:.4f} acc {row['val_accuracy']:.4f} macro-F1 {row['val_macro_f1']:.4f}  "
        f"{speed:,.0f} tiles/s"
    )


def _summary(history: pd.DataFrame, best_epoch: int, pretrained: Pretrained | None) -> dict[str, Any]:
    best = history[history["epoch"] == best_epoch].iloc[0]
    reached = {name: round(float(best[name]), 6) for name in ("val_loss", "val_accuracy", "val_macro_f1")}
    if pretrained:
        reached["reconstruction_error"] = round(pretrained.error, 6)
    return {"epochs": len(history), "best_epoch": best_epoch} | reached
