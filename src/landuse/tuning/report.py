"""What a search tells: a line for each trial; at the end the best settings, ready to run."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Any

import optuna
import pandas as pd
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from landuse import params
from landuse.core.errors import UserError
from landuse.training.optim import better_is_lower
from landuse.tuning.study import HISTORY, REASON, SETTINGS, done

STATES = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
_SHOWN = 5  # of the best trials
_FOR_IMPORTANCE = 10  # finished trials; shares of fewer are noise


def line(settings: Mapping[str, Any]) -> str:
    """Settings on one line."""
    return "  ".join(f"{key}={word(value)}" for key, value in settings.items())


def outcome(trial: FrozenTrial, monitor: str) -> str:
    """How a trial ended."""
    history = trial.user_attrs[HISTORY]
    if trial.state == TrialState.COMPLETE:
        return f"{monitor} {trial.value:.4f} after {len(history)} epochs"
    if trial.state == TrialState.PRUNED:
        return f"pruned after epoch {len(history)}: {monitor} {history[-1][monitor]:.4f} is behind the median"
    return f"failed: {trial.user_attrs[REASON]}"


def text(study: optuna.Study, tune: params.Tune) -> str:
    """The best trials, what mattered, and the command that trains with the best settings.

    Raises UserError: no trial is complete.
    """
    ended = done(study)
    finished = {number: t for number, t in enumerate(ended, start=1) if t.state == TrialState.COMPLETE}
    if not finished:
        reason = ended[-1].user_attrs[REASON]
        raise UserError(f"none of {len(ended)} trials could be trained: mend tune.space; the last one: {reason}")
    rows = [
        {"trial": number, tune.monitor: trial.value, "epochs": len(trial.user_attrs[HISTORY])}
        | {key: word(value) for key, value in trial.user_attrs[SETTINGS].items()}
        for number, trial in finished.items()
    ]
    ranked = pd.DataFrame(rows).sort_values(tune.monitor, ascending=better_is_lower(tune.monitor), kind="stable")
    best = finished[int(ranked["trial"].iloc[0])]
    counts = Counter(STATES[trial.state] for trial in ended)
    different = ranked.drop_duplicates(subset=list(best.user_attrs[SETTINGS])).head(_SHOWN)
    importances = []  # shares of the variance over trials that keys explain (functional ANOVA, Hutter et al. 2014)
    if (
        len(tune.space) > 1
        and len(finished) >= _FOR_IMPORTANCE
        and len({trial.value for trial in finished.values()}) > 1
    ):
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=tune.seed))
        importances = [f"importance: {', '.join(f'{key} {share:.0%}' for key, share in shares.items())}"]
    return "\n".join(
        [
            "",
            f"best {tune.monitor} {best.value:.4f}; trials: {', '.join(f'{n} {state}' for state, n in counts.items())}",
            different.to_string(index=False, float_format="{:.4f}".format),
            *importances,
            f"try it: {command(best.user_attrs[SETTINGS])}",
        ]
    )


def command(settings: Mapping[str, Any]) -> str:
    """The command that trains with some settings."""
    return " ".join(["dvc exp run", *(f"-S {shlex.quote(f'{key}={word(value)}')}" for key, value in settings.items())])


def word(value: Any) -> str:
    """Write a value as ``dvc exp run -S`` (Hydra) reads it."""
    if isinstance(value, str) and re.fullmatch(r"[\w./:+-]+", value):
        return value
    return json.dumps(value, ensure_ascii=False)
