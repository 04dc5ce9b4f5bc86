"""Finished DVC experiments: what each was made from, and what came out.

What made a result is read from the ``dvc.lock`` of its commit, not from its ``params.yaml``: that also holds what no
stage reads, and says nothing of the code.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.repo.experiments.utils import describe, exp_refs_by_baseline
from dvc.scm import RevError, resolve_rev
from pydantic import TypeAdapter, ValidationError
from scmrepo.exceptions import SCMError
from tqdm import tqdm
from typing_extensions import TypedDict

from landuse.core.errors import UserError, did_you_mean
from landuse.core.settings import flatten

WORKSPACE = "workspace"
SEED, DRAW, FOLD = "train.seed", "data.draw", "split.fold"
PREDICTIONS = "data/predictions.csv"
TILES = "data/tiles/index.csv"
BASELINE = "band_statistics"
BAR: dict[str, Any] = {"delay": 1, "disable": None, "leave": False}  # of tqdm: on a terminal, after a second
GAIN = f"{BASELINE}.gain"  # in accuracy, over the baseline of the same bands and tiles
_FOLDED = ("kfold", "spatial_kfold")
_LOCK, _TEST, _VAL = "dvc.lock", "metrics/evaluate.json", "metrics/train.json"  # in git
_DETAILS = "reports/evaluate.json"  # in DVC's cache: the intervals and the baseline
_MEASURED = {  # name here -> its measure in the details
    "accuracy": "accuracy",
    "macro_f1": "macro_f1",
    "nll": "calibration.after.nll",
    f"{BASELINE}.accuracy": f"baselines.{BASELINE}.accuracy",
    f"{BASELINE}.macro_f1": f"baselines.{BASELINE}.macro_f1",
    GAIN: f"baselines.{BASELINE}.gain",
}


class Unreadable(Exception):
    """A file of a result is absent, damaged or without numbers. The message says what, and what to do."""


class _Path(TypedDict):
    path: str


class _Out(_Path):
    md5: str


class _Stage(TypedDict, total=False):
    outs: list[_Out]
    deps: list[_Path]
    params: dict[str, dict[str, Any]]


class _Lock(TypedDict):
    """dvc.lock."""

    stages: dict[str, _Stage]


@dataclass
class Files:
    """The files of a revision.

    Its dvc.lock says where they are: ``DVCFileSystem`` would read dvc.yaml, too, which takes DVC five times as long as
    all the rest. git: reads what git has, cached: what DVC's cache has by a digest; None where it is absent.
    """

    git: Callable[[str], bytes | None]
    cached: Callable[[str], bytes | None]

    @cached_property
    def stages(self) -> dict[str, _Stage]:
        """What dvc.lock says of each; raises ValueError where it is damaged."""
        content = self.git(_LOCK)
        if content is None:
            return {}
        try:
            locked: _Lock = yaml.load(content, yaml.CSafeLoader)
            TypeAdapter(_Lock).validate_python(locked)
        except (yaml.YAMLError, ValidationError):
            raise ValueError(_LOCK) from None
        return locked["stages"]

    @cached_property
    def digests(self) -> dict[str, str]:
        """Of each output."""
        return {out["path"]: out["md5"] for stage in self.stages.values() for out in stage.get("outs", ())}

    @cached_property
    def _made(self) -> dict[str, str]:
        """Stage that makes each output."""
        return {out["path"]: name for name, stage in self.stages.items() for out in stage.get("outs", ())}

    def maker(self, path: str) -> str | None:
        """Name of the stage that makes a path, or a folder above it."""
        above = map(str, (PurePosixPath(path), *PurePosixPath(path).parents))
        return next((self._made[each] for each in above if each in self._made), None)

    def makers(self, path: str) -> set[str]:
        """Names of the stages that a path hangs on."""
        found: set[str] = set()
        paths = [path]
        while paths:
            maker = self.maker(paths.pop())
            if maker is not None and maker not in found:
                found.add(maker)
                paths += [dep["path"] for dep in self.stages[maker].get("deps", ())]
        return found

    def read(self, path: str) -> bytes:
        """Return an output, or a file of one that is a folder; raises Unreadable."""
        folder, _, name = path.rpartition("/")
        if path in self.digests:
            return self._read(path, self.digests[path])
        listed: list[dict[str, str]] = json.loads(self._read(folder, self.digests[folder]))
        return self._read(path, next(each["md5"] for each in listed if each["relpath"] == name))

    def _read(self, path: str, digest: str) -> bytes:
        content = self.cached(digest)
        if content is None:
            raise Unreadable(f"{path} is not in DVC's cache (try dvc pull)")
        return content


def of(repo: Repo, commit: str) -> Files:
    """The files of a commit, or of ``workspace``; what is damaged in DVC's cache is Unreadable."""
    git, root = (repo.fs, f"{repo.root_dir}/") if commit == WORKSPACE else (repo.scm.get_fs(commit), "")
    store = repo.cache.local

    def cached(digest: str) -> bytes | None:
        file = store.oid_to_path(digest)
        content: bytes | None = store.fs.cat_file(file) if store.fs.exists(file) else None
        if content is not None and hashlib.md5(content).hexdigest() != digest.partition(".")[0]:
            raise Unreadable(f"{file} of DVC's cache is damaged: remove it, then try dvc pull or dvc repro -f")
        return content

    return Files(lambda path: git.cat_file(root + path) if git.exists(root + path) else None, cached)


