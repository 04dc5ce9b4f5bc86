"""Studies on disk: one SQLite file of Optuna's, one process at a time, what a killed one left put right."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import filelock
import optuna
from optuna.exceptions import OptunaError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from landuse import params
from landuse.core.errors import UserError
from landuse.core.settings import flatten, what_changed
from landuse.training.identity import digest
from landuse.training.optim import better_is_lower

SETTINGS, HISTORY, REASON = "settings", "history", "reason"  # attributes of a trial
_FACTS = "facts"  # attribute of a study


def facts(p: params.Params, data_digest: str) -> dict[str, Any]:
    """Return all that makes two trials of the same settings the same, and two spaces comparable: flat, JSON values.

    What the searched keys are in params.yaml does not count: trials replace it.
    """
    sections = p.model_dump(include={"model", "train", "augmentations"})
    recipes = list(p.recipes) if "train.recipe" in p.tune.space else [p.train.recipe]
    sections["recipes"] = {name: p.recipes[name].model_dump() for name in recipes}
    known = {key: value for key, value in flatten(sections).items() if key not in p.tune.space}
    space = {f"tune.space.{key}": d.model_dump(exclude_unset=True) for key, d in p.tune.space.items()}
    return known | space | {"tune.monitor": p.tune.monitor, "data": data_digest}


@contextmanager
def open_study(root: Path, known: Mapping[str, Any], tune: params.Tune) -> Iterator[optuna.Study]:
    """Hold the study of some facts, made if it is not there; say whether it goes on or, if others are there, why not.

    Trials that were running when their process died are marked failed, without a reason.

    Raises UserError: another process searches, or the file is none of Optuna's.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would print a traceback for each trial that fails
    path = root / ".landuse" / "tune.db"
    path.parent.mkdir(exist_ok=True)
    with _alone(path.with_suffix(".lock")), _clear_errors(path, SQLAlchemyError, OptunaError):
        # what is damaged shows here: versions that differ are a RuntimeError, broken attributes a ValueError
        with _clear_errors(path, RuntimeError, ValueError, KeyError):
            study = _open(path, known, tune)
        yield study


def _open(path: Path, known: Mapping[str, Any], tune: params.Tune) -> optuna.Study:
    storage = optuna.storages.RDBStorage(f"sqlite:///{path.as_posix()}")
    name = digest(known)[:12]
    others = [study for study in optuna.get_all_study_summaries(storage) if study.datetime_start]
    if others and name not in optuna.get_all_study_names(storage):
        before = max(others, key=lambda study: str(study.datetime_start)).user_attrs[_FACTS]
        print(f"a new study: the last one had other settings ({what_changed(before, known)})", flush=True)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="minimize" if better_is_lower(tune.monitor) else "maximize",
        load_if_exists=True,
        # The median: with some twenty trials each of Hyperband's brackets would hold too few to compare, and its
        # budgets assume phases and schedules that a trial may leave at any epoch.
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=tune.pruning.startup_trials, n_warmup_steps=tune.pruning.warmup_epochs + 1
        ),
    )
    study.set_user_attr(_FACTS, dict(known))
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    for trial in done(study):
        if not trial.user_attrs.keys() >= {SETTINGS, HISTORY}:
            raise ValueError(f"trial {trial.number} lacks its settings or its history")
    return study


def done(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that came to an end of their own: complete, pruned, or failed for a reason."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) or REASON in trial.user_attrs
    ]


def _alone(path: Path) -> AbstractContextManager[object]:
    try:
        return filelock.FileLock(path).acquire(blocking=False)
    except filelock.Timeout:
        raise UserError("another 'landuse tune' searches here: wait until it is done, or end it") from None


@contextmanager
def _clear_errors(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        remedy = f"move it away (mv {path} {path}.broken) and run the same command again, which starts anew"
        raise UserError(f"cannot use {path} ({reason}): mend it, or {remedy}") from error
