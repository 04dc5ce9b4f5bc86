"""A hyperparameter search in MLflow: one run for the study, and below it one for each trial that has ended."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from landuse.core.errors import UserError
from landuse.core.paths import workspace
from landuse.tracking import outputs, store

_STUDY_TAG, _TRIAL_TAG, _PARENT_TAG = "landuse.study", "landuse.trial", "mlflow.parentRunId"
_STATUS = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    number: in its study, from 1. history: rows of its epochs. value: what the search judges it by. state: finished,
    pruned or failed; reason: why it failed. started, ended: seconds since 1970.
    """

    number: int
    settings: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    value: float | None
    state: str
    reason: str | None
    started: float
    ended: float


@dataclass(frozen=True)
class Study:
    """The MLflow run of a study; ``study`` makes it."""

    run_id: str
    _store: store.Store
    _there: set[int] = field(default_factory=set)  # numbers of the trials that have their run

    def log(self, trial: Trial) -> None:
        """Give a trial its run, unless it has one."""
        if trial.number in self._there:
            return
        tags = {_PARENT_TAG: self.run_id, _TRIAL_TAG: str(trial.number), "landuse.state": trial.state}
        if trial.reason:
            tags["landuse.reason"] = trial.reason
        with self._store.locked() as client:
            name, started = f"trial-{trial.number:02}", int(trial.started * 1000)
            run = client.create_run(self._store.experiment, start_time=started, tags=tags, run_name=name)
            store.log(client, run.info.run_id, params=trial.settings)
            for row in trial.history:
                numbers = {key: value for key, value in outputs.flat(row).items() if key != "epoch"}
                store.log(client, run.info.run_id, metrics=numbers, step=int(row["epoch"]))
            if trial.value is not None:
                store.log(client, run.info.run_id, metrics={"objective": trial.value})
            client.set_terminated(run.info.run_id, _STATUS[trial.state], int(trial.ended * 1000))
        self._there.add(trial.number)

    def result(self, best: float) -> None:
        """Note the best value of the study."""
        with self._store.locked() as client:
            store.log(client, self.run_id, metrics={"objective": best})

    def _take_stock(self) -> None:
        with self._store.locked() as client:
            where = f"tags.`{_PARENT_TAG}` = '{self.run_id}'"
            for run in client.search_runs([self._store.experiment], where, max_results=10_000):
                if run.info.status == "RUNNING":  # its process died while it was written
                    client.delete_run(run.info.run_id)
                else:
                    self._there.add(int(run.data.tags[_TRIAL_TAG]))

    def _set_status(self, status: str) -> None:
        with self._store.locked() as client:
            if status == "RUNNING":
                client.update_run(self.run_id, status)
            else:
                client.set_terminated(self.run_id, status)


@contextmanager
def study(identity: str, name: str, params: Mapping[str, Any]) -> Iterator[Study]:
    """Track a search: its run is RUNNING inside, and FINISHED, FAILED or KILLED afterwards; it is continued if there.

    identity: of the study. params: what all its trials share, with dotted names.

    Raises:
        UserError: the store cannot be reached, or refuses.
    """
    kept = store.open_store(workspace())
    with kept.locked() as client:
        found = client.search_runs([kept.experiment], f"tags.`{_STUDY_TAG}` = '{identity}'", max_results=1)
        run = found[0] if found else client.create_run(kept.experiment, tags={_STUDY_TAG: identity}, run_name=name)
        store.log(client, run.info.run_id, params=params)
    tracked = Study(run.info.run_id, kept)
    tracked._take_stock()
    tracked._set_status("RUNNING")
    try:
        yield tracked
    except BaseException as error:
        with suppress(UserError):  # the error on its way says more than a second one
            tracked._set_status("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    tracked._set_status("FINISHED")
