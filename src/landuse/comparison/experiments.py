"""Finished DVC experiments: what each was made from, and what came out.

What made a result is read from the ``dvc.lock`` of its commit, not from its ``params.yaml``: that also holds what no
stage reads, and says nothing of the code.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml
from dvc.repo import Repo

SEED = "train.seed"
TILES, PREDICTIONS = "data/tiles", "data/predictions.csv"
_LOCK = "dvc.lock"
_FILES = {"test": "metrics/evaluate.json", "val": "metrics/train.json"}


@dataclass(frozen=True)
class Experiment:
    """One result. The digests find ``data/tiles`` and ``data/predictions.csv`` in DVC's cache.

    settings: every param and code file that made it, but for the seed. metrics: test ``accuracy``, ``macro_f1`` and
    ``nll``, and ``val_macro_f1``; those that were measured.
    """

    name: str
    seed: str
    settings: Mapping[str, str]
    metrics: Mapping[str, float]
    tiles: str
    predictions: str


def finished(repo: Repo) -> tuple[list[Experiment], Counter[str]]:
    """Return the results in ``dvc exp show``, the commit's own first, and counts of what has none, by reason."""
    found, left_out = [], Counter[str]()
    for baseline in repo.experiments.show(hide_workspace=True):
        own = _read(repo, baseline)
        found += [own] if isinstance(own, Experiment) else []  # a commit without results is nothing to report
        for each in baseline.experiments or ():
            state = each.executor.state if each.executor else "success"
            result = _read(repo, each.revs[0]) if state == "success" else state
            if isinstance(result, Experiment):
                found.append(result)
            else:
                left_out[result] += 1
    return found, left_out


def _read(repo: Repo, state: Any) -> Experiment | str:
    """An experiment, or why it has no result. state: DVC's ``ExpState``."""
    metrics = _metrics(state.data.metrics) if state.data else {}
    files = repo.scm.get_fs(state.rev)
    if not {"accuracy", "macro_f1"} <= set(metrics) or not files.exists(_LOCK):
        return "without test metrics"
    stages = yaml.safe_load(files.cat_file(_LOCK))["stages"]
    outs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())}
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
    seed = settings.pop(SEED, "")
    return Experiment(state.name or state.rev[:7], seed, settings, metrics, outs[TILES], outs[PREDICTIONS])


def _metrics(files: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    def content(part: str) -> Mapping[str, Any]:
        data = files.get(_FILES[part], {}).get("data")
        return data if isinstance(data, dict) else {}

    test, val = content("test"), content("val").get("val", {})
    found = {name: test.get(name) for name in ("accuracy", "macro_f1", "nll")} | {"val_macro_f1": val.get("macro_f1")}
    values = {name: of["value"] if isinstance(of, dict) else of for name, of in found.items()}
    return {name: float(value) for name, value in values.items() if value is not None}


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
