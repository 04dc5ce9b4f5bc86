"""The same tiles for everybody: this project's own stages make its tile store and split, peers get folders of JPEGs.

work/<name>/pool/<Class>/*.jpg     the tiles, from the archive or the simulated sample
work/<name>/ours/                  a copy of the repository's code, with params.yaml changed, and the stages' data/
work/<name>/peers/{train,val}/     the same files (hard links) by label, as data/split.csv says
"""

import math
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PREPARE = ("download", "map_to_binary", "split")  # the stages before train
_CODE = ("src", "stages", "params.yaml", "dvc.yaml")
_ORIGINAL = "params.original.yaml"  # as it was copied; the repository may be edited meanwhile
_TEST_SHARE = 0.05  # of a part of the data: the split stage wants test tiles too


@dataclass(frozen=True)
class Arena:
    """The places of one set of tiles. changes: of params.yaml, that its split needs. train, val: numbers of tiles."""

    ours: Path
    peers: Path
    changes: dict[str, Any]
    train: int
    val: int


def build(work: Path, archive: Path | None, preset: str, train: int | None, val: int | None) -> Arena:
    """Set up the tiles of the classes that a mapping names.

    train, val: about so many tiles, every class with its share; None: all there are, in landuse's own fractions.
    """
    ours = workplace(work / "ours")
    params = yaml.safe_load((ours / _ORIGINAL).read_text(encoding="utf-8"))
    table = params["mapping"]["tables"].get(preset)  # None: every class
    classes = [name for names in table.values() for name in names] if table else None
    wanted = math.ceil((train + val) / (1 - _TEST_SHARE)) if train and val else None
    pool = work / "pool"
    fill = _unpack if archive else _simulate
    fill(archive or ours, pool, classes, wanted)
    changes = {"data.source": "eurosat_rgb", "data.url": str(pool), "mapping.preset": preset}
    if train and val:
        share = train / (train + val) * (1 - _TEST_SHARE)
        changes["split.fractions"] = {"train": share, "val": 1 - _TEST_SHARE - share, "test": _TEST_SHARE}
    write_params(ours, changes)
    for stage in PREPARE:
        run_stage(ours, stage)
    split = pd.read_csv(ours / "data/split.csv", dtype="str", keep_default_na=False)
    deal(split, pool, work / "peers")
    counts = split["split"].value_counts()
    return Arena(ours, work / "peers", changes, int(counts["train"]), int(counts["val"]))


def workplace(ours: Path, code: Path = ROOT) -> Path:
    """Copy the project's code into a new folder, and return it."""
    ours.mkdir(parents=True)
    for name in _CODE:
        source = code / name
        shutil.copytree(source, ours / name) if source.is_dir() else shutil.copy(source, ours / name)
    shutil.copy(ours / "params.yaml", ours / _ORIGINAL)
    return ours


def write_params(ours: Path, changes: Mapping[str, Any]) -> None:
    """Write params.yaml anew: the repository's, with the values of some dotted keys changed."""
    content = yaml.safe_load((ours / _ORIGINAL).read_text(encoding="utf-8"))
    for key, value in changes.items():
        *path, last = key.split(".")
        table = content
        for step in path:
            table = table[int(step) if isinstance(table, list) else step]
        table[last] = value
    (ours / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def environment(**extra: str) -> dict[str, str]:
    """The caller's environment without what would lead a contender elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "PYTHON"))}
    return kept | {"PYTHONUNBUFFERED": "1"} | extra


def run_stage(ours: Path, stage: str) -> None:
    """Run a stage of a copy of the project."""
    command = [sys.executable, f"stages/{stage}.py"]
    subprocess.run(command, cwd=ours, env=environment(PYTHONPATH="src"), check=True)


def run_stages(ours: Path, changes: Mapping[str, Any], *stages: str) -> None:
    """Run stages of a copy of the project, one after the other, with the values of some dotted keys changed."""
    write_params(ours, changes)
    for stage in stages:
        run_stage(ours, stage)


def deal(split: pd.DataFrame, pool: Path, peers: Path, copies: int = 1) -> None:
    """Link every tile of train and val ``copies`` times into class folders by label."""
    for part, label, file in split.loc[split["split"].isin(["train", "val"]), ["split", "label", "file"]].to_numpy():
        folder = peers / part / label
        folder.mkdir(parents=True, exist_ok=True)
        for copy in range(copies):
            os.link(pool / file, folder / f"{copy}-{PurePosixPath(file).name}")


def replicate(arena: Arena, work: Path, copies: int) -> Arena:
    """The same arena with every tile so many times: its store made directly, since landuse refuses duplicates."""
    ours, peers = work / "ours", work / "peers"
    shutil.copytree(arena.ours, ours, ignore=shutil.ignore_patterns("data", ".landuse", "mlflow.db*", "mlartifacts"))
    store, new = arena.ours / "data/tiles", ours / "data/tiles"
    new.mkdir(parents=True)
    images = np.load(store / "images.npy", mmap_mode="r")
    large = np.lib.format.open_memmap(
        new / "images.npy", mode="w+", dtype=images.dtype, shape=(copies * len(images), *images.shape[1:])
    )
    for copy in range(copies):
        large[copy * len(images) : (copy + 1) * len(images)] = images
    large.flush()
    shutil.copy(store / "dataset.json", new)
    for file in ("tiles/index.csv", "split.csv"):
        table = pd.read_csv(arena.ours / "data" / file, keep_default_na=False)
        many = pd.concat([table.assign(row=table["row"] + copy * len(table)) for copy in range(copies)])
        many.to_csv(ours / "data" / file, index=False)
    split = pd.read_csv(arena.ours / "data/split.csv", dtype="str", keep_default_na=False)
    deal(split, Path(arena.changes["data.url"]), peers, copies)
    return Arena(ours, peers, arena.changes, copies * arena.train, copies * arena.val)


def _unpack(archive: Path, pool: Path, classes: list[str] | None, wanted: int | None) -> None:
    """Take some tiles out of EuroSAT's archive: of every class the same share, evenly spaced."""
    with zipfile.ZipFile(archive) as zipped:
        names = sorted(name for name in zipped.namelist() if name.endswith(".jpg"))
        chosen = [name for name in names if classes is None or PurePosixPath(name).parent.name in classes]
        for name in _spaced(chosen, wanted):
            file = pool / PurePosixPath(name).parent.name / PurePosixPath(name).name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(zipped.read(name))


def _simulate(ours: Path, pool: Path, classes: list[str] | None, wanted: int | None) -> None:
    """Let landuse simulate tiles, and save them as JPEGs."""
    each = math.ceil((wanted or 1200) / (len(classes) if classes else 10))
    write_params(ours, {"data.source": "sample", "data.sample.tiles_per_class": each})
    run_stage(ours, "download")
    images = np.load(ours / "data/tiles/images.npy", mmap_mode="r")
    index = pd.read_csv(ours / "data/tiles/index.csv")
    for row, name in index.loc[index["class"].isin(classes or index["class"]), ["row", "class"]].to_numpy():
        file = pool / name / f"{name}_{row}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[row]).save(file, quality=95)


def _spaced(names: list[str], wanted: int | None) -> list[str]:
    """Of names sorted by class, so many at even distances: every class keeps its share."""
    if wanted is None or wanted >= len(names):
        return names
    return [names[number * len(names) // wanted] for number in range(wanted)]
