"""Where MLflow keeps runs, opened quietly, privately and by one process at a time."""

import logging
import os
import re
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import requests

from landuse.core.errors import UserError
from landuse.core.paths import repository

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SQLITE = "sqlite:///"
_LOCK_SECONDS = 300
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # not language models; some UIs open by it
_BATCH = 100  # MLflow takes at most 100 params and 1,000 metrics in a request


@dataclass(frozen=True)
class Store:
    """A tracking store, an experiment in it, and the lock that all processes of this repository use it under."""

    uri: str
    experiment: str
    _client: "MlflowClient"
    _lock: filelock.BaseFileLock

    @contextmanager
    def locked(self) -> Iterator["MlflowClient"]:
        with _held(self._lock), _clear_errors(self.uri):
            yield self._client


def open_store(workspace: Path) -> Store:
    """Open the store of ``MLFLOW_TRACKING_URI``, else mlflow.db in the repository; make what is absent of it.

    workspace: the folder that the pipeline works in. DVC runs queued experiments in a temporary copy of the
        repository and names the repository itself in ``DVC_ROOT``.

    Raises:
        UserError: the store cannot be reached, or refuses.
    """
    root = repository(workspace).resolve()
    uri = _uri(root)
    lock = filelock.FileLock(root / ".landuse" / "mlflow.lock")
    Path(lock.lock_file).parent.mkdir(exist_ok=True)
    with _held(lock), _clear_errors(uri):  # processes that meet in a fresh database break its migrations
        client = _client(uri)
        return Store(uri, _experiment(client, uri, root), client, lock)


def log(
    client: "MlflowClient",
    run_id: str,
    params: Mapping[str, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
    epochs: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Log what the run lacks: absent params and epochs, and metrics and tags that are absent or different.

    epochs: rows of the history; their numbers are logged at step ``row["epoch"]``.
    """
    from mlflow.entities import Metric, Param, RunTag

    there = client.get_run(run_id).data
    now = int(time.time() * 1000)
    new_params = [Param(k, str(v)) for k, v in (params or {}).items() if k not in there.params]
    new_metrics = [Metric(k, v, now, 0) for k, v in (metrics or {}).items() if there.metrics.get(k) != v]
    new_tags = [RunTag(k, v) for k, v in (tags or {}).items() if there.tags.get(k) != v]
    steps = {metric.step for metric in client.get_metric_history(run_id, "val_loss")} if epochs else set()
    for row in epochs:
        if row["epoch"] not in steps:
            numbers = {key: value for key, value in row.items() if key != "epoch" and isinstance(value, int | float)}
            new_metrics += [Metric(key, float(value), now, int(row["epoch"])) for key, value in numbers.items()]
    for start in range(0, max(len(new_metrics), len(new_params), len(new_tags)), _BATCH):
        part = slice(start, start + _BATCH)
        client.log_batch(run_id, new_metrics[part], new_params[part], new_tags[part])


def _own(root: Path) -> str:
    return f"{_SQLITE}{(root / 'mlflow.db').as_posix()}"


def _uri(root: Path) -> str:
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    if uri and uri.startswith(_SQLITE):  # a relative path would lose what DVC runs in a temporary folder
        return f"{_SQLITE}{(root / uri.removeprefix(_SQLITE)).as_posix()}"
    return uri or _own(root)


def _client(uri: str) -> "MlflowClient":
    os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "4")  # half a minute; its own default is four
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies
        from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they print tracebacks of what they raise
    if uri.startswith(_SQLITE):
        _make_database(Path(uri.removeprefix(_SQLITE).partition("?")[0]))
    return MlflowClient(tracking_uri=uri)


def _make_database(path: Path) -> None:
    """Make a database with all of MLflow's tables, whole or not at all: half of them would be in its way for ever."""
    from mlflow import MlflowClient

    if not path.exists():
        part = path.with_name(f"{path.name}.part")
        part.unlink(missing_ok=True)  # what a killed process left
        with closing(sqlite3.connect(part)):  # MLflow would try for minutes to open what cannot be opened
            MlflowClient(tracking_uri=f"{_SQLITE}{part.as_posix()}").search_experiments(max_results=1)
        part.replace(path)
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _experiment(client: "MlflowClient", uri: str, root: Path) -> str:
    """Find or create the experiment; return its id."""
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "landuse"
    place = (root / "mlartifacts").as_uri()
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        # A server knows where its artefacts go; for a database MLflow would take the current folder.
        remote = uri.startswith(("http:", "https:", "databricks"))
        return str(client.create_experiment(name, None if remote else place, tags=_KIND))
    if experiment.lifecycle_stage != "active":
        raise UserError(
            f"the MLflow experiment {name!r} was deleted: bring it back with "
            f"'mlflow experiments restore -x {experiment.experiment_id}', or set MLFLOW_EXPERIMENT_NAME to another"
        )
    if uri == _own(root) and experiment.artifact_location != place:
        _follow_move(root / "mlflow.db", experiment.artifact_location, place)
    for key in _KIND.keys() - experiment.tags.keys():
        client.set_experiment_tag(experiment.experiment_id, key, _KIND[key])
    return str(experiment.experiment_id)


def _follow_move(database: Path, old: str, new: str) -> None:
    """Mend the paths of artefacts after the repository was moved or copied: MLflow stores absolute ones."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for column in ("experiments.artifact_location", "runs.artifact_uri"):
            table, name = column.split(".")
            connection.execute(
                f"UPDATE {table} SET {name} = ? || substr({name}, ?) WHERE {name} = ? OR {name} LIKE ? || '/%'",
                (new, len(old) + 1, old, old),
            )


@contextmanager
def _held(lock: filelock.BaseFileLock) -> Iterator[None]:
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except filelock.Timeout:
        raise UserError(
            f"another process has held {lock.lock_file} for {_LOCK_SECONDS} s: end it, then run the same command again"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _clear_errors(uri: str) -> Iterator[None]:
    """One line for a store that is broken, absent or refuses."""
    try:
        yield
    except Exception as error:
        if not _comes_from_store(error):
            raise
        reason = str(error).strip().splitlines()[0][:500]
        line = re.sub(r"//[^/@\s]+@", "//***@", f"MLflow cannot use {uri} ({reason})")  # no passwords
        remedies = ["mend it", "set MLFLOW_TRACKING_URI to a store that works (unset: mlflow.db in the repository)"]
        if uri.startswith(_SQLITE):
            file = uri.removeprefix(_SQLITE)
            remedies.insert(1, f"move it away (mv {file} {file}.broken) and run the same command again")
        raise UserError(f"{line}: {', or '.join(remedies)}") from error


def _comes_from_store(error: Exception) -> bool:
    from alembic.util import CommandError  # of a database whose version it does not know
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    known = MlflowException | SQLAlchemyError | CommandError | sqlite3.Error | requests.RequestException | ImportError
    return isinstance(error, known)  # ImportError: the database's driver
