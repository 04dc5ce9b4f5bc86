"""MLflow: one run for one pipeline identity, filled live by training and from files by everything else.

What is logged comes from files that the pipeline writes (model.json, history.csv, metrics, pictures), so a
stage that DVC restored from its cache is logged like one that ran, and logging again adds nothing.
Nothing of MLflow ever goes back into those files.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from landuse.core.errors import UserError
from landuse.core.paths import workspace
from landuse.tracking import outputs, store

_IDENTITY_TAG = "landuse.identity"


@contextmanager
def run(identity: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator["Run"]:
    """Track a training: its run is RUNNING inside, and FINISHED, FAILED or KILLED afterwards.

    A run of the same identity is continued: one whose process died, or one of another experiment that
    trains the same model. On success the files of ``train`` and of the stages before it are logged too.

    identity: hexadecimal digest of all that makes the model. params: flat, with dotted names.

    Raises:
        UserError: the store cannot be reached, or refuses.
    """
    _refuse_damaged(outputs.before("train"))  # before hours of training, and not after them
    tracked = _find_or_create(identity, params, tags)
    tracked._set_status("RUNNING")
    try:
        yield tracked
        tracked._log_outputs(outputs.until("train"))
    except BaseException as error:
        with suppress(UserError):  # the error on its way says more than a second one
            tracked._set_status("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    tracked._set_status("FINISHED")


def check(stage: str) -> None:
    """Make sure, before a stage works, that ``track`` will find what it needs.

    Raises:
        UserError: a file that an earlier stage wrote is damaged, or the store cannot be reached or refuses.
    """
    _refuse_damaged(outputs.before(stage))
    store.open_store(workspace())


def track(stage: str | None = None, *, log_model: bool = False) -> str:
    """Log what the pipeline has written for the model in ``models/model``; its run is FINISHED then.

    stage: the stage that calls this at its end. Logged are its files and those of the stages before it; those
        after it still describe an earlier model. None: the stages that ``dvc status`` calls up to date.
    log_model: store the exported model as an artefact too, not only a pointer to it.

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
    tracked = _find_or_create(model["identity"], model["params"], tags)
    tracked._log_outputs(stages, log_model)
    tracked._set_status("FINISHED")
    return tracked.name


def _refuse_damaged(stages: outputs.Stages) -> None:
    outputs.history(stages)
    outputs.metrics(stages)


@dataclass(frozen=True)
class Run:
    """The MLflow run of one identity; ``run`` makes it."""

    name: str
    run_id: str
    _store: store.Store

    def epoch(self, row: Mapping[str, Any], live: Mapping[str, float] | None = None) -> None:
        """Log one row of the history at step ``row["epoch"]``; an epoch that is there already is left alone.

        live: facts of this machine that are in no file (tiles per second), shown as system metrics.
        """
        self._log_epochs([row], live or {})

    def _log_epochs(self, rows: Iterable[Mapping[str, Any]], live: Mapping[str, float]) -> None:
        with self._store.locked() as client:  # else two processes could both find an epoch missing
            steps = {metric.step for metric in client.get_metric_history(self.run_id, "val_loss")}
            for row in rows:
                if row["epoch"] not in steps:
                    numbers = {key: value for key, value in outputs.flat(row).items() if key != "epoch"}
                    numbers |= {f"system/{key}": value for key, value in live.items()}
                    store.log(client, self.run_id, metrics=numbers, step=int(row["epoch"]))

    def _log_outputs(self, stages: outputs.Stages, log_model: bool = False) -> None:
        self._log_epochs(outputs.history(stages), {})
        with self._store.locked() as client:
            store.log(client, self.run_id, metrics=outputs.metrics(stages), tags=outputs.pointer(stages))
            for file, place in outputs.artefacts(stages, log_model):
                client.log_artifact(self.run_id, str(file), place)

    def _set_status(self, status: str) -> None:
        with self._store.locked() as client:
            if client.get_run(self.run_id).info.status == status:
                return
            if status == "RUNNING":
                client.update_run(self.run_id, status)
            else:
                client.set_terminated(self.run_id, status)  # notes the time, too


def _find_or_create(identity: str, params: Mapping[str, Any], tags: Mapping[str, str]) -> Run:
    """Return the run of an identity, with the params and tags that it lacked."""
    kept = store.open_store(workspace())
    with kept.locked() as client:
        found = client.search_runs([kept.experiment], f"tags.`{_IDENTITY_TAG}` = '{identity}'", max_results=1)
        if found:
            info = found[0].info
        else:
            first = {_IDENTITY_TAG: identity} | _origin()
            info = client.create_run(kept.experiment, tags=first, run_name=_name(identity, params)).info
        store.log(client, info.run_id, params=params, tags=tags)
    return Run(info.run_name, info.run_id, kept)


def _name(identity: str, params: Mapping[str, Any]) -> str:
    readable = f"{params['train.recipe']}-{params['model.backbone']}-{identity[:4]}"
    return os.environ.get("DVC_EXP_NAME") or readable


def _origin() -> dict[str, str]:
    """Tags that say which experiment and commit first made this run, as far as they are known."""
    revision = os.environ.get("DVC_EXP_BASELINE_REV")  # the temporary folder of an experiment has another
    if not revision:
        with suppress(FileNotFoundError):  # no git on this machine
            git = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=False)
            revision = git.stdout.strip()
    tags = {"mlflow.source.git.commit": revision, "dvc.exp_name": os.environ.get("DVC_EXP_NAME")}
    return {key: value for key, value in tags.items() if value}
