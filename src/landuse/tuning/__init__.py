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

from landuse import params
from landuse.core.errors import Interrupted, UserError
from landuse.core.paths import repository, workspace
from landuse.core.process import configure
from landuse.tracking import trials
from landuse.training.loop import Loop, Row
from landuse.training.prepare import prepare
from landuse.tuning import report
from landuse.tuning.space import Read, Space, check
from landuse.tuning.store import HISTORY, REASON, SETTINGS, done, facts, open_study


def run(count: int | None = None) -> None:
    """Search ``tune.space`` until so many trials are done in all; print the best settings, ready to run.

    count: None is ``tune.trials``. Trials that were killed do not count; those that cannot train do.

    Raises:
        UserError: the space does not fit params.yaml, no trial could be trained, or params.yaml itself cannot be.
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
                tracked.log(_as_run(trial, number))  # where a kill came between the two stores
            try:
                for number in range(len(already) + 1, wanted + 1):
                    ended = _try_out(study, space, read, p.tune, f"trial {number}/{wanted}")
                    tracked.log(_as_run(ended, number))
            except KeyboardInterrupt as stop:
                told = f"stopped; {len(done(study))} of {wanted} trials are done and kept: the same command goes on"
                raise Interrupted(told, getattr(stop, "signal", SIGINT)) from None
            print(report.text(study, p.tune), flush=True)
            tracked.result(study.best_value)


def _tracked(study: optuna.Study, p: params.Params, known: dict[str, Any]) -> Any:
    name = f"tune-{p.train.recipe}-{p.model.backbone}-{study.study_name[:4]}"
    return trials.study(study.study_name, name, known | {"tune.seed": p.tune.seed})


def _try_out(study: optuna.Study, space: Space, read: Read, tune: params.Tune, title: str) -> FrozenTrial:
    """Train with the next settings, or take over the outcome of a trial that had the same."""
    earlier = done(study)
    seed = np.random.SeedSequence(tune.seed, spawn_key=(len(earlier),)).generate_state(1)
    study.sampler = optuna.samplers.TPESampler(seed=int(seed[0]))
    trial = study.ask()
    settings = space.suggest(trial)
    trial.set_user_attr(SETTINGS, settings)
    print(f"{title}: {report.line(settings)}", flush=True)
    same = next((other for other in earlier if other.user_attrs[SETTINGS] == settings), None)
    if same:
        for step, reported in same.intermediate_values.items():
            trial.report(reported, step)
        attributes, value, state = same.user_attrs, same.value, same.state
    else:
        attributes, value, state = _train(trial, settings, read, tune.monitor)
    for key, attribute in attributes.items():
        trial.set_user_attr(key, attribute)
    ended = study.tell(trial, value if state == TrialState.COMPLETE else None, state)
    print(f"  {report.outcome(ended, tune.monitor)}{', as before' if same else ''}", flush=True)
    return ended


def _train(
    trial: optuna.Trial, settings: dict[str, Any], read: Read, monitor: str
) -> tuple[dict[str, Any], float | None, TrialState]:
    """Return the attributes of a trial at its end, its value and its state."""
    history: list[Row] = []

    def on_epoch(row: Row, _: float) -> None:
        history.append(row)
        trial.report(row[monitor], row["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        p = read(settings)
        ready = prepare(p)
        _, best = Loop(ready.model, ready.train, ready.val, p, on_epoch, cache=ready.cache).run()
    except optuna.TrialPruned:
        return {HISTORY: history}, None, TrialState.PRUNED
    except (UserError, torch.OutOfMemoryError) as error:
        return {HISTORY: history, REASON: " ".join(str(error).split())}, None, TrialState.FAIL
    return {HISTORY: history}, history[best.epoch - 1][monitor], TrialState.COMPLETE


def _as_run(trial: FrozenTrial, number: int) -> trials.Trial:
    assert trial.datetime_start
    assert trial.datetime_complete
    return trials.Trial(
        number=number,
        settings=trial.user_attrs[SETTINGS],
        history=trial.user_attrs[HISTORY],
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        state=report.STATES[trial.state],
        reason=trial.user_attrs.get(REASON),
        started=trial.datetime_start.timestamp(),
        ended=trial.datetime_complete.timestamp(),
    )
