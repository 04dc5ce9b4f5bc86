"""Runs of MLflow: found by what identifies them, filled with what they lack."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from landuse.core.errors import UserError
from landuse.core.paths import workspace
from landuse.tracking import outputs, registry, store

_IDENTITY, _STUDY, _TRIAL, _PARENT = "landuse.identity", "landuse.study", "landuse.trial", "mlflow.parentRunId"  # tags
_STATUS = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}  # of a trial


@dataclass(frozen=True)
class Run:
    """A run of MLflow; ``run`` and ``study`` make it."""

    name: str
    run_id: str
    _store: store.Store

    def epoch(self, row: Mapping[str, Any], live: Mapping[str, float] | None = None) -> None:
        """Log one row of the history at step ``row["epoch"]``; an epoch that is there already is left alone.

        live: facts of this machine that are in no file (tiles per second), shown as system metrics.
        """
        self.log(epochs=[{**row, **{f"system/{key}": value for key, value in (live or {}).items()}}])

    def log(self, **content: Any) -> None:
        """Log what the run lacks, see ``store.log``."""
        with self._store.locked() as client:
            store.log(client, self.run_id, **content)

    def log_outputs(self, stages: outputs.Stages, log_model: bool = False) -> None:
        """Log what these stages have written."""
        self.log(metrics=outputs.metrics(stages), tags=outputs.pointer(stages), epochs=outputs.history(stages))
        with self._store.locked() as client:
            for file, place in outputs.artefacts(stages, log_model):
                client.log_artifact(self.run_id, str(file), place)

    def register(self, name: str) -> None:
        """Register the exported model, see ``registry.register``."""
        with self._store.locked() as client:
            registry.register(client, self.run_id, name)

    def set_status(self, status: str, ended: float | None = None) -> None:
        """Set it, unless it is that. ended: when, in seconds since 1970; None is now."""
        with self._store.locked() as client:
            if client.get_run(self.run_id).info.status == status:
                return
            if status == "RUNNING":
                client.update_run(self.run_id, status)
            else:
                client.set_terminated(self.run_id, status, None if ended is None else int(ended * 1000))

    @contextmanager
    def running(self) -> Iterator[None]:
        """RUNNING inside, and FINISHED, FAILED or KILLED afterwards."""
        self.set_status("RUNNING")
        try:
            yield
        except BaseException as error:
            with suppress(UserError):  # the error on its way says more than a second one
                self.set_status("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
        self.set_status("FINISHED")

    def log_trial(
        self, number: int, state: str, reason: str | None, started: float, ended: float, settings: Mapping[str, Any],
        epochs: Sequence[Mapping[str, Any]], metrics: Mapping[str, float],
    ) -> None:  # fmt: skip
        """Give a trial of this study that has ended a run of its own, below this one; what is there stays.

        number: in the study, from 1. state: finished, pruned or failed; reason: why it failed. started, ended:
        seconds since 1970.
        """
        known = {_PARENT: self.run_id, _TRIAL: str(number)}
        tags = {"landuse.state": state} | ({"landuse.reason": reason} if reason else {})
        child = _find_or_create(self._store, known, f"trial-{number:02}", started=started)
        child.log(params=settings, tags=tags, metrics=metrics, epochs=epochs)
        child.set_status(_STATUS[state], ended)


@contextmanager
def run(identity: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[Run]:
    """Track a training: its run is RUNNING inside, and FINISHED, FAILED or KILLED afterwards.

    A run of the same identity is continued: one whose process died, or one of another experiment that
    trains the same model. On success the files of ``train`` and of the stages before it are logged too.

    identity: hexadecimal digest of all that makes the model. params: flat, with dotted names.

    Raises:
        UserError: the store cannot be reached, or refuses.
    """
    _refuse_damaged(outputs.before("train"))  # before hours of training, and not after them
    tracked = _of_identity(identity, params, tags)
    with tracked.running():
        yield tracked
        tracked.log_outputs(outputs.until("train"))


@contextmanager
def study(identity: str, name: str, params: Mapping[str, Any]) -> Iterator[Run]:
    """Track a search, in the same way; ``Run.log_trial`` adds its trials.

    identity: of the study. params: what all its trials share, with dotted names.

    Raises:
        UserError: the store cannot be reached, or refuses.
    """
    tracked = _find_or_create(store.open_store(workspace()), {_STUDY: identity}, name)
    tracked.log(params=params)
    with tracked.running():
        yield tracked


def check(stage: str) -> None:
    """Make sure, before a stage works, that ``track`` will find what it needs.

    Raises:
        UserError: a file that an earlier stage wrote is damaged, or the store cannot be reached or refuses.
    """
    _refuse_damaged(outputs.before(stage))
    store.open_store(workspace())


def track(stage: str | None = None, *, log_model: bool = False, register: str | None = None) -> str:
    """Log what the pipeline has written for the model in ``models/model``; its run is FINISHED then.

    stage: the stage that calls this at its end. Logged are its files and those of the stages before it; those
        after it still describe an earlier model. None: the stages that ``dvc status`` calls up to date.
    log_model: store the exported model as an artefact too, not only a pointer to it.
    register: NAME or NAME@ALIAS in MLflow's model registry that the exported model, if there is one, becomes a
        version of.

    Returns:
        The name of the run.

    Raises:
        UserError: there is no up-to-date model, a file is damaged, or the store cannot be reached or refuses.
    """
    stages = outputs.until(stage) if stage else outputs.up_to_date()
    _refuse_damaged(stages)
    model = outputs.model()
    tags = {f"landuse.{key}": model[key] for key in ("backbone", "data_digest", "params_digest")}
    tags["landuse.recipe"] = model["params"]["train.recipe"]
    tracked = _of_identity(model["identity"], model["params"], tags)
    tracked.log_outputs(stages, log_model)
    if register and "export" in stages:
        tracked.register(register)
    tracked.set_status("FINISHED")
    return tracked.name


def _refuse_damaged(stages: outputs.Stages) -> None:
    outputs.history(stages)
    outputs.metrics(stages)


def _of_identity(identity: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
    """Return the run of an identity, with the params and tags that it lacked."""
    readable = f"{params['train.recipe']}-{params['model.backbone']}-{identity[:4]}"
    name = os.environ.get("DVC_EXP_NAME") or readable
    tracked = _find_or_create(store.open_store(workspace()), {_IDENTITY: identity}, name, _origin())
    tracked.log(params=params, tags=tags)
    return tracked


def _find_or_create(
    kept: store.Store, known: Mapping[str, str], name: str, first: Mapping[str, str] | None = None,
    started: float | None = None,
) -> Run:  # fmt: skip
    """Return the run with the tags ``known``. name, first, started: of a new one; further tags, and when it began."""
    where = " and ".join(f"tags.`{key}` = '{value}'" for key, value in known.items())
    with kept.locked() as client:
        found = client.search_runs([kept.experiment], where, max_results=1)
        if found:
            info = found[0].info
        else:
            began = None if started is None else int(started * 1000)
            tags = {**known, **(first or {})}
            info = client.create_run(kept.experiment, start_time=began, tags=tags, run_name=name).info
    return Run(info.run_name, info.run_id, kept)


def _origin() -> dict[str, str]:
    """Tags that say which experiment and commit first made this run, as far as they are known."""
    revision = os.environ.get("DVC_EXP_BASELINE_REV")  # the temporary folder of an experiment has another
    if not revision:
        with suppress(FileNotFoundError):  # no git on this machine
            git = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=False)
            revision = git.stdout.strip()
    tags = {"mlflow.source.git.commit": revision, "dvc.exp_name": os.environ.get("DVC_EXP_NAME")}
    return {key: value for key, value in tags.items() if value}
