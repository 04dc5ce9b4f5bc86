"""``landuse map`` beside a plain loop of rasterio and onnxruntime, and torchgeo, over a simulated scene. Linux only.

    python benchmarks/map.py --model models/export --size 2745 --size 5490

The scene: digital numbers of the model's bands, uint16, in a tiled and deflated GeoTIFF. The plain loop reads a window
at a time and gives 64 to one session that has all cores; it writes a GeoTIFF of the likeliest class of each window, and
nothing else: no mean of windows, no scores, no masks, no polygons, no pictures. torchgeo's GridGeoSampler feeds the
same network in torch to the same end; it runs in benchmarks/.venv (``make bench`` makes it), or where --peers names a
Python, and is left out, with a line, where that is absent. Seconds of CPU time are printed beside
those of the wall, since other programs on the machine change them less. Memory is the sum of proportional set sizes
(PSS) over all processes; what is held leaves out pages of files.
"""

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import measured
import numpy as np
import rasterio
from rasterio.windows import Window

from landuse import sensors
from landuse.spec.model import ModelSpec

_LANDUSE = "from landuse.cli import main; main()"
_BATCH = 64
_PEERS = Path("benchmarks/.venv/bin/python")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/export")
    parser.add_argument("--size", type=int, action="append", help="pixels a side; may be repeated (default: 2745)")
    parser.add_argument("--stride", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument("--plain", nargs=2, metavar=("SCENE", "OUT"), help=argparse.SUPPRESS)
    parser.add_argument("--network", default="models/model", help="the same model in torch (default: %(default)s)")
    parser.add_argument("--peers", type=Path, default=_PEERS, help="Python that has torchgeo (default: %(default)s)")
    parser.add_argument("--torchgeo-workers", type=int, default=0, help="of its DataLoader (default: %(default)s)")
    options = parser.parse_args()
    if options.plain:
        _plain(Path(options.plain[0]), Path(options.plain[1]), Path(options.model), options.stride)
        return
    for size in options.size or [2745]:
        with tempfile.TemporaryDirectory() as folder:
            scene = _write_scene(Path(folder, "scene.tif"), size)
            settings = ["--model", str(Path(options.model).absolute()), "--stride", str(options.stride)]
            ours = [_LANDUSE, "map", str(scene), "--out", f"{folder}/map", "--offset", "0", *settings]
            plain = [str(Path(__file__).absolute()), "--plain", str(scene), f"{folder}/plain.tif", *settings]
            contenders = {"landuse map": [sys.executable, "-c", *ours], "plain loop": [sys.executable, *plain]}
            if options.peers.is_file():
                network = Path(options.network).absolute()
                peer = [scene, f"{folder}/peer.tif", network, options.stride, options.torchgeo_workers]
                script = Path(__file__).absolute().parent / "peers/map_with_torchgeo.py"
                contenders["torchgeo"] = [str(options.peers.absolute()), str(script), *map(str, peer)]
            else:
                print(f"torchgeo is left out: no {options.peers}")
            _race(size, contenders, Path(folder))


def _race(size: int, contenders: dict[str, list[str]], folder: Path) -> None:
    print(f"{size} x {size} pixels")
    found = {}
    for name, arguments in contenders.items():
        before = _cpu()
        run = measured.measure([arguments], folder, {"PATH": "", "PYTHONPATH": str(Path("src").absolute())})
        if run.ended != "well":
            raise SystemExit(f"{name} failed: {(folder / 'contender.log').read_text()}")
        found[name] = (run.wall, _cpu() - before, run.peak, run.held)
        wall, cpu, peak, held = found[name]
        print(f"  {name:<12} {wall:7.1f} s  {cpu:7.1f} s CPU  {peak:6.0f} MiB, held {held:6.0f}", flush=True)
    ours = found.pop("landuse map")
    for name, other in found.items():
        ratios = [mine / its for mine, its in zip(ours, other, strict=True)]
        print(f"  landuse map / {name}: {ratios[0]:.2f} wall, {ratios[1]:.2f} CPU, {ratios[2]:.2f} memory")


def _cpu() -> float:
    """Seconds of CPU time of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _write_scene(path: Path, size: int) -> Path:
    """Fields of 40 x 40 pixels, with noise; a strip at a time."""
    rng = np.random.default_rng(0)
    form = {"driver": "GTiff", "height": size, "width": size, "count": 3, "dtype": "uint16", "nodata": 0}
    place = {"crs": "EPSG:32632", "transform": rasterio.transform.from_origin(500_000, 5_400_000, 10, 10)}
    tiled = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    with rasterio.open(path, "w", **form, **place, **tiled) as file:
        file.descriptions = sensors.RGB
        for row in range(0, size, 512):
            height = min(512, size - row)
            fields = rng.integers(300, 2200, (3, height // 40 + 1, size // 40 + 1))
            land = np.kron(fields, np.ones((40, 40), dtype=np.int64))[:, :height, :size]
            land += rng.integers(-80, 80, land.shape)
            file.write(land.astype(np.uint16), window=Window(0, row, size, height))
    return path


def _plain(scene: Path, out: Path, model: Path, stride: int) -> None:
    import onnxruntime

    spec = ModelSpec.read(model / "model.json", "export")
    session = onnxruntime.InferenceSession(model / "model.onnx", providers=["CPUExecutionProvider"])
    side = spec.tile_size
    with rasterio.open(scene) as file:
        rows, cols = ((n - side) // stride + 1 for n in (file.height, file.width))
        bands = [file.descriptions.index(name) + 1 for name in spec.bands]
        labels: list[int] = []
        for start in range(0, rows * cols, _BATCH):
            places = [divmod(number, cols) for number in range(start, min(start + _BATCH, rows * cols))]
            read = [file.read(bands, window=Window(c * stride, r * stride, side, side)) for r, c in places]
            tiles = np.stack(read).transpose(0, 2, 3, 1)
            tiles = sensors.to_rgb(tiles) if spec.units == sensors.RGB_UNITS else tiles
            labels += session.run(["probabilities"], {"pixels": tiles})[0].argmax(axis=1).tolist()
        form = {"driver": "GTiff", "height": rows, "width": cols, "count": 1, "dtype": "uint8"}
        place = {"crs": file.crs, "transform": file.transform * file.transform.scale(stride)}
    with rasterio.open(out, "w", **form, **place) as file:
        file.write(np.array(labels, dtype=np.uint8).reshape(rows, cols), 1)


if __name__ == "__main__":
    main()
