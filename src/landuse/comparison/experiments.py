"""Finished DVC experiments: what each was made from, and what came out.

What made a result is read from the ``dvc.lock`` of its commit, not from its ``params.yaml``: that also holds what no
stage reads, and says nothing of the code.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml
from dvc.api import DVCFileSystem, all_branches, all_tags
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import RevError
from pydantic import TypeAdapter, ValidationError
from scmrepo.exceptions import SCMError
from typing_extensions import TypedDict

from landuse.core.errors import UserError, did_you_mean
from landuse.core.settings import flatten

WORKSPACE = "workspace"
SEED, FOLD = "train.seed", "split.fold"
PREDICTIONS = "data/predictions.csv"
TILES = "data/tiles/index.csv"
BASELINE = "band_statistics"
_FOLDED = ("kfold", "spatial_kfold")
_LOCK, _TEST, _VAL = "dvc.lock", "metrics/evaluate.json", "metrics/train.json"  # in git
_DETAILS = "reports/evaluate.json"  # in DVC's cache: the intervals and the baseline
_MEASURED = {  # name here -> its measure in the details
    "accuracy": "accuracy",
    "macro_f1": "macro_f1",
    "nll": "calibration.after.nll",
    f"{BASELINE}.accuracy": f"baselines.{BASELINE}.accuracy",
    f"{BASELINE}.macro_f1": f"baselines.{BASELINE}.macro_f1",
}


class Unreadable(Exception):
    """A file of a result is absent, damaged or without numbers. The message says what, and what to do."""


Read = Callable[[str], bytes]  # a file of a revision; raises Unreadable


class _Files(TypedDict, total=False):
    path: str
    md5: str


class _Stage(TypedDict, total=False):
    outs: list[_Files]
    deps: list[_Files]
    params: dict[str, dict[str, Any]]


class _Lock(TypedDict):
    """dvc.lock."""

    stages: dict[str, _Stage]


@dataclass(frozen=True)
class Experiment:
    """One result.

    settings: every param and code file that made its predictions, but for the seed and, in a cross-validation, the
    fold. metrics: those that were measured of test ``accuracy``, ``macro_f1``, ``nll`` and ``val_macro_f1``; and where
    the details are at hand, the ends of their intervals over tiles as ``accuracy.low`` and ``accuracy.high``, and the
    baseline's, the same way, as ``band_statistics.accuracy``. read: its files.
    """

    name: str
    seed: str
    fold: str
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    read: Read


@contextmanager
def repository() -> Iterator[Repo]:
    """The DVC repository around the current folder; what DVC and git cannot do is the user's to mend."""
    try:
        with Repo() as repo:
            yield repo
    except (DvcException, SCMError) as error:
        raise UserError(f"no experiments to read: {error}") from error


def finished(repo: Repo) -> tuple[list[Experiment], Counter[str]]:
    """Return the results in ``dvc exp show``, the commit's own first, and counts of what has none, by reason.

    Raises:
        UserError: there is no result.
    """
    found, left_out = [], Counter[str]()
    for baseline in repo.experiments.show(hide_workspace=True):
        own = result(baseline.name or baseline.rev[:7], reader(repo, baseline.rev))
        found += [own] if isinstance(own, Experiment) else []  # a commit without results is nothing to report
        for each in baseline.experiments or ():
            state, last = each.executor.state if each.executor else "success", each.revs[0]
            made = result(last.name or last.rev[:7], reader(repo, last.rev)) if state == "success" else state
            if isinstance(made, Experiment):
                found.append(made)
            else:
                left_out[made] += 1
    if not found:
        others = f" ({counted(left_out)})" if left_out else ""
        remedy = "make one with 'dvc exp run -S train.freeze=layer3'"
        raise UserError(f"no finished experiment starts from this commit{others}: {remedy}")
    return found, left_out