@dataclass(frozen=True)
class Experiment:
    """One result.

    seed: of the training, with the draw of its fewer tiles where that is not 0: ``42, draw 3``. settings: every param
    and code file that made its predictions, but for the seed, the draw and, in a cross-validation, the fold. metrics:
    those that were measured of test ``accuracy``, ``macro_f1``, ``nll`` and ``val_macro_f1``; and where the details are
    at hand, the ends of their intervals over tiles as ``accuracy.low`` and ``accuracy.high``, and the
    baseline's, the same way, as ``band_statistics.accuracy``; ``band_statistics.gain`` is what the network adds to it.
    """

    name: str
    seed: str
    fold: str
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    files: Files


@contextmanager
def repository() -> Iterator[Repo]:
    """The DVC repository around the current folder; what DVC and git cannot do is the user's to mend."""
    try:
        with Repo() as repo:
            yield repo
    except (DvcException, SCMError) as error:
        raise UserError(f"no experiments to read: {error}") from error


def finished(repo: Repo) -> tuple[list[Experiment], Counter[str]]:
    """Return the results that start from the current commit, its own first, then the newest; and what has none.

    The second are counts by reason. ``Repo.experiments.show`` would find the same, but resolves dvc.yaml for each
    experiment, the queued ones too, which takes about a second each.

    Raises UserError: there is no result.
    """
    head, queue = repo.scm.get_rev(), repo.experiments.celery_queue
    waiting = {
        "running": queue.iter_active(),
        "queued": queue.iter_queued(),
        "failed": (entry for entry, _ in queue.iter_failed()),
    }
    left_out = Counter(state for state, entries in waiting.items() for each in entries if each.baseline_rev == head)
    own = result(describe(repo.scm, [head], logging.getLogger(__name__))[head] or head[:7], of(repo, head))
    found = [own] if isinstance(own, Experiment) else []  # a commit without results is nothing to report
    names = {repo.scm.get_ref(str(ref)): ref.name for ref in exp_refs_by_baseline(repo.scm, {head}).get(head, [])}
    newest_first = sorted(names, key=lambda each: (repo.scm.resolve_commit(each).commit_time, each), reverse=True)
    for commit in tqdm(newest_first, "experiments", **BAR):
        made = result(names[commit], of(repo, commit))
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


def resolve(repo: Repo, revision: str) -> str:
    """The commit of a git revision or a DVC experiment; ``workspace`` stays. Raises UserError: there is none."""
    try:
        return revision if revision == WORKSPACE else str(resolve_rev(repo.scm, revision))
    except RevError:
        names = [name for found in repo.experiments.ls(all_commits=True).values() for name, _ in found]
        hint = did_you_mean(revision, [*repo.scm.list_branches(), *repo.scm.list_tags(), *names, WORKSPACE])
        raise UserError(f"no revision or experiment {revision!r}{hint}") from None


def at(repo: Repo, revision: str) -> Experiment:
    """The result of what ``resolve`` takes. Raises UserError: there is no such revision, or it has no result."""
    found = result(revision, of(repo, resolve(repo, revision)))
    if isinstance(found, str):
        remedy = "run 'dvc repro'" + ("" if revision == WORKSPACE else " there and commit dvc.lock and metrics")
        raise UserError(f"{revision!r} is no finished result ({found}): {remedy}")
    return found


def result(name: str, files: Files) -> Experiment | str:
    """An experiment, or why it has no result."""
    try:
        stages, metrics = files.stages, _metrics(files)
    except ValueError as error:
        return f"with a damaged {error}"
    if not stages or not {"accuracy", "macro_f1"} <= metrics.keys():
        return "without test metrics"
    if files.maker(PREDICTIONS) is None or files.maker(TILES) is None:
        return "without predictions"
    settings: dict[str, Any] = {}
    for made_by in sorted(files.makers(PREDICTIONS)):
        for table in stages[made_by].get("params", {}).values():
            settings |= flatten(_listed(table))
        for dep in stages[made_by].get("deps", ()):
            path, digest = dep["path"], str(dep.get("md5", ""))
            if files.digests.get(path, digest) != digest:
                return "older than what they depend on (dvc repro)"
            if files.maker(path) is None:
                settings[path] = digest[:7]
    written = {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}
    seed, draw, folded = written.pop(SEED, ""), written.pop(DRAW, "0"), written.get("split.method") in _FOLDED
    if draw != "0":
        seed += f", draw {draw}"
    return Experiment(name, seed, written.pop(FOLD, "") if folded else "", written, metrics, files)


def _listed(content: Any) -> Any:
    """Write lists of plain values as ``-S`` takes them, ``[ndvi,dem]``: each is one setting, not one an entry."""
    if isinstance(content, dict):
        return {key: _listed(value) for key, value in content.items()}
    if not isinstance(content, list):
        return content
    if any(isinstance(value, dict | list) for value in content):
        return [_listed(value) for value in content]
    return f"[{','.join(value if isinstance(value, str) else json.dumps(value) for value in content)}]"


def _metrics(files: Files) -> dict[str, float]:
    """The numbers that were measured; raises ValueError with the name of a file that is damaged."""
    numbers: dict[str, dict[str, float]] = {}
    for path in (_TEST, _VAL, *({_DETAILS} & files.digests.keys())):
        try:
            content = files.git(path) if path != _DETAILS else files.cached(files.digests[path])
            leaves = {} if content is None else flatten(json.loads(content))
        except (ValueError, Unreadable):
            raise ValueError(path) from None
        numbers[path] = {key: float(value) for key, value in leaves.items() if type(value) in (int, float)}
    found = {key: value for key, value in numbers[_TEST].items() if key in ("accuracy", "macro_f1", "nll")}
    found |= {key: value for key, value in numbers[_VAL].items() if key == "val_macro_f1"}
    for name, place in _MEASURED.items():
        ends = {name: f"{place}.value", f"{name}.low": f"{place}.low", f"{name}.high": f"{place}.high"}
        details = numbers.get(_DETAILS, {})
        found |= {end: details[key] for end, key in ends.items() if key in details}
    return found
