"""Two results on the same test tiles: is the second better than the first, and where?"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from landuse.comparison import experiments, predictions
from landuse.comparison.experiments import FOLD, SEED, Experiment, Unreadable
from landuse.comparison.predictions import Predictions
from landuse.comparison.significance import McNemar, detectable, mcnemar, mean_difference
from landuse.core.errors import UserError
from landuse.core.settings import changed
from landuse.evaluation.pairs import CONFIDENCE, Difference, differences


@dataclass(frozen=True)
class Pair:
    """Both sides and what sets them apart.

    test: McNemar's, the tiles of ``first_only`` are broken and those of ``second_only`` fixed. differences: second
    minus first, by metric. detectable: see ``pairs.detectable``. tiles: one row for each that the two predict
    differently, with its ``change``: fixed, broken, or another mistake. settings: those that differ, as first, second.
    """

    first: Predictions
    second: Predictions
    test: McNemar
    differences: Mapping[str, Difference]
    detectable: float
    tiles: pd.DataFrame
    settings: Mapping[str, tuple[str, str]]

    @property
    def verdicts(self) -> dict[str, str]:
        """What the second is in each metric: ``better``, ``worse`` or ``tie``; in accuracy by McNemar's test."""
        by_interval = {name: found.verdict for name, found in self.differences.items()}
        more = "better" if self.test.second_only > self.test.first_only else "worse"
        lower_is_better = {"better": "worse", "worse": "better", "tie": "tie"}
        return {
            "accuracy": more if self.test.p < 1 - CONFIDENCE else "tie",
            "macro_f1": by_interval["macro_f1"],
            "nll": lower_is_better[by_interval["nll"]],
        }


def read(first: str, second: str) -> Pair:
    """Compare two revisions on their test tiles.

    first, second: git revisions, DVC experiments or ``workspace``.

    Raises UserError: a revision is unknown, the same as the other or without a readable result; or their test tiles or
    labels differ.
    """
    with experiments.repository() as repo:
        if experiments.resolve(repo, first) == experiments.resolve(repo, second):
            raise UserError(f"{first!r} and {second!r} are the same revision: name two that differ")
        return compare(*(_read(experiments.at(repo, revision)) for revision in (first, second)))


def _read(experiment: Experiment) -> Predictions:
    try:
        return predictions.read(experiment)
    except Unreadable as problem:
        raise UserError(f"{experiment.name!r} cannot be compared: {problem}") from None


def compare(a: Predictions, b: Predictions) -> Pair:
    """Everything that the report needs. Raises UserError: the test tiles or labels differ."""
    both = ({SEED: of.seed, FOLD: of.fold, **of.settings} for of in (a.experiment, b.experiment))
    settings = {key: (old or "", new or "") for key, (old, new) in changed(*both).items()}
    _check_task(a, b, settings)
    test = mcnemar(a.right, b.right)
    gaps = differences(b.truth, b.predicted[None], a.predicted[None], len(b.labels))
    gaps["nll"] = mean_difference(b.losses, a.losses)
    seen = detectable(len(b.truth), test.first_only + test.second_only)
    return Pair(a, b, test, gaps, seen, _tiles(a, b), settings)


def _check_task(a: Predictions, b: Predictions, settings: Mapping[str, tuple[str, str]]) -> None:
    names = f"{a.name!r} and {b.name!r} cannot be paired"
    if a.labels != b.labels:
        alone = (sorted(set(mine) - set(other)) for mine, other in ((a.labels, b.labels), (b.labels, a.labels)))
        first_alone, second_alone = (", ".join(each[:5]) + ", ..." * (len(each) > 5) or "none" for each in alone)
        raise UserError(f"{names}: their labels differ, {first_alone} in the first alone, {second_alone} in the second")
    common = a.tiles.index.intersection(b.tiles.index)
    if len(common) < max(len(a.truth), len(b.truth)):
        causes = [f"{key} {' and '.join(v)}" for key, v in settings.items() if key.startswith(("data.", "split."))]
        raise UserError(
            f"{names}: their test tiles differ, {len(a.truth) - len(common):,} of {len(a.truth):,} are in the first "
            f"alone and {len(b.truth) - len(common):,} of {len(b.truth):,} in the second alone"
            + (f" ({', '.join(causes[:3])})" if causes else "")
            + "; evaluate both on one split"
        )
    other = int((a.truth != b.truth).sum())
    if other:
        raise UserError(f"{names}: {other:,} of their {len(a.truth):,} test tiles have another true label in each")


def _tiles(a: Predictions, b: Predictions) -> pd.DataFrame:
    """Broken tiles, then fixed ones, then other mistakes; what the second is surest of comes first."""
    table = b.tiles.reset_index(drop=True)
    table["truth"] = np.take(b.labels, b.truth)
    for side, result in (("first", a), ("second", b)):
        table[side] = np.take(result.labels, result.predicted)
        table[f"{side}_probability"] = result.probabilities[np.arange(len(table)), result.predicted]
    changes = [a.right & ~b.right, ~a.right & b.right]
    table["change"] = pd.Categorical(
        np.select(changes, ["broken", "fixed"], "other mistake"), ["broken", "fixed", "other mistake"]
    )
    changed: pd.DataFrame = table[a.predicted != b.predicted]
    return changed.sort_values(["change", "second_probability", "file"], ascending=[True, False, True])
