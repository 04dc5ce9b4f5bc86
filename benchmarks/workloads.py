"""The workloads of the benchmark: what this project and each peer are asked to do in them."""

import itertools
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arena import PREPARE, Arena, environment, write_params
from measured import Run, measure

HERE = Path(__file__).resolve().parent
PEERS = {"plain": "plain.py", "torchgeo": "with_torchgeo.py", "timm": "with_timm.py", "fastai": "with_fastai.py"}
PRESET = {"W5": "all_classes"}  # the others: city_farmland
SMALL = "test_resnet"  # timm's: computes so little that the data path dominates
GOAL = 0.98  # validation accuracy of W5
_PEER_EPOCHS = 8  # of W5: a one-cycle AdamW fine-tune of this network gets there in so many
_RANDOM = {
    "train.recipe": "full",
    "model.weights": "none",
    "recipes.full.phases.0.lr_factors": {},  # one learning rate for all, as the peers have
    "recipes.full.phases.0.patience": None,
    "collapse.action": "warn",  # a random trunk may look collapsed
}
_RESNET = _RANDOM | {"model.backbone": "resnet50"}
_FROZEN = {"train.freeze": "layer3"}
_HEAD = _RESNET | {"train.freeze": "backbone", "train.augment": "none"}
_SWEEP = [
    {"train.lr": lr, "train.scheduler": scheduler}
    for lr, scheduler in itertools.product([1e-4, 3e-4, 1e-3, 3e-3], ["step", "cosine"])
]


@dataclass(frozen=True)
class Entry:
    """A contender of a workload.

    variants: of landuse, changes of params.yaml, run one after the other. peer: arguments of a peer's script.
    epochs: to measure. asked: to count; what is not measured is extrapolated. times: the same again, so often.
    """

    name: str
    epochs: int
    asked: int
    variants: list[dict[str, Any]] = field(default_factory=list)
    peer: list[str] = field(default_factory=list)
    times: int = 1


def entries(workload: str, peers: list[str], epochs: int, recipe: str) -> list[Entry]:
    """Who takes part. epochs: to measure where a workload is extrapolated. recipe: landuse's in W5."""

    def ours(asked: int, measured: int, *variants: dict[str, Any], name: str = "landuse") -> Entry:
        return Entry(name, measured, asked, [v | {"train.epochs": measured} for v in variants])

    def others(asked: int, measured: int, *arguments: str, times: int = 1) -> list[Entry]:
        return [Entry(name, measured, asked, peer=list(arguments), times=times) for name in peers]

    if workload == "W1":
        return [ours(epochs, epochs, _RESNET), *others(epochs, epochs, "--flips")]
    if workload == "W2":
        frozen = _RESNET | _FROZEN
        return [
            ours(30, epochs, frozen | {"runtime.cache": False}),
            ours(30, 30, frozen | {"runtime.cache": True}, name="landuse, cached"),
            *others(30, epochs, "--freeze", "layer3", "--flips"),
        ]
    if workload == "W3":
        return [ours(5, 5, _HEAD), *others(5, 5, "--freeze", "backbone")]
    if workload == "W4":
        variants = [_RESNET | _FROZEN | {"runtime.cache": True} | one for one in _SWEEP]
        return [
            ours(10 * len(_SWEEP), 10, *variants),
            *others(10, epochs, "--freeze", "layer3", "--flips", times=len(_SWEEP)),
        ]
    if workload == "W5":
        peer = ["--backbone", "efficientnet_lite0", "--flips", "--one-cycle"]
        return [Entry("landuse", 0, 0, [{"train.recipe": recipe}]), *others(_PEER_EPOCHS, _PEER_EPOCHS, *peer)]
    small = ours(epochs, epochs, _RANDOM | {"model.backbone": SMALL})
    return [small, *(e for e in others(epochs, epochs, "--flips", "--backbone", SMALL) if e.name == "plain")]


def contest(entry: Entry, arena: Arena, seed: int, from_files: bool, limit: float) -> Run:
    """Let one contender run, and sum up its variants.

    from_files: to W5's goal, landuse from the files on, so that its clock covers decoding, labels and split too.
    limit: seconds before it is stopped.
    """
    until = GOAL if from_files else 2.0
    if entry.peer:
        script = str(HERE / "peers" / PEERS[entry.name])
        arguments = [*entry.peer, "--epochs", str(entry.epochs), "--seed", str(seed)]
        command = [str(HERE / ".venv/bin/python"), script, str(arena.peers), *arguments]
        return measure([command], arena.peers.parent, environment(), until, limit)
    shutil.rmtree(arena.ours / ".landuse", ignore_errors=True)  # what earlier runs cached
    return _sum(list(_ours(entry, arena, seed, from_files, until, limit)))


def _ours(entry: Entry, arena: Arena, seed: int, from_files: bool, until: float, limit: float) -> Iterator[Run]:
    stages = ["train"]
    if from_files:
        stages = [*PREPARE, "train"]
        shutil.rmtree(arena.ours / "data")
    commands = [[sys.executable, f"stages/{stage}.py"] for stage in stages]
    for variant in entry.variants:
        write_params(arena.ours, arena.changes | variant | {"train.seed": seed})
        run = measure(commands, arena.ours, environment(PYTHONPATH="src"), until, limit)
        yield run
        if run.ended == "failed":
            return


def _sum(runs: list[Run]) -> Run:
    return Run(
        ready=sum(run.ready for run in runs),
        epochs=[seconds for run in runs for seconds in run.epochs],
        accuracy=[accuracy for run in runs for accuracy in run.accuracy],
        wall=sum(run.wall for run in runs),
        peak=max(run.peak for run in runs),
        held=max(run.held for run in runs),
        ended=runs[-1].ended,
    )
