"""Wrong labels: what they cost, and what helps: smoothing, mixup, leaving out what is suspected.

    python benchmarks/label_noise.py --work NEW_FOLDER --data EuroSAT_RGB.zip

Ten classes, a tenth of the tiles of training, recipe `quick`. A share of the labels of training and validation tiles
becomes another one, all others alike; those of the test tiles stay. Suspects are found out of fold: five linear
probes, each on four fifths of the training tiles, judge the rest by confident learning (the report's own
`suspects.find`). "The wrong ones" leaves out those that were made wrong, as if somebody knew. Every seed draws other
wrong labels. Printed are test accuracies, mean over seeds, with differences to the recipe as it is on the same tiles
and their 95 % intervals over tiles and seeds; and what the suspicion is worth: how many of the wrong labels it finds.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from arena import PREPARE, run_stages, workplace

from landuse.core.arrays import Ints
from landuse.evaluation.pairs import differences
from landuse.report.explain import suspects

_SETTING: dict[str, Any] = {
    "data.source": "eurosat_rgb",
    "mapping.preset": "all_classes",
    "split.fractions": {"train": 0.83, "val": 0.02, "test": 0.15},
    "train.recipe": "quick",
    "collapse.action": "warn",
    "evaluate.bootstrap": 200,
}
_PLAIN, _DROPPED, _KNOWN = "quick", "without the suspects", "without the wrong ones"
_WAYS: dict[str, dict[str, Any]] = {  # name -> what it changes
    _PLAIN: {},
    "no label smoothing": {"recipes.quick.loss.label_smoothing": 0.0},
    "mixup 0.2": {"train.augment": "mixup"},
    _DROPPED: {},
    _KNOWN: {},
}
_PROBE = {"train.recipe": "linear_probe"}
_FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a new folder")
    parser.add_argument("--data", type=Path, required=True, help="EuroSAT's RGB tiles")
    parser.add_argument("--fraction", type=float, default=0.1, help="of the training tiles (default: %(default)s)")
    parser.add_argument("--flipped", type=float, nargs="+", default=[0.0, 0.05, 0.1], help="shares of wrong labels")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    options = parser.parse_args()
    ours = workplace(options.work)
    setting = _SETTING | {"data.url": str(options.data.resolve()), "data.fraction": options.fraction}
    run_stages(ours, setting, *PREPARE)
    dealt = pd.read_csv(ours / "data/split.csv")
    truth = dealt.loc[dealt["split"] == "test", "target"].to_numpy()
    for share in options.flipped:
        answers: dict[str, list[Ints]] = {}
        found: list[str] = []
        for seed in options.seeds:
            wrong = _flipped(dealt, share, seed)
            own = setting | {"train.seed": seed}
            doubted = _suspects(ours, own, wrong, seed)
            found.append(_worth(doubted, dealt, wrong))
            left_out = {_DROPPED: doubted, _KNOWN: _wrong(dealt, wrong)}
            for way, changes in _WAYS.items():
                if way != _KNOWN or share:
                    kept = wrong["split"].mask(wrong.index.isin(left_out.get(way, [])), "unused")
                    answers.setdefault(way, []).append(_answers(ours, own | changes, wrong.assign(split=kept)))
        _table(share, truth, answers, found)


def _flipped(dealt: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """The split table with a share of the labels of training and validation tiles changed, each to any other."""
    rng = np.random.default_rng([seed, 0])
    labels = dealt.drop_duplicates("target").set_index("target")["label"].sort_index()
    chosen = dealt.index[dealt["split"].isin(["train", "val"])].to_numpy()
    chosen = rng.permutation(chosen)[: round(share * len(chosen))]
    wrong = dealt.copy()
    targets = (dealt.loc[chosen, "target"] + rng.integers(1, len(labels), len(chosen))) % len(labels)
    wrong.loc[chosen, "target"], wrong.loc[chosen, "label"] = targets, targets.map(labels)
    return wrong


def _wrong(dealt: pd.DataFrame, wrong: pd.DataFrame) -> "pd.Index[int]":
    """The training tiles whose label was changed."""
    return wrong.index[(wrong["target"] != dealt["target"]) & (wrong["split"] == "train")]


def _suspects(ours: Path, setting: dict[str, Any], tiles: pd.DataFrame, seed: int) -> "pd.Index[int]":
    """The training tiles whose labels probes on the other four fifths doubt."""
    train = tiles.index[tiles["split"] == "train"].to_numpy()
    judged: list[pd.DataFrame] = []
    for part in np.array_split(np.random.default_rng([seed, 1]).permutation(train), _FOLDS):
        dealt = tiles["split"].mask(tiles["split"] == "test", "unused")
        dealt[part] = "test"
        _run(ours, setting | _PROBE, tiles.assign(split=dealt))
        judged.append(pd.read_csv(ours / "data/predictions.csv").set_index("row"))
    answers = pd.concat(judged).sort_index()
    columns = [name for name in answers if name.startswith("p_")]
    own = tiles.set_index("row", drop=False).loc[answers.index]
    found = suspects.find(own, answers[columns].to_numpy(), [name.removeprefix("p_") for name in columns])
    return tiles.index[tiles["row"].isin(found.index)]


def _answers(ours: Path, setting: dict[str, Any], tiles: pd.DataFrame) -> Ints:
    """The label of each test tile by a network that these tiles taught."""
    _run(ours, setting, tiles)
    answers = pd.read_csv(ours / "data/predictions.csv")
    columns = [name for name in answers if name.startswith("p_")]
    chosen: Ints = answers[columns].to_numpy().argmax(axis=1)
    return chosen


def _run(ours: Path, setting: dict[str, Any], tiles: pd.DataFrame) -> None:
    tiles.to_csv(ours / "data/split.csv", index=False)
    run_stages(ours, setting, "train", "evaluate")


def _worth(doubted: "pd.Index[int]", dealt: pd.DataFrame, wrong: pd.DataFrame) -> str:
    made = _wrong(dealt, wrong)
    return f"{len(doubted)} suspects, {len(doubted.intersection(made))} of the {len(made)} wrong ones"


def _table(share: float, truth: Ints, answers: dict[str, list[Ints]], found: list[str]) -> None:
    plain = np.stack(answers[_PLAIN])
    print(f"\n{share:.0%} of the labels wrong; {'; '.join(found)}\n")
    print("| | accuracy, % | minus `quick`, points |")
    print("|---|---|---|")
    for way, own in answers.items():
        both = np.stack(own)
        gap = differences(truth, both, plain, truth.max() + 1)["accuracy"]
        low, high = 100 * gap.low, 100 * gap.high
        beside = "" if way == _PLAIN else f"{100 * gap.value:+.2f} ({low:.2f} to {high:.2f})"
        print(f"| {way} | {100 * (both == truth).mean():.2f} | {beside} |", flush=True)


if __name__ == "__main__":
    main()
