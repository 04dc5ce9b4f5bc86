"""A store of as many tiles as EuroSAT has, of 13 bands and of RGB: how it is built and learnt from: docs/speed.md.

python benchmarks/store.py EuroSAT_MS_469.zip [--tiles 27000] [--work FOLDER]

The tiles are those of the archive, again and again: each copy has some bytes more at its end, which no reader of TIFF
looks at, because landuse refuses the same file twice. Linux only.
"""

import argparse
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from arena import environment
from measured import measure

from landuse import params
from landuse.core.paths import SPLIT, TILES
from landuse.data import writer
from landuse.data.sources import open_source
from landuse.tiles.store import open_store

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = "many.zip"
_STEPS, _BATCH, _FOLDS = 20, 64, 5
_BLOCK = 1 << 20  # bytes written at once, by the plain writer


@dataclass(frozen=True)
class Part:
    """What a role took, start-up left out. wall, cpu: seconds; cpu is of all cores. peak, held: MiB, see ``Run``."""

    wall: float
    cpu: float
    peak: float
    held: float


def main() -> None:
    """Do each part in a process of its own, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="a zip of multispectral EuroSAT, or a part of it")
    parser.add_argument("--tiles", type=int, default=27_000)
    parser.add_argument("--work", type=Path, help="folder on the disk to be measured, with 6 GB free")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.work) as name:
        folder = Path(name)
        repeat(asked.archive, folder / ARCHIVE, asked.tiles)
        print("| | seconds | of processor | GB | MB/s | MiB at most |\n|---|---|---|---|---|---|", flush=True)
        for role, bands in (("decode", "all"), ("build", "all"), ("write", "all"), ("build", "rgb"), ("write", "rgb")):
            took, images = do(folder, role, bands), folder / bands / TILES / "images.npy"
            size = images.stat().st_size / 1e6 if images.exists() else 0  # MB
            print(
                f"| {role} {bands} | {took.wall:.1f} | {took.cpu:.1f} | {size / 1e3:.2f} | {size / took.wall:.0f} "
                f"| {took.peak:.0f} |",
                flush=True,
            )
        held = {bands: do(folder, "learn", bands).held for bands in ("rgb", "all")}
    print(
        f"\n{_STEPS} steps of {_BATCH} tiles hold {held['rgb']:.0f} MiB in RGB, {held['all']:.0f} MiB in 13 bands: "
        f"{held['all'] / held['rgb']:.3f}"
    )


def repeat(archive: Path, many: Path, count: int) -> None:
    """Write so many tiles, the same number of times each, or once less."""
    with zipfile.ZipFile(archive) as source:
        tiles = {name: source.read(name) for name in sorted(source.namelist()) if name.endswith(".tif")}
    names = list(tiles)
    with zipfile.ZipFile(many, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zipped:
        for at in range(count):
            name = names[at % len(names)]
            label = PurePosixPath(name).parent.name
            zipped.writestr(f"{label}/{label}_{at + 1}.tif", tiles[name] + at.to_bytes(4, "big"))


def do(folder: Path, role: str, bands: str) -> Part:
    """One of ROLES, in a process of its own."""
    own = folder / bands
    own.mkdir(exist_ok=True)
    for name in ("dvc.yaml", "src", "stages"):
        if not (own / name).exists():
            (own / name).symlink_to(ROOT / name)
    run = measure([[sys.executable, __file__, role, bands]], own, environment(PYTHONPATH=str(ROOT / "src")))
    said = (own / "contender.log").read_text(encoding="utf-8")
    if run.ended != "well":
        sys.exit(said)
    wall, cpu = map(float, said.split()[-2:])
    return Part(wall, cpu, run.peak, run.held)


def _params(bands: str) -> params.Params:
    changes = {
        "data.source": "eurosat_ms",
        "data.url": str(Path.cwd().parent / ARCHIVE),
        "data.bands": bands,
        "train.recipe": "full",
        "train.batch_size": _BATCH,
    }
    return params.read(ROOT / "params.yaml", changes)


def build(bands: str) -> None:
    """The stage download, until the disk has it."""
    writer.run(_params(bands))
    with (TILES / "images.npy").open("rb") as file:
        os.fsync(file.fileno())


def decode(bands: str) -> None:
    """The same but for writing."""
    for name, tile in writer._read_all(open_source(_params(bands).data)):
        assert not isinstance(tile, str), f"{name}: {tile}"


def write(_: str) -> None:
    """As many bytes, one after the other, until the disk has them."""
    block = np.random.default_rng(0).bytes(_BLOCK)
    with Path("plain").open("wb") as file:
        for _ in range((TILES / "images.npy").stat().st_size // _BLOCK):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    Path("plain").unlink()


def learn(bands: str) -> None:
    """The stage train up to some steps, of tiles from all over the store."""
    from landuse.training.prepare import prepare
    from landuse.training.process import configure
    from landuse.training.step import Stepper

    table = open_store().index.assign(label=lambda index: index["class"])
    table["target"] = table["label"].map({label: at for at, label in enumerate(sorted(set(table["label"])))})
    table["split"] = np.where(table["row"] % _FOLDS, "train", "val")
    table[["row", "file", "class", "label", "target", "split"]].to_csv(SPLIT, index=False)
    configure()
    p = _params(bands)
    prepared = prepare(p)
    model = prepared.model.train()
    model.freeze("none")
    stepper = Stepper(model, p.recipe.phases[0], p, prepared.train)
    order = np.random.default_rng(0).permutation(len(prepared.train.rows))[: _STEPS * _BATCH]
    for pixels, targets in prepared.train.gathered(np.split(order, _STEPS)):
        stepper.batch(pixels.float(), targets)


ROLES: dict[str, Callable[[str], None]] = {"build": build, "decode": decode, "write": write, "learn": learn}

if __name__ == "__main__":
    if sys.argv[1] in ROLES:
        began = time.monotonic(), time.process_time()
        ROLES[sys.argv[1]](sys.argv[2])
        print(time.monotonic() - began[0], time.process_time() - began[1])
    else:
        main()
