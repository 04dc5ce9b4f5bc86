"""``landuse area`` on simulated scenes in which the truth is known: how far off, and how often an interval holds it.

    python benchmarks/area.py --model models/export --scenes /tmp/scenes

Scenes of ten land uses, City (as the model names it) at 2 to 40 % of the land, more with highways. The truth is that of
pixels of 10 m. Three numbers of hectares of City are compared with it: what the map shows, with all City in the scene;
the cells that the model is sure of, and the same corrected for its errors, with the City in those cells. Then once more
where all land is known: only of cells that show to 80 % City or Farmland, as if the others had been masked.

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

from landuse.inference.area import corrected_hectares, stratified
from landuse.inference.area.drawing import allocated
from landuse.inference.area.stratified import Labelled
from landuse.inference.folder import NODATA, MapFolder
from landuse.inference.sample import strata

_LANDUSE = [sys.executable, "-c", "from landuse.cli import main; main()"]
_LABELS = {
    "City": ("Residential", "Industrial", "Highway"),
    "Farmland": ("AnnualCrop", "PermanentCrop", "Pasture"),
}
_RARE, _COMMON = 0.02, 0.4
_KNOWN = 0.8  # least part of a cell that is City or Farmland
_RUNS, _LABELLED = 200, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/export"))
    parser.add_argument("--scenes", type=Path, required=True, help="folder for scenes and maps")
    parser.add_argument("--count", type=int, default=20, help="scenes (default: %(default)s)")
    parser.add_argument("--size", type=int, default=1536, help="pixels a side (default: %(default)s)")
    parser.add_argument("--stride", type=int, action="append", help="may be repeated (default: 32 and 64)")
    options = parser.parse_args()
    for stride in options.stride or [32, 64]:
        every, known, labelled = [], [], []
        for number, city in enumerate(np.geomspace(_RARE, _COMMON, options.count)):
            folder = options.scenes / str(number)
            _make(folder, number, city, options, stride)
            found = MapFolder.read(folder / f"map{stride}")
            parts = _parts(folder / "land_use.tif", stride, found.classes.shape)
            every.append(_compare(found, parts, found.classes))
            shown = np.where(sum(parts.values()) >= _KNOWN, found.classes, NODATA)
            known.append(_compare(found, parts, shown.astype(np.uint8)))
            labelled.append(_labelled(found, parts, number))
            print(f"stride {stride}, scene {number}: {every[-1]}", flush=True)
        print(f"\nstride {stride}: {options.count} scenes of {options.size} pixels a side")
        _tell("all land", every)
        _tell("land of known classes only", known)
        _tell_labelled(labelled)


def _make(folder: Path, number: int, city: float, options: argparse.Namespace, stride: int) -> None:
    if not folder.exists():
        scene = [
            "scene",
            str(folder),
            "--seed",
            str(500 + number),
            "--size",
            str(options.size),
            "--city",
            f"{city:.4f}",
        ]
        subprocess.run([*_LANDUSE, *scene], check=True, stdout=subprocess.DEVNULL)
    out = folder / f"map{stride}"
    if not out.exists():
        made = ["map", str(folder / "scene.tif"), "--out", str(out), "--stride", str(stride), "--offset", "0"]
        subprocess.run([*_LANDUSE, *made, "--model", str(options.model)], check=True, stdout=subprocess.DEVNULL)


def _parts(path: Path, stride: int, shape: tuple[int, ...]) -> dict[str, npt.NDArray[np.float64]]:
    """(rows, cols) part of each cell that is of each label."""
    with rasterio.open(path) as file:
        land, names = file.read(1), {name: int(number) for number, name in file.tags(1).items() if number.isdigit()}
    cells = land[: shape[0] * stride, : shape[1] * stride].reshape(shape[0], stride, shape[1], stride)
    return {label: np.isin(cells, [names[use] for use in uses]).mean(axis=(1, 3)) for label, uses in _LABELS.items()}


def _compare(found: MapFolder, parts: dict[str, Any], classes: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Hectares of City: true and shown in all cells, true and shown in sure ones, corrected with its interval."""
    summary = found.summary
    city, hectares = summary["classes"].index("City"), summary["cell_metres"] ** 2 / 10_000
    valid = classes != NODATA
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


def _tell(land: str, scenes: list[dict[str, float]]) -> None:
    table = {name: np.array([scene[name] for scene in scenes]) for name in scenes[0]}
    off = {
        "mapped": _off(table["mapped"], table["true"]),
        "mapped, sure": _off(table["mapped, sure"], table["true, sure"]),
        "corrected": _off(table["corrected"], table["true, sure"]),
    }
    held = (table["low"] <= table["true, sure"]) & (table["true, sure"] <= table["high"])
    told = ", ".join(f"{name} {value:.3f}" for name, value in off.items())
    print(f"{land}: median relative error of City: {told}; the interval holds the truth in {held.sum()} of {len(held)}")
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
