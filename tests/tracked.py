"""What the tests of tracking share: outputs of a pipeline, and a look into MLflow's store."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

IDENTITY = "3f2a" + "0" * 60
PARAMS = {"model.backbone": "efficientnet_lite0", "train.recipe": "fast", "train.lr": None, "recipe.phases.0.lr": 1e-3}
TAGS = {"landuse.data_digest": "d1", "landuse.params_digest": "p1", "landuse.backbone": "efficientnet_lite0"}
DVC_YAML = """
stages:
  split: {cmd: "true", outs: [data/split.csv, reports/split.json]}
  train:
    cmd: python -c 1
    deps: [data/split.csv]
    outs: [models/model, plots/training_curves.png: {cache: false}]
    metrics: [metrics/train.json: {cache: false}]
    plots: [plots/history.csv: {cache: false}]
  evaluate:
    cmd: python -c 2
    deps: [models/model]
    outs: [reports/index.html, reports/evaluate.json]
    metrics: [metrics/evaluate.json: {cache: false}]
    plots: [plots/confusion.csv, plots/confusion.png]
  export:
    cmd: python -c 3
    deps: [models/model, reports/evaluate.json]
    outs: [models/export, reports/export.json]
"""


def row(epoch: int) -> dict[str, Any]:
    return {"epoch": epoch, "phase": "all", "lr": 1e-3 / epoch, "train_loss": 1 / epoch, "train_accuracy": 0.5,
            "val_loss": 2 / epoch, "val_accuracy": 1 - 1 / (epoch + 1), "val_macro_f1": 0.4}  # fmt: skip


def write_outputs(folder: Path, identity: str = IDENTITY, epochs: int = 3, accuracy: float = 0.9) -> None:
    """Write what the whole pipeline leaves on disk."""
    for name in ("data", "metrics", "plots", "models/model", "models/export", "reports"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "data/split.csv").write_text("row\n")
    model = {"identity": identity, "params": PARAMS, "backbone": "efficientnet_lite0"}
    model |= {"data_digest": "d1", "params_digest": "p1"}
    interval = {"value": accuracy, "low": accuracy - 0.1, "high": accuracy + 0.05}
    files = {
        "models/model/model.json": model,
        "models/export/model.json": model,
        "reports/split.json": {"counts": {"train": 70, "val": 15}},
        "metrics/train.json": {"best_epoch": epochs, "val_accuracy": 0.75},
        "metrics/evaluate.json": {"accuracy": accuracy, "nll": 0.25},
        "reports/evaluate.json": {"accuracy": interval, "recall": {"Forest": interval}, "classes": ["A", "B"]},
        "reports/export.json": {"largest_difference": 1e-6},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    pd.DataFrame([row(e) for e in range(1, epochs + 1)]).to_csv(folder / "plots/history.csv", index=False)
    (folder / "reports/index.html").write_text("<!doctype html><title>Report</title>")
    (folder / "plots/confusion.csv").write_text("actual,predicted\n")
    for name in ("training_curves", "confusion"):
        Image.new("RGB", (8, 8)).save(folder / f"plots/{name}.png")
    (folder / "models/export/model.onnx").write_bytes(b"onnx")
    (folder / "models/export/MODEL_CARD.md").write_text("# Card\n")


def client(root: Path) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")


def runs(root: Path, experiment: str = "landuse") -> list[Run]:
    """All runs of an experiment, the oldest first."""
    there = client(root)
    found = there.get_experiment_by_name(experiment)
    return list(there.search_runs([found.experiment_id], order_by=["start_time ASC"])) if found else []


def everything(root: Path) -> dict[str, Any]:
    """All that a store holds of its runs, to the last point of every metric."""
    return {
        r.info.run_id: (
            r.info.status, r.info.end_time, r.data.params, r.data.tags,
            {k: [(m.step, m.value, m.timestamp) for m in client(root).get_metric_history(r.info.run_id, k)]
             for k in r.data.metrics},
        )
        for r in runs(root)
    }  # fmt: skip


def artefacts(root: Path) -> set[str]:
    """Paths below the artefact folder of the only run."""
    (folder,) = (root / "mlartifacts").iterdir()
    return {file.relative_to(folder / "artifacts").as_posix() for file in folder.rglob("*") if file.is_file()}


def python(code: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    """Start a process that knows these helpers."""
    header = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    header += "from landuse import tracking\nfrom tracked import *\n"
    return subprocess.Popen(
        [sys.executable, "-c", header + textwrap.dedent(code)], cwd=folder, env=os.environ | env,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