def counted(reasons: Mapping[str, int]) -> str:
    """``2 failed, 1 queued``."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def commit(repo: Repo, revision: str) -> str:
    """The commit of a git revision or a DVC experiment; ``workspace`` stays.

    Raises:
        UserError: there is none.
    """
    try:
        return revision if revision == WORKSPACE else str(_files(repo, revision).repo.get_rev())
    except RevError:
        names = [name for found in repo.experiments.ls(all_commits=True).values() for name, _ in found]
        hint = did_you_mean(revision, [*all_branches(), *all_tags(), *names, WORKSPACE])
        raise UserError(f"no revision or experiment {revision!r}{hint}") from None


def at(repo: Repo, revision: str) -> Experiment:
    """The result of what ``commit`` takes.

    Raises:
        UserError: there is no such revision, or it has no result.
    """
    found = result(revision, reader(repo, commit(repo, revision)))
    if isinstance(found, str):
        remedy = "run 'dvc repro'" + ("" if revision == WORKSPACE else " there and commit dvc.lock and metrics")
        raise UserError(f"{revision!r} is no finished result ({found}): {remedy}")
    return found


def reader(repo: Repo, revision: str) -> Read:
    """Return what reads files of a revision, from git or from DVC's cache or remote."""
    files = _files(repo, revision)

    def read(path: str) -> bytes:
        try:
            content: bytes = files.read_bytes(path)
        except FileNotFoundError:
            raise Unreadable(f"{path} is not in DVC's cache (try dvc pull)") from None
        expected = files.info(path).get("dvc_info", {}).get("md5")  # none of what is in git
        if expected not in (None, hashlib.md5(content).hexdigest()):
            file = repo.cache.local.oid_to_path(expected)
            remedy = "dvc checkout" if revision == WORKSPACE else f"remove {file}, then try dvc pull or dvc repro -f"
            raise Unreadable(f"{path} is not what dvc.lock says: {remedy}")
        return content

    return read


def _files(repo: Repo, revision: str) -> DVCFileSystem:
    return DVCFileSystem(repo.root_dir, rev=None if revision == WORKSPACE else revision)


def result(name: str, read: Read) -> Experiment | str:
    """An experiment, or why it has no result."""
    try:
        stages = _stages(read)
        metrics = _metrics(read)
    except ValueError as error:
        return f"with a damaged {error}"
    if not stages or not {"accuracy", "macro_f1"} <= metrics.keys():
        return "without test metrics"
    if _maker(stages, PREDICTIONS) is None or _maker(stages, TILES) is None:
        return "without predictions"
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())}
    settings: dict[str, Any] = {}
    for made_by in sorted(_makers(stages, PREDICTIONS)):
        for table in stages[made_by].get("params", {}).values():
            settings |= flatten(table)
        for dep in stages[made_by].get("deps", ()):
            path, digest = dep["path"], dep.get("md5", "")
            if outs.get(path, digest) != digest:
                return "older than what they depend on (dvc repro)"
            if _maker(stages, path) is None:
                settings[path] = digest[:7]
    written = {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}
    seed, fold = written.pop(SEED, ""), ""
    if written.get("split.method") in _FOLDED:
        fold = written.pop(FOLD, "")
    return Experiment(name, seed, fold, written, metrics, read)


def _stages(read: Read) -> dict[str, _Stage]:
    try:
        locked: _Lock = TypeAdapter(_Lock).validate_python(yaml.safe_load(read(_LOCK)))
    except Unreadable:
        return {}
    except (yaml.YAMLError, ValidationError):
        raise ValueError(_LOCK) from None
    return locked["stages"]


def _metrics(read: Read) -> dict[str, float]:
    test, val, details = (_numbers(read, path) for path in (_TEST, _VAL, _DETAILS))
    measured: dict[str, float] = {name: test[name] for name in ("accuracy", "macro_f1", "nll") if name in test}
    measured |= {"val_macro_f1": val["val_macro_f1"]} if "val_macro_f1" in val else {}
    for name, place in _MEASURED.items():
        ends = {name: f"{place}.value", f"{name}.low": f"{place}.low", f"{name}.high": f"{place}.high"}
        measured |= {end: details[key] for end, key in ends.items() if key in details}
    return measured


def _numbers(read: Read, path: str) -> dict[str, float]:
    """The numbers of a JSON file under dotted names; none where it is absent."""
    try:
        found = json.loads(read(path))
    except Unreadable:
        return {}
    except ValueError:
        raise ValueError(path) from None
    return {k: float(v) for k, v in flatten(found).items() if isinstance(v, int | float) and not isinstance(v, bool)}


def _makers(stages: Mapping[str, _Stage], path: str) -> set[str]:
    """Names of the stages that a path hangs on."""
    maker = _maker(stages, path)
    if maker is None:
        return set()
    return {maker}.union(*(_makers(stages, dep["path"]) for dep in stages[maker].get("deps", ())))


def _maker(stages: Mapping[str, _Stage], path: str) -> str | None:
    """Name of the stage that makes a path, or a folder above it."""
    outs = ((name, out["path"]) for name, stage in stages.items() for out in stage.get("outs", ()))
    return next((name for name, out in outs if PurePosixPath(path).is_relative_to(out)), None)
