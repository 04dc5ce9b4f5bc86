"""``landuse area`` on simulated scenes in which the truth is known: how far off, and how often an interval holds it.

    python benchmarks/area.py --model models/export --scenes NEW_FOLDER

City (as the model names it) is at 2 to 40 % of the land, with highways more. Twice: scenes of City and Farmland only,
as the correction assumes, and scenes in which half of the land is of no class of the model. The truth is that of pixels
of 10 m. Three numbers of hectares of City are compared with it: what the map shows, with all City in the scene; the
cells that the model is sure of, and the same corrected for its errors, with the City in those cells.

With labels: 200 cells of each map get the land use that has most of them, 200 times over; how often the intervals hold
the hectares of such cells, and how much narrower the prediction-powered ones are.

Scenes and maps stay in --scenes, and are used again.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin

from landuse import sensors
from landuse.data.sources.sample import simulation
from landuse.data.sources.sample.landscape import CLASSES
from landuse.inference.area import corrected_hectares, stratified
from landuse.inference.area.drawing import allocated
from landuse.inference.area.stratified import Labelled
from landuse.inference.folder import MapFolder
from landuse.inference.sample import strata

_LANDUSE = [sys.executable, "-c", "from landuse.cli import main; main()"]
_LABELS = {
    "City": ("Residential", "Industrial", "Highway"),
    "Farmland": ("AnnualCrop", "PermanentCrop", "Pasture"),
}
_RARE, _COMMON = 0.02, 0.4
_ZONE = 130  # pixels: mean width of a stretch of one land use
_RUNS, _LABELLED = 200, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/export"))
    parser.add_argument("--scenes", type=Path, required=True, help="folder for scenes and maps")
    parser.add_argument("--count", type=int, default=20, help="scenes (default: %(default)s)")
    parser.add_argument("--size", type=int, default=1536, help="pixels a side (default: %(default)s)")
    parser.add_argument("--stride", type=int, default=32, help="(default: %(default)s)")
    options = parser.parse_args()
    for land in ("known", "every"):
        compared, labelled = [], []
        for number, city in enumerate(np.geomspace(_RARE, _COMMON, options.count)):
            folder = options.scenes / land / str(number)
            if not folder.exists():
                _make_scene(folder, 500 + number, float(city), options.size, land == "known")
            found = _mapped(folder, options)
            parts = _parts(folder / "land_use.tif", options.stride, found.classes.shape)
            compared.append(_compare(found, parts))
            labelled.append(_labelled(found, parts, number))
            print(f"scene {number}: {compared[-1]}", flush=True)
        print(f"\nland of {land} use: {options.count} scenes of {options.size} pixels a side, stride {options.stride}")
        _tell(compared)
        _tell_labelled(labelled)


def _make_scene(folder: Path, seed: int, city: float, size: int, known: bool) -> None:
    """As ``landuse scene --city`` does, or without land of no class of the model: no forest, no water, no scrub."""
    if not known:
        arguments = ["scene", str(folder), "--seed", str(seed), "--size", str(size), "--city", f"{city:.4f}"]
        subprocess.run([*_LANDUSE, *arguments], check=True, stdout=subprocess.DEVNULL)
        return
    built, farmed = _LABELS["City"][:2], _LABELS["Farmland"]
    weights = dict.fromkeys(CLASSES, 0.0) | dict.fromkeys(built, city / 2) | dict.fromkeys(farmed, (1 - city) / 3)
    first = simulation.draw(seed, 0, size, _ZONE, weights | {"Highway": 1.2})
    everywhere = np.arange(size)
    ((land_use, pixels),) = simulation.look([first], sensors.RGB, everywhere, everywhere)
    place = {"crs": f"EPSG:{first.epsg}", "transform": from_origin(first.west, first.north, 10, 10)}
    form = {"driver": "GTiff", "width": size, "height": size, **place}
    folder.mkdir(parents=True)
    with rasterio.open(folder / "scene.tif", "w", count=3, dtype="uint16", **form) as file:
        file.write(np.moveaxis(pixels, -1, 0))
        file.descriptions = sensors.RGB
    with rasterio.open(folder / "land_use.tif", "w", count=1, dtype="uint8", **form) as file:
        file.write(land_use, 1)
        file.update_tags(1, **{str(number): name for number, name in enumerate(CLASSES)})


def _mapped(folder: Path, options: argparse.Namespace) -> MapFolder:
    out = folder / f"map{options.stride}"
    if not out.exists():
        made = ["map", str(folder / "scene.tif"), "--out", str(out), "--stride", str(options.stride), "--offset", "0"]
        subprocess.run([*_LANDUSE, *made, "--model", str(options.model)], check=True, stdout=subprocess.DEVNULL)
    return MapFolder.read(out)


def _parts(path: Path, stride: int, shape: tuple[int, ...]) -> dict[str, npt.NDArray[np.float64]]:
    """(rows, cols) part of each cell that is of each label."""
    with rasterio.open(path) as file:
        land, names = file.read(1), {name: int(number) for number, name in file.tags(1).items() if number.isdigit()}
    cells = land[: shape[0] * stride, : shape[1] * stride].reshape(shape[0], stride, shape[1], stride)
    return {label: np.isin(cells, [names[use] for use in uses]).mean(axis=(1, 3)) for label, uses in _LABELS.items()}


def _compare(found: MapFolder, parts: dict[str, Any]) -> dict[str, float]:
    """Hectares of City: true and shown in all cells, true and shown in sure ones, corrected with its interval."""
    summary = found.summary
    city, hectares = summary["classes"].index("City"), summary["cell_metres"] ** 2 / 10_000
    classes, valid = found.classes, found.valid
    sure = valid & ~found.unknown
    area = corrected_hectares(
        classes, found.unknown, summary["classes"], summary["confusion_sure"] or [], hectares, summary["stride"]
    )["City"]
    numbers = {
        "true": parts["City"][valid].sum() * hectares,
        "mapped": (classes[valid] == city).sum() * hectares,
        "true, sure": parts["City"][sure].sum() * hectares,
        "mapped, sure": (classes[sure] == city).sum() * hectares,
        "corrected": area["hectares"],
        "low": area["low"],
        "high": area["high"],
        "part sure": sure.sum() / valid.sum(),
    }
    return {name: round(float(value), 3) for name, value in numbers.items()}


def _tell(scenes: list[dict[str, float]]) -> None:
    table = {name: np.array([scene[name] for scene in scenes]) for name in scenes[0]}
    off = {
        "mapped": _off(table["mapped"], table["true"]),
        "mapped, sure": _off(table["mapped, sure"], table["true, sure"]),
        "corrected": _off(table["corrected"], table["true, sure"]),
    }
    held = (table["low"] <= table["true, sure"]) & (table["true, sure"] <= table["high"])
    told = ", ".join(f"{name} {value:.3f}" for name, value in off.items())
    print(f"median relative error of City: {told}; the interval holds the truth in {held.sum()} of {len(held)}")
    print(f"  {table['part sure'].min():.0%} to {table['part sure'].max():.0%} of the cells are sure")


def _off(found: npt.NDArray[np.float64], truth: npt.NDArray[np.float64]) -> float:
    return float(np.median(np.abs(found - truth) / truth))


def _labelled(found: MapFolder, parts: dict[str, Any], seed: int) -> npt.NDArray[np.float64]:
    """(2, 3) of City by Olofsson et al. and prediction-powered: part of runs that hold the truth, width, error."""
    names, shown = strata(found)
    classes = found.summary["classes"]
    rest = 1 - sum(parts.values())
    labels = np.argmax(np.stack([*(parts[name] for name in classes), rest]), axis=0)
    city = classes.index("City")
    truth = (labels[found.valid] == city).mean()
    sizes = np.bincount(shown[found.valid], minlength=len(names))
    probabilities = found.probabilities
    whole = np.array([probabilities[:, shown == h].mean(axis=1) if size else [0] * len(classes)
                      for h, size in enumerate(sizes)])  # fmt: skip
    counts, rng = allocated(sizes, _LABELLED), np.random.default_rng(seed)
    runs = []
    for run in range(_RUNS):
        cells = np.concatenate(
            [rng.choice(np.flatnonzero(shown == h), n, replace=False) for h, n in enumerate(counts) if n]
        )
        sample = Labelled(sizes, shown.ravel()[cells].astype(int), labels.ravel()[cells],
                          probabilities.reshape(len(classes), -1)[:, cells].T.astype(float), whole)  # fmt: skip
        runs.append([
            (one.low <= truth <= one.high, one.high - one.low, one.share - truth)
            for one in stratified.estimate(sample, city, run)
        ])  # fmt: skip
    table = np.array(runs, dtype=np.float64)
    table[..., 2] **= 2
    return table.mean(axis=0)


def _tell_labelled(scenes: list[npt.NDArray[np.float64]]) -> None:
    table = np.array(scenes)
    for way, name in enumerate(("Olofsson et al.", "prediction-powered")):
        held = table[:, way, 0]
        print(
            f"with {_LABELLED} labels, {name}: the interval of City holds the truth in {held.mean():.1%} of "
            f"{_RUNS} runs a scene ({held.min():.1%} to {held.max():.1%})"
        )
    narrower = table[:, 1, 1:] / table[:, 0, 1:]
    print(
        f"  prediction-powered: width {np.median(narrower[:, 0]):.3f} ({narrower[:, 0].min():.3f} to "
        f"{narrower[:, 0].max():.3f}) of the other, squared error {np.median(narrower[:, 1]):.3f}"
    )


if __name__ == "__main__":
    main()
