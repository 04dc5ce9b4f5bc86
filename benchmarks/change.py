"""What `landuse change` finds on pairs of maps whose truth is known, beside a comparison of labels.

    python benchmarks/change.py --pairs 50
    python benchmarks/change.py --scenes FOLDER --model models/export

The pairs are simulated: 171 x 171 cells of two classes, 40 % of the second; a share of the first became the second. A
cell's log-odds are normal, so that its probability is calibrated and a label is right as often as --accuracy says; the
noise of both dates is correlated where the land stayed what it was. Shares are spread evenly in their logarithm from
0.2 to 5 %. --too-sure divides the log-odds by less than 1: a model that is surer than it should be.

With --scenes the pairs are folders of `landuse scene --after`, mapped first.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from landuse.inference.change import interval
from landuse.inference.change.answers import Answers
from landuse.inference.change.joint import estimate, posterior

SIDE = 171
_CITY = 0.4
_BLOCK = 8  # cells a side of a block of the bootstrap
_PRIOR = np.array([0.5, 0.5])


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
        odds = ((2 * city - 1) * separation**2 / 2 + separation * random) / too_sure
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
    options = parser.parse_args()
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


if __name__ == "__main__":
    main()
