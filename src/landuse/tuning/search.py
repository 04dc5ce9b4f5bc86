"""Hyperparameter search: Optuna proposes settings, a training on the training tiles tries them, validation judges.

The study is kept in ``.landuse/tune.db``. What a trial proposes depends on the search's seed and on the trials that are
done, and on nothing else: a search that is killed and started again tries what an unbroken one would have.
"""

import shutil
import tempfile
from functools import partial
from pathlib import Path
from signal import SIGINT
from typing import Any

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from landuse import params, tracking
from landuse.core.errors import Interrupted, UserError
from landuse.core.paths import repository, workspace
from landuse.training import classical
from landuse.training.loop import Loop, Row
from landuse.training.prepare import prepare
from landuse.training.process import configure
from landuse.tuning import report
from landuse.tuning.space import Read, Space, check
from landuse.tuning.study import HISTORY, REASON, SETTINGS, done, facts, open_study


def run(count: int | None = None) -> None:
    """Search ``tune.space`` until so many trials are done in all; print the best settings, ready to run.

    count: None is ``tune.trials``. Trials that were killed do not count; those that cannot train do.

    Raises UserError: the space does not fit params.yaml, no trial could be trained, or params.yaml itself cannot be.
    """
    configure()
    p = params.read()
    wanted = p.tune.trials if count is None else count
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copy("params.yaml", folder))  # edits made meanwhile are for the next search
        read: Read = partial(params.read, copy)
        space = check(p.tune.space, read)
        known = facts(p, prepare(p).spec.data_digest)
        root = repository(workspace()).resolve()
        with open_study(root, known, p.tune) as study, _tracked(study, p, known) as tracked:
            if already := done(study):
                print(f"study {study.study_name} goes on: {len(already)} of {wanted} trials are done", flush=True)
            for number, trial in enumerate(already, start=1):
                _log(tracked, trial, number)  # where a kill came between the two stores
            try:
                study.optimize(
                    partial(_try_out, space=space, read=read, tune=p.tune, wanted=wanted),
                    n_trials=max(wanted - len(already), 0),
                    catch=(UserError, torch.OutOfMemoryError),
                    callbacks=[partial(_ended, tracked=tracked, monitor=p.tune.monitor)],
                )
            except KeyboardInterrupt as stop:
                told = f"stopped; {len(done(study))} of {wanted} trials are done and kept: the same command goes on"
                raise Interrupted(told, getattr(stop, "signal", SIGINT)) from None
            print(report.text(study, p.tune), flush=True)
            tracked.log(metrics={"objective": study.best_value})


def _try_out(trial: optuna.Trial, space: Space, read: Read, tune: params.Tune, wanted: int) -> float:
    """Train with the next settings, or take over the outcome of a trial that had the same.

    Raises UserError, torch.OutOfMemoryError: they cannot be trained; the reason is among the trial's attributes.
    """
    earlier = done(trial.study)
    seed = np.random.SeedSequence(tune.seed, spawn_key=(len(earlier),)).generate_state(1)
    trial.study.sampler = optuna.samplers.TPESampler(seed=int(seed[0]))
    settings = space.suggest(trial)
    trial.set_user_attr(SETTINGS, settings)
    print(f"trial {len(earlier) + 1}/{wanted}: {report.line(settings)}", flush=True)
    same = next((other for other in earlier if other.user_attrs[SETTINGS] == settings), None)
    if same is None:
        return _train(trial, settings, read, tune.monitor)
    for step, reported in same.intermediate_values.items():
        trial.report(reported, step)
    for key, attribute in same.user_attrs.items():
        trial.set_user_attr(key, attribute)
    if same.state == TrialState.PRUNED:
        raise optuna.TrialPruned
    if same.state == TrialState.FAIL:
        raise UserError(same.user_attrs[REASON])
    assert same.value is not None
    return same.value


def _train(trial: optuna.Trial, settings: dict[str, Any], read: Read, monitor: str) -> float:
    """Return what the search judges the settings by."""
    history: list[Row] = []

    def on_epoch(row: Row, _: float) -> None:
        history.append(row)
        trial.report(row[monitor], row["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        p = read(settings)
        ready = prepare(p)
        if p.recipe.fit:
            _, best = classical.fit(ready.model, ready.train, ready.val, p, on_epoch)
        else:
            _, best = Loop(ready.model, ready.train, ready.val, p, on_epoch, cache=ready.cache).run()
    except (UserError, torch.OutOfMemoryError) as error:
        trial.set_user_attr(REASON, " ".join(str(error).split()))
        raise
    finally:
        trial.set_user_attr(HISTORY, history)
    return float(history[best.epoch - 1][monitor])


def _ended(study: optuna.Study, trial: FrozenTrial, tracked: tracking.Run, monitor: str) -> None:
    *earlier, last = done(study)
    again = any(other.user_attrs[SETTINGS] == last.user_attrs[SETTINGS] for other in earlier)
    print(f"  {report.outcome(trial, monitor)}{', as before' if again else ''}", flush=True)
    _log(tracked, trial, len(earlier) + 1)


def _tracked(study: optuna.Study, p: params.Params, known: dict[str, Any]) -> Any:
    name = f"tune-{p.train.recipe}-{p.model.backbone}-{study.study_name[:4]}"
    return tracking.study(study.study_name, name, known | {"tune.seed": p.tune.seed})


def _log(tracked: tracking.Run, trial: FrozenTrial, number: int) -> None:
    assert trial.datetime_start
    assert trial.datetime_complete
    tracked.log_trial(
        number=number,
        state=report.STATES[trial.state],
        reason=trial.user_attrs.get(REASON),
        started=trial.datetime_start.timestamp(),
        ended=trial.datetime_complete.timestamp(),
        settings=trial.user_attrs[SETTINGS],
        epochs=trial.user_attrs[HISTORY],
        metrics={"objective": trial.values[0]} if trial.state == TrialState.COMPLETE else {},
    )
