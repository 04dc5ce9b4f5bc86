"""Thirteen bands beside RGB where tiles are few: networks, logistic regression, and both together.

    python benchmarks/few_tiles.py --work NEW_FOLDER --data EuroSAT_MS_469.zip

Five folds by blocks of 100 km, so that every tile is tested once a seed. Networks are EfficientNet-Lite0 by the recipe
`fast`, some 80 steps whatever the number of tiles. Printed are accuracies, mean over seeds, and differences to the
network in RGB on the same tiles, with 95 % intervals of a bootstrap of the tiles.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from arena import PREPARE, run_stages, workplace

_FOLDS = 5
_SETTING = {
    "data.source": "eurosat_ms",
    "mapping.preset": "all_classes",
    "split.method": "spatial_kfold",
    "split.block_km": 100,
    "collapse.action": "warn",
    "evaluate.bootstrap": 200,
}
_STEPS = {1.0: (32, 8), 0.5: (32, 16), 0.25: (16, 16), 0.1: (8, 20)}  # data.fraction: batch size, epochs
_LOGISTIC = {"train.recipe": "classical", "model.backbone": "logistic"}
_REFERENCE = "rgb network"
_RESAMPLES, _SEED = 5_000, 0

Hits = dict[str, list[npt.NDArray[np.float64]]]  # of each way: of each fold, (n,) shares of the seeds that are right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a new folder")
    parser.add_argument("--data", type=Path, required=True, help="EuroSAT's GeoTIFFs")
    parser.add_argument("--fractions", type=float, nargs="+", default=list(_STEPS), choices=list(_STEPS))
    parser.add_argument("--folds", type=int, default=_FOLDS, help=f"run the first of the {_FOLDS}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44], help="of all tiles; else the first one")
    options = parser.parse_args()
    ours = workplace(options.work)
    found: dict[float, Hits] = {fraction: {} for fraction in options.fractions}
    for bands in ("rgb", "all"):
        setting = _SETTING | {"data.url": str(options.data.resolve()), "data.bands": bands}
        run_stages(ours, setting, *PREPARE[:2])
        for fraction, hits in found.items():
            for fold in range(options.folds):
                own = setting | {"data.fraction": fraction, "split.fold": fold}
                seeds = options.seeds if fraction == 1 else options.seeds[:1]
                for way, right in _fold(ours, own, seeds).items():
                    hits.setdefault(f"{bands} {way}", []).append(right)
    for fraction, hits in found.items():
        _table(fraction, hits)


def _fold(ours: Path, setting: dict[str, object], seeds: list[int]) -> dict[str, npt.NDArray[np.float64]]:
    """Answers of one fold: of the band statistics, logistic regression, a network, and the last two together."""
    batch, epochs = _STEPS[float(str(setting["data.fraction"]))]
    run_stages(ours, setting | _LOGISTIC, "split", "train", "evaluate")
    found = {"logistic": [_right(ours)], "band statistics": [_baseline(ours)]}
    beside = ours / "logistic"
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(ours / "models/model", beside)
    for seed in seeds:
        own = setting | {"train.seed": seed, "train.batch_size": batch, "train.epochs": epochs}
        run_stages(ours, own, "train", "evaluate")
        found.setdefault("network", []).append(_right(ours))
        run_stages(ours, own | {"ensemble.members": [str(beside.resolve())]}, "evaluate")
        found.setdefault("network and logistic", []).append(_right(ours))
    return {way: np.mean(each, axis=0) for way, each in found.items()}


def _right(ours: Path) -> npt.NDArray[np.float64]:
    return pd.read_csv(ours / "data/predictions.csv")["correct"].to_numpy(dtype=np.float64)


def _baseline(ours: Path) -> npt.NDArray[np.float64]:
    truth = pd.read_csv(ours / "data/split.csv").query("split == 'test'")["target"].to_numpy()
    with np.load(ours / "models/answers/baselines.npz") as stored:
        return (stored["band_statistics"] == truth).astype(np.float64)


def _table(fraction: float, hits: Hits) -> None:
    whole = {way: np.concatenate(folds) for way, folds in hits.items()}
    count = len(whole[_REFERENCE])
    weights = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES) / count
    print(f"\ndata.fraction {fraction:g}, {count} test tiles\n")
    print("| | accuracy, % | folds | minus the network in RGB, points |")
    print("|---|---|---|---|")
    for way, own in sorted(whole.items(), key=lambda item: -item[1].mean()):
        gap = own - whole[_REFERENCE]
        low, high = 100 * np.percentile(weights @ gap, [2.5, 97.5])
        difference = "" if way == _REFERENCE else f"{100 * gap.mean():+.1f} ({low:.1f} to {high:.1f})"
        folds = ", ".join(f"{100 * fold.mean():.1f}" for fold in hits[way])
        print(f"| {way} | {100 * own.mean():.1f} | {folds} | {difference} |", flush=True)


if __name__ == "__main__":
    main()
