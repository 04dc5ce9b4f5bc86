"""``landuse predict`` beside bare onnxruntime on the same batches, which are decoded and in memory, in one run.

    python benchmarks/predict.py TILES --model models/export

TILES: a folder or a zip of tiles of the model's size. Bare is onnxruntime as it comes, all cores in each batch, and the
fastest that we know: a batch a core. The plain loop opens files with Pillow, one after the other. Rounds alternate.
Printed are medians over the rounds of tiles/s, and of tiles per second of CPU time, which other programs on the machine
change less.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command does, before NumPy is loaded

import numpy as np
from PIL import Image

from landuse.core.cores import cores
from landuse.inference import Model
from landuse.inference.model import BATCH
from landuse.inference.predict import decoding, listing
from landuse.inference.predict.run import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tiles")
    parser.add_argument("--model", default="models/export")
    parser.add_argument("--count", type=int, default=2048, help="tiles (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    options = parser.parse_args()
    alone, every = Model.load(options.model, threads=1), Model.load(options.model)
    with tempfile.TemporaryDirectory() as folder:
        paths = _copy(options.tiles, Path(folder), options.count)
        pixels = np.stack([decoding.decode(path.read_bytes(), alone.spec).pixels for path in paths])
        starts = range(0, len(pixels), BATCH)
        batches = [pixels[i : i + BATCH] for i in starts]
        out = Path(folder, "out.csv")
        command = [sys.executable, "-c", "from landuse.cli import main; main()", "predict"]
        command += [str(paths[0]), "--model", options.model]
        contenders: dict[str, Callable[[], object]] = {
            "bare onnxruntime, as it comes": lambda: [_bare(every, batch) for batch in batches],
            "bare onnxruntime, a batch a core": lambda: _spread(alone, batches),
            "a plain loop, files to answers": lambda: [_bare(every, _opened(paths[i : i + BATCH])) for i in starts],
            "Model.predict": lambda: [every.predict(batch) for batch in batches],
            "landuse predict, files to CSV": lambda: run([str(paths[0].parent)], alone, out),
        }
        _race(contenders, options.rounds, len(pixels))
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"one tile, whole process: {time.perf_counter() - begun:.2f} s")


def _copy(tiles: str, folder: Path, count: int) -> list[Path]:
    """Spread tiles over the whole of what there is, as files of a folder."""
    every = listing.count([tiles]) or 0
    paths = []
    for i, file in enumerate(islice(listing.files([tiles]), 0, None, max(1, every // count))):
        paths.append(folder / f"{i:06}{Path(file.name).suffix}")
        paths[-1].write_bytes(file.read())
    return paths


def _bare(model: Model, batch: np.ndarray) -> object:
    return model.session.run(None, {"pixels": batch})


def _opened(paths: list[Path]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])


def _spread(model: Model, batches: list[np.ndarray]) -> None:
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda batch: _bare(model, batch), batches))


def _race(contenders: dict[str, Callable[[], object]], rounds: int, count: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            found[name].append((count / (time.perf_counter() - wall), count / (time.process_time() - processor)))
    print(f"{count:,} tiles, {cores()} cores, medians of {rounds} rounds")
    for name, speeds in found.items():
        wall, processor = (statistics.median(values) for values in zip(*speeds, strict=True))
        print(f"{name:34} {wall:7,.0f} tiles/s {processor:7,.0f} tiles per CPU second")


if __name__ == "__main__":
    main()
