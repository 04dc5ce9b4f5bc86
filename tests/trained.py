"""A workspace as training and evaluation leave it: tiles, split, metrics and a model (untrained, but lively)."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from conftest import DEFAULTS
from torch import nn

from landuse import params, sensors
from landuse.core.layers import LayerBand
from landuse.core.paths import ANSWERS, CALIBRATION, MODEL
from landuse.data import writer
from landuse.data.sources.collection import Collection, Tile
from landuse.data.splits import stage as splits
from landuse.evaluation import scores
from landuse.model import baselines, saved
from landuse.model.classifier import Classifier
from landuse.prediction.members import Member
from landuse.prediction.predictor import predict
from landuse.spec.model import Calibration, ModelSpec
from landuse.tiles.split import read_split
from landuse.tiles.store import TileStore, open_store

TEMPERATURE = 1.7
CLASSES = ("Forest", "Highway", "Pasture")  # of the data; the first is kept aside


def spec(
    backbone: str = "test_resnet", bands: int = 3, size: int = 32, input_size: int = 32, **other: object
) -> ModelSpec:
    """A description of a two-label model; 13 bands are uint16, 3 are uint8."""
    rgb = bands == 3
    facts: dict[str, object] = {
        "backbone": backbone,
        "stem": "standard",
        "pooling": "avg",
        "rgb": [0, 1, 2] if rgb else None,
        "head": {"hidden": 8, "dropout": 0.2},
        "classes": ["City", "Farmland"],
        "bands": list(sensors.RGB if rgb else sensors.BANDS[:bands]),
        "units": sensors.RGB_UNITS if rgb else sensors.UNITS,
        "dtype": "uint8" if rgb else "uint16",
        "tile_size": size,
        "input_size": input_size,
        "mean": [120.0 if rgb else 1500.0] * bands,
        "std": [50.0 if rgb else 700.0] * bands,
        "source": "sample",
        "data_licence": "MIT (simulated)",
        "weights": "none",
        "data_digest": "d" * 64,
        "params_digest": "b" * 64,
        "identity": "1" * 64,
        "params": {
            "train.recipe": "fast",
            "train.seed": 42,
            "train.precision": "bf16",
            "model.backbone": backbone,
            "recipe.batch_size": 64,
        },
    }
    return ModelSpec(**(facts | other))  # type: ignore[arg-type]


def layer_bands(*names: str) -> list[LayerBand]:
    """What model.json says of stored bands that come from other rasters."""
    return [LayerBand(name=n, scale=0.5, offset=-9.0, units="m", resampling="bilinear", of=n) for n in names]


def network(described: ModelSpec) -> Classifier:
    """An untrained network whose answers differ from tile to tile, as a trained one's do."""
    torch.manual_seed(0)
    model = saved.build(described)
    for name in model.adapter:  # what starts at zero would hide a band that is not seen
        nn.init.normal_(model.backbone.get_parameter(name))
    count = max(8, 64 * 32 // described.input_size)  # of large tiles fewer
    probe = torch.from_numpy(pixels(described, count)).permute(0, 3, 1, 2).float()
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # take the statistics of the one batch that follows
    with torch.no_grad():
        model(probe)
        model.eval()
        logits = model(probe)
        model.head[-1].weight *= 2 / logits.std(dim=0).mean()
        model.head[-1].bias -= model(probe).mean(dim=0)
    return model


def pixels(described: ModelSpec, count: int) -> np.ndarray:
    """(count, H, W, C) tiles, smooth and noisy ones, dark and bright ones."""
    rng = np.random.default_rng(5)
    top = 256 if described.dtype == "uint8" else 4000
    shape = (count, described.tile_size, described.tile_size, len(described.bands))
    level = rng.uniform(0, 1, (count, 1, 1, shape[-1]))
    noise = rng.uniform(0, 1, (count, 1, 1, 1)) * rng.uniform(-0.5, 0.5, shape)
    return ((level + noise).clip(0, 0.999) * top).astype(described.dtype)


@dataclass(frozen=True)
class Workspace:
    path: Path
    spec: ModelSpec
    images: np.ndarray
    params: params.Params


def dealt(folder: Path) -> tuple[TileStore, pd.DataFrame]:
    """The tiles of a workspace and their split."""
    store = open_store(folder / "data/tiles")
    return store, read_split(store, folder / "data/split.csv")


def evaluate(folder: Path, described: ModelSpec) -> dict[str, object]:
    """What the evaluate stage measures for random answers, mostly right."""
    store, split = dealt(folder)
    truth = split.loc[split["split"] == "test", "target"].to_numpy()
    sure = np.random.default_rng(1).uniform(0.4, 1, len(truth))
    probabilities = np.where(np.arange(2) == truth[:, None], sure[:, None], 1 - sure[:, None])
    settings = params.load("evaluate", folder).evaluate.model_copy(update={"bootstrap": 200})
    train, test = (split[split["split"] == part] for part in ("train", "test"))
    guesses = {"majority": baselines.majority(train, test)}
    guesses["band_statistics"] = baselines.band_statistics(store.images, train, test)
    return scores.measure(settings, test, probabilities, guesses, described.classes)


def answer(folder: Path, views: int = 1) -> None:
    """Leave for the export what the evaluate stage does, of the model on disk alone."""
    model, described = saved.load(folder / MODEL)
    digest = hashlib.sha256((folder / MODEL / saved.WEIGHTS).read_bytes()).hexdigest()
    store, split = dealt(folder)
    for part in ("val", "test"):
        tiles = split[split["split"] == part]
        rows, targets = (tiles[column].to_numpy(copy=True) for column in ("row", "target"))
        found = predict([model], views, store.images, rows, targets, torch.device("cpu"))
        found.save(folder / ANSWERS / f"{part}.npz")
    calibration = Calibration(
        temperature=TEMPERATURE,
        power=1.0,
        reason="a test",
        coverage=0.95,
        abstention_threshold=0.6,
        conformal_method="lac",
        conformal_coverage=0.99,
        conformal_quantile=None,
        views=views,
        members=[Member(model, described, None, digest).facts()],
    )
    (folder / CALIBRATION).write_text(calibration.model_dump_json())


def split_table(names: list[str], tests: int) -> pd.DataFrame:
    table = pd.DataFrame({"row": range(len(names)), "file": names})
    table["class"] = table["file"].str.split("/").str[0]
    table["label"] = table["class"].map({"Highway": "City", "Pasture": "Farmland"}).fillna("")
    table["target"] = table["label"].map({"City": 0, "Farmland": 1}).fillna(-1).astype(int)
    table["split"] = "aside"
    known = table.index[table["target"] >= 0]
    table.loc[known, "split"] = "train"
    table.loc[known[::2][:tests], "split"] = "test"
    table.loc[known[1::4], "split"] = "val"
    return table


def build(folder: Path, described: ModelSpec, count: int = 132, tests: int = 41) -> Workspace:
    """Write a workspace for this model. 41 test tiles: one batch of 37 and a shorter one."""
    images = pixels(described, count)
    names = sorted(f"{CLASSES[i % 3]}/{i:04}.png" for i in range(count))
    of = dict(zip(names, images, strict=True))
    source = Collection(
        source=described.source,
        names=names,
        read=lambda name: Tile(of[name], hashlib.sha256(of[name].tobytes()).hexdigest()),
        bands=tuple(described.bands),
        size=described.tile_size,
        dtype=np.dtype(described.dtype),
        units=described.units,
        licence=described.data_licence,
    )
    writer.write(folder / "data/tiles", source)
    split_table(names, tests).to_csv(folder / "data/split.csv", index=False)
    saved.save(network(described), described, folder / MODEL)
    answer(folder)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(DEFAULTS / name, folder)
    for name in ("metrics", "reports"):
        (folder / name).mkdir()
    contents = {
        "evaluate": evaluate(folder, described),
        "split": {
            "method": "stratified",
            **splits._counts(dealt(folder)[1]),
            "duplicates": {"exact_across_parts": 0, "near_across_parts": 0},
        },
        "train": {"epochs": 7, "best_epoch": 5, "val_loss": 0.1, "val_accuracy": 0.95, "val_macro_f1": 0.94},
        "collapse": {"action": "fail", "verdict": "ok", "stopped": False, "baselines": {}, "checks": {}},
    }
    headline = {name: contents["evaluate"][name]["value"] for name in ("accuracy", "macro_f1")}
    (folder / "metrics/evaluate.json").write_text(json.dumps(headline))
    for stage, content in contents.items():
        (folder / ("metrics" if stage == "train" else "reports") / f"{stage}.json").write_text(json.dumps(content))
    (folder / "plots").mkdir()
    row = {"epoch": 1, "phase": "all", "lr": 1e-3} | {
        f"{part}_{name}": 0.5 for part in ("train", "val") for name in ("loss", "accuracy")
    }
    pd.DataFrame([row | {"val_macro_f1": 0.5}]).to_csv(folder / "plots/history.csv", index=False)
    return Workspace(folder, described, images, params.load("export", folder))


def changed(p: params.Params, section: str, **settings: object) -> params.Params:
    """The same params with other settings of a section."""
    return p.model_copy(update={section: getattr(p, section).model_copy(update=settings)})
