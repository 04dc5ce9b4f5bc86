"""What `landuse change` finds on pairs of maps whose truth is known, beside a comparison of labels.

    python benchmarks/change.py --pairs 50
    python benchmarks/change.py --scenes scenes/1 scenes/2 --model models/export --stride 32

The pairs are simulated: 171 x 171 cells of two classes, 40 % of the second; a share of the first became the second. A
cell's log-odds are normal, so that its probability is calibrated and a label is right as often as --accuracy says; the
noise of both dates is correlated where the land stayed what it was. Shares are spread evenly in their logarithm from
0.2 to 5 %. --too-sure above 1 multiplies the log-odds: a model that is surer than it should be.

The scenes are folders of `landuse scene --after`; maps of them are made beside, once. Each is judged twice: on all land
that is not strange, and on cells nine tenths of which are of the model's classes at both dates.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio

from landuse.inference.change import interval
from landuse.inference.change.answers import Answers
from landuse.inference.change.joint import estimate, posterior
from landuse.inference.change.pair import Pair as Maps
from landuse.inference.change.pair import read_pair
from landuse.inference.change.table import estimated
from landuse.inference.map import MapOptions, map_scene
from landuse.inference.scene import SceneOptions

SIDE = 171
_CITY = 0.4
_BLOCK = 8  # cells a side of a block of the bootstrap
_PRIOR = np.array([0.5, 0.5])
_LABELS = {"City": {"Residential", "Industrial", "Highway"}, "Farmland": {"AnnualCrop", "PermanentCrop", "Pasture"}}
_PURE = 0.9  # of a cell


@dataclass(frozen=True)
class Pair:
    """first, second: (2, cells) probabilities of either date as scores.tif stores them. changed: (cells,) the truth."""

    first: npt.NDArray[np.uint8]
    second: npt.NDArray[np.uint8]
    changed: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """Shares of the land that changed, in truth and as found; precision and recall of the cells that are said to."""

    truth: float
    estimate: float
    low: float
    high: float
    independent: float
    compared: float
    cells: tuple[float, float]
    labels: tuple[float, float]

    @property
    def held(self) -> bool:
        return self.low <= self.truth <= self.high


def simulated(rng: np.random.Generator, accuracy: float, share: float, correlation: float, too_sure: float = 1) -> Pair:
    cells = SIDE**2
    was = rng.random(cells) < _CITY
    changed = ~was & (rng.random(cells) < share / (1 - _CITY))
    noise = rng.standard_normal((2, cells))
    again = correlation * noise[0] + np.sqrt(1 - correlation**2) * noise[1]
    separation = 2 * NormalDist().inv_cdf(accuracy)
    stored = []
    for city, random in ((was, noise[0]), (was | changed, np.where(changed, noise[1], again))):
        odds = ((2 * city - 1) * separation**2 / 2 + separation * random) * too_sure
        share_of_city = np.rint(250 / (1 + np.exp(-odds))).astype(np.uint8)
        stored.append(np.stack([250 - share_of_city, share_of_city]))
    return Pair(stored[0], stored[1], changed)


def found(pair: Pair) -> Found:
    answers = Answers.of(pair.first, pair.second, _PRIOR)
    joint = estimate(answers)
    row, col = np.divmod(np.arange(len(pair.changed)), SIDE)
    draws = interval.drawn(answers, joint, row // _BLOCK * SIDE + col // _BLOCK, seed=0)
    changed = 1 - np.trace(draws, axis1=1, axis2=2)
    low, high = np.quantile(changed, (0.025, 0.975))
    at = 1 - np.trace(joint.shares)
    likeliest = posterior(joint)[answers.pair].reshape(-1, 4).argmax(axis=1)
    labels = pair.first.argmax(axis=0) != pair.second.argmax(axis=0)
    return Found(
        truth=float(pair.changed.mean()),
        estimate=float(at),
        low=float(min(low, at)),
        high=float(max(high, at)),
        independent=float(1 - np.trace(estimate(answers, correlation=0.0).shares)),
        compared=float(labels.mean()),
        cells=_precision_and_recall((likeliest == 1) | (likeliest == 2), pair.changed),
        labels=_precision_and_recall(labels, pair.changed),
    )


def _precision_and_recall(said: npt.NDArray[np.bool_], true: npt.NDArray[np.bool_]) -> tuple[float, float]:
    both = (said & true).sum()
    return float(both / max(1, said.sum())), float(both / max(1, true.sum()))


def pairs(count: int, accuracy: float, correlation: float, too_sure: float = 1, seed: int = 0) -> Iterator[Pair]:
    """So many pairs, with shares that changed from 0.2 to 5 %."""
    rng = np.random.default_rng(seed)
    for share in np.geomspace(0.002, 0.05, count):
        yield simulated(rng, accuracy, share, correlation, too_sure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=50, help="of each kind (default: %(default)s)")
    parser.add_argument("--accuracy", type=float, action="append", help="may be repeated (default: 0.945 and 0.98)")
    parser.add_argument("--correlation", type=float, action="append", help="likewise (default: 0, 0.5 and 0.75)")
    parser.add_argument("--too-sure", type=float, default=1.0, help="(default: %(default)s)")
    parser.add_argument("--scenes", type=Path, nargs="+", metavar="FOLDER", help="of landuse scene --after")
    parser.add_argument("--model", type=Path, default=Path("models/export"), help="for scenes (default: %(default)s)")
    parser.add_argument("--stride", type=int, default=32, help="of their maps (default: %(default)s)")
    options = parser.parse_args()
    if options.scenes:
        _scenes(options.scenes, options.model, options.stride)
        return
    print("labels right | correlation | truth held | relative error: median | independent | comparing labels | width "
          "| cells: precision, recall | labels: precision, recall")  # fmt: skip
    for accuracy in options.accuracy or [0.945, 0.98]:
        for correlation in options.correlation or [0.0, 0.5, 0.75]:
            runs = [found(pair) for pair in pairs(options.pairs, accuracy, correlation, options.too_sure)]
            print(_row(accuracy, correlation, runs), flush=True)


def _row(accuracy: float, correlation: float, runs: list[Found]) -> str:
    def median(values: Any) -> str:
        return f"{np.median(list(values)):.0%}"

    told = [f"{accuracy:.1%}", f"{correlation:g}", f"{np.mean([run.held for run in runs]):.0%}"]
    for name in ("estimate", "independent", "compared"):
        told.append(median(abs(getattr(run, name) / run.truth - 1) for run in runs))
    told.append(median((run.high - run.low) / run.truth for run in runs))
    for name in ("cells", "labels"):
        precision, recall = np.mean([getattr(run, name) for run in runs], axis=0)
        told.append(f"{precision:.2f}, {recall:.2f}")
    return " | ".join(told)


def _scenes(folders: Sequence[Path], model: Path, stride: int) -> None:
    print("scene | land | hectares that became city | found | interval | held | comparing labels")
    held: dict[str, list[bool]] = {}
    for folder in folders:
        maps = [folder / f"{name}-{stride}" for name in ("before", "after")]
        for scene, out in zip(("scene.tif", "after.tif"), maps, strict=True):
            if not out.exists():
                map_scene([str(folder / scene)], out, model, MapOptions(stride=stride), SceneOptions(offset=0))
        pair = read_pair(*maps)
        became_city, ours = _truth(folder, stride, pair.known.shape)
        for land, cells in (("all", np.ones_like(ours)), ("of the classes", ours)):
            told, hectares, found = _judged(pair, cells, became_city)
            held.setdefault(land, []).append(found["low"] <= hectares <= found["high"])
            print(folder.name, "|", land, "|", told, flush=True)
    for land, runs in held.items():
        print(f"{land}: held in {np.mean(runs):.0%} of {len(runs)}")


def _judged(
    pair: Maps, cells: npt.NDArray[np.bool_], became_city: npt.NDArray[np.float64]
) -> tuple[str, float, dict[str, Any]]:
    """Judge some of the cells of a pair of maps: a line, the true hectares that became city, and those found."""
    some = replace(pair, before=replace(pair.before, classes=np.where(cells, pair.before.classes, 255)))
    rows = estimated(some, None).table["transitions"]
    found = next(row for row in rows if (row["from"], row["to"]) == ("Farmland", "City"))
    hectares = float(became_city[some.known].sum()) * pair.hectares
    held = "yes" if found["low"] <= hectares <= found["high"] else "no"
    span = f"{found['low']:.0f} to {found['high']:.0f}"
    told = f"{hectares:.0f} | {found['hectares']:.0f} | {span} | {held} | {found['compared_hectares']:.0f}"
    return told, hectares, found


def _truth(folder: Path, stride: int, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """(rows, cols) share of each cell that was farmland and became city; and whether it is of the classes."""
    dates = []
    for name in ("land_use.tif", "after_land_use.tif"):
        with rasterio.open(folder / name) as file:
            pixels, names = file.read(1), file.tags(1)
        known = {label: [int(n) for n, use in names.items() if use in uses] for label, uses in _LABELS.items()}
        dates.append({label: np.isin(pixels, numbers) for label, numbers in known.items()})

    def of_cells(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        padded = np.pad(flags, [(0, n * stride - side) for n, side in zip(shape, flags.shape, strict=True)])
        return padded.reshape(shape[0], stride, shape[1], stride).mean(axis=(1, 3))

    ours = [of_cells(date["City"] | date["Farmland"]) > _PURE for date in dates]
    return of_cells(dates[0]["Farmland"] & dates[1]["City"]), ours[0] & ours[1]


if __name__ == "__main__":
    main()
