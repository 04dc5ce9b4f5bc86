"""Finished DVC experiments: what each was made from, and what came out.

What made a result is read from the ``dvc.lock`` of its commit, not from its ``params.yaml``: that also holds what no
stage reads, and says nothing of the code.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.experiments.utils import exp_refs
from dvc.scm import RevError, resolve_rev
from pydantic import TypeAdapter
from scmrepo.exceptions import SCMError
from typing_extensions import TypedDict

from landuse.core.errors import UserError, did_you_mean
from landuse.core.outputs import as_json

WORKSPACE = "workspace"
SEED, FOLD = "train.seed", "split.fold"
TILES, PREDICTIONS = "data/tiles", "data/predictions.csv"
BASELINE = "band_statistics"
_FOLDED = ("kfold", "spatial_kfold")
_LOCK, _TEST, _VAL = "dvc.lock", "metrics/evaluate.json", "metrics/train.json"  # in git
_DETAILS = "reports/evaluate.json"  # in DVC's cache

_Interval = dict[str, float | None] | None  # value, low, high


class _After(TypedDict, total=False):
    nll: _Interval


class _Calibration(TypedDict, total=False):
    after: _After


class _Test(TypedDict, total=False):
    accuracy: float | None
    macro_f1: float | None
    nll: float | None


class _Val(TypedDict, total=False):
    val_macro_f1: float


class _Details(TypedDict, total=False):
    accuracy: _Interval
    macro_f1: _Interval
    calibration: _Calibration
    baselines: dict[str, dict[str, _Interval]]


class _Out(TypedDict):
    path: str
    md5: str


class _Dep(TypedDict):
    path: str


class _Stage(TypedDict, total=False):
    outs: list[_Out]
    deps: list[_Dep]
    params: dict[str, dict[str, Any]]


class _Lock(TypedDict):
    stages: dict[str, _Stage]


_SHAPES: dict[str, type] = {_TEST: _Test, _VAL: _Val, _DETAILS: _Details}
_Read = Callable[[str], bytes | None]  # a file of one revision; None where it is absent


@dataclass(frozen=True)
class Experiment:
    """One result. The digests find ``data/tiles`` and ``data/predictions.csv`` in DVC's cache.

    settings: every param and code file that made it, but for the seed and, in a cross-validation, the fold. metrics:
    test ``accuracy``, ``macro_f1``, ``nll`` and ``val_macro_f1``; and where the details are in DVC's cache, the ends of
    their intervals over tiles as ``accuracy.low`` and ``accuracy.high``, and the baseline's, the same way, as
    ``band_statistics.accuracy``. Those that were measured.
    """

    name: str
    seed: str
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    tiles: str
    predictions: str
    fold: str = ""


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
        own = _read(repo, baseline.name or baseline.rev[:7], _committed(repo, baseline.rev))
        found += [own] if isinstance(own, Experiment) else []  # a commit without results is nothing to report
        for each in baseline.experiments or ():
            state, last = each.executor.state if each.executor else "success", each.revs[0]
            name = last.name or last.rev[:7]
            result = _read(repo, name, _committed(repo, last.rev)) if state == "success" else state
            if isinstance(result, Experiment):
                found.append(result)
            else:
                left_out[result] += 1
    if not found:
        others = f" ({counted(left_out)})" if left_out else ""
        remedy = "make one with 'dvc exp run -S train.freeze=layer3'"
        raise UserError(f"no finished experiment starts from this commit{others}: {remedy}")
    return found, left_out


def counted(reasons: Mapping[str, int]) -> str:
    """``2 failed, 1 queued``."""
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def resolve(repo: Repo, revision: str) -> str:
    """The commit of a git revision or a DVC experiment; ``workspace`` stays.

    Raises:
        UserError: there is none.
    """
    if revision == WORKSPACE:
        return revision
    try:
        return str(resolve_rev(repo.scm, revision))
    except RevError:
        known = [*repo.scm.list_branches(), *repo.scm.list_tags(), *(ref.name for ref in exp_refs(repo.scm))]
        hint = did_you_mean(revision, [*filter(None, known), WORKSPACE])
        raise UserError(f"no revision or experiment {revision!r}{hint}") from None


def at(repo: Repo, revision: str) -> Experiment:
    """The result of what ``resolve`` takes.

    Raises:
        UserError: there is no such revision, or it has no result.
    """
    commit = resolve(repo, revision)
    found = _read(repo, revision, _on_disk(Path(repo.root_dir)) if commit == WORKSPACE else _committed(repo, commit))
    if isinstance(found, str):
        remedy = "run 'dvc repro'" + ("" if revision == WORKSPACE else " there and commit dvc.lock and metrics")
        raise UserError(f"{revision!r} is no finished result ({found}): {remedy}")
    return found


def _committed(repo: Repo, revision: str) -> _Read:
    files = repo.scm.get_fs(revision)
    return lambda path: files.cat_file(path) if files.exists(path) else None


def _on_disk(root: Path) -> _Read:
    return lambda path: (root / path).read_bytes() if (root / path).is_file() else None


def cached(repo: Repo, digest: str) -> bytes | None:
    """A file of DVC's cache; None where it is absent."""
    file = repo.cache.local.oid_to_path(digest)
    content: bytes | None = repo.cache.local.fs.cat_file(file) if repo.cache.local.fs.exists(file) else None
    return content


