"""What each band is worth: the accuracy that is lost where it is another tile's."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from landuse import params
from landuse.core.arrays import Ints
from landuse.evaluation import metrics
from landuse.evaluation.pairs import differences


def section(
    answers: Mapping[str, Ints], bands: Sequence[str], classes: int, settings: params.Evaluate
) -> dict[str, Any]:
    """The section bands of reports/evaluate.json.

    answers: targets (n,); plain (n,) labels; permuted (bands, repeats, n) labels. Intervals take in which tiles were
    asked and how a band was dealt.
    """
    truth, plain, permuted = (answers[name].astype(np.int64) for name in ("targets", "plain", "permuted"))
    common = (settings.confidence, settings.bootstrap, settings.seed)
    repeats = permuted.shape[1]
    as_often = np.repeat(plain[None], repeats, axis=0)  # so that only the deals, which it has none of, spread
    lost = {
        name: {metric: asdict(found) for metric, found in differences(truth, as_often, dealt, classes, *common).items()}
        for name, dealt in zip(bands, permuted, strict=True)
    }
    return {
        "tiles": len(truth),
        "repeats": repeats,
        "accuracy": metrics.share(plain == truth, settings.confidence),
        "lost": lost,
    }