def _read(repo: Repo, name: str, read: _Read) -> Experiment | str:
    """An experiment, or why it has no result."""
    lock = read(_LOCK)
    try:
        locked = yaml.safe_load(b"stages: {}" if lock is None else lock)
        TypeAdapter(_Lock).validate_python(locked)
    except (yaml.YAMLError, ValueError):
        return f"with a damaged {_LOCK}"
    stages: dict[str, Any] = locked["stages"]
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())}
    contents = {
        _TEST: read(_TEST),
        _VAL: read(_VAL),
        _DETAILS: cached(repo, outs[_DETAILS]) if _DETAILS in outs else None,
    }
    found: dict[str, Any] = {}
    for file, content in contents.items():
        try:
            found[file] = {} if content is None else as_json(content, _SHAPES[file])
        except ValueError:
            return f"with a damaged {file}"
    metrics = _metrics(found[_TEST], found[_VAL], found[_DETAILS])
    if not stages or not {"accuracy", "macro_f1"} <= set(metrics):
        return "without test metrics"
    if not {TILES, PREDICTIONS} <= set(outs):
        return "without predictions"
    settings: dict[str, str] = {}
    for stage in _upstream(stages, PREDICTIONS):
        for file in stage.get("params", {}).values():
            settings |= dict(_flat(file))
        for dep in stage.get("deps", ()):
            path, digest = dep["path"], dep.get("md5", "")
            if outs.get(path, digest) != digest:
                return "older than what they depend on (dvc repro)"
            if _producer(stages, path) is None:
                settings[path] = digest[:7]
    seed, folded = settings.pop(SEED, ""), settings.get("split.method") in _FOLDED
    fold = settings.pop(FOLD, "") if folded else ""
    return Experiment(name, seed, settings, metrics, outs[TILES], outs[PREDICTIONS], fold)


def _metrics(test: Mapping[str, Any], val: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, float]:
    """details: of the evaluation; the intervals and the baseline stand there alone."""
    values = {name: test.get(name) for name in ("accuracy", "macro_f1", "nll")}
    values["val_macro_f1"] = val.get("val_macro_f1")
    baseline = details.get("baselines", {}).get(BASELINE, {})
    measured = {
        "accuracy": details.get("accuracy"),
        "macro_f1": details.get("macro_f1"),
        "nll": details.get("calibration", {}).get("after", {}).get("nll"),
        **{f"{BASELINE}.{metric}": measure for metric, measure in baseline.items()},
    }
    for name, measure in measured.items():
        values |= {name if part == "value" else f"{name}.{part}": value for part, value in (measure or {}).items()}
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _upstream(stages: Mapping[str, Any], path: str) -> list[Mapping[str, Any]]:
    """The stages that a path is made by, in any order."""
    names, waiting = set(), [path]
    while waiting:
        name = _producer(stages, waiting.pop())
        if name is not None and name not in names:
            names.add(name)
            waiting += [dep["path"] for dep in stages[name].get("deps", ())]
    return [stages[name] for name in sorted(names)]


def _producer(stages: Mapping[str, Any], path: str) -> str | None:
    """The stage that makes a path or a folder above it."""
    within = {path, *map(str, PurePosixPath(path).parents)}
    makers = (name for name, stage in stages.items() for out in stage.get("outs", ()) if out["path"] in within)
    return next(makers, None)


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested tables and lists as DVC's ``-S`` names and writes them."""
    if isinstance(value, dict | list) and value:
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    else:
        yield key, value if isinstance(value, str) else json.dumps(value)
