"""The workloads of the benchmark: what this project and each peer are asked to do in them."""

import itertools
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
import yaml
from arena import PREPARE, ROOT, Arena, environment, write_params
from measured import Run, measure

from landuse.training import precision

HERE = Path(__file__).resolve().parent
PEERS = {
    "expert": "expert.py",
    "plain": "plain.py",
    "torchgeo": "with_torchgeo.py",
    "timm": "with_timm.py",
    "fastai": "with_fastai.py",
}
BF16 = precision.resolve("auto", torch.device("cpu")) == "bf16"  # whether the processor computes in it
_SWITCHES = {  # words of a contender's name -> arguments of its script
    "fp32": [],
    "bf16": ["--precision", "bf16"],
    "bf16 weights": ["--bf16-weights"],
    "channels last": ["--channels-last"],
    "compiled": ["--compile"],
    "features once": ["--once"],
}
PRESET = {"W5": "all_classes"}  # the others: city_farmland
SMALL = "test_resnet"  # timm's: computes so little that the data path dominates
_ONCE = ("W2", "W3", "W4")  # where an expert may also compute frozen stages once
_SIMPLE = ("expert", "plain")  # show enough in W6
GOAL = 0.98  # validation accuracy of W5
_RANDOM = {
    "train.recipe": "full",
    "model.weights": "none",
    "recipes.full.phases.0.lr_factors": {},  # one learning rate for all, as the peers have
    "recipes.full.phases.0.patience": None,
    "collapse.action": "warn",  # a random trunk may look collapsed
}
_RESNET = _RANDOM | {"model.backbone": "resnet50"}
_LITE0 = _RANDOM | {"model.backbone": "efficientnet_lite0", "model.weights": "imagenet"}
_NETWORKS = {"W1": _RESNET, "W1-lite0": _LITE0, "W2": _RESNET, "W2-lite0": _LITE0}
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


def contenders(workload: str) -> list[str]:
    """Names of all who may take part beside landuse; the loop of the expert in every variant."""
    loops = [[], ["channels last"], ["channels last", "compiled"]]
    if workload[:2] in _ONCE:
        loops += [["features once"], ["channels last", "features once"]]
    formats = ["fp32", "bf16"] if BF16 else ["fp32"]
    experts = [", ".join(["expert", number, *loop]) for number, loop in itertools.product(formats, loops)]
    half = ["plain, bf16", "torchgeo, bf16", "torchgeo, bf16 weights", "timm, bf16"] if BF16 else []
    return [*experts, *(name for name in PEERS if name != "expert"), *half]


def entries(workload: str, asked_for: list[str], epochs: int, recipe: str) -> list[Entry]:
    """Who takes part.

    asked_for: patterns of names. epochs: to measure where a workload is extrapolated. recipe: of all in W5; it has one
    phase and a one-cycle schedule.
    """

    def ours(asked: int, measured: int, *variants: dict[str, Any], name: str = "landuse") -> Entry:
        return Entry(name, measured, asked, [v | {"train.epochs": measured} for v in variants])

    def others(asked: int, measured: int, *arguments: str, times: int = 1) -> list[Entry]:
        found = []
        for name in contenders(workload):
            if any(fnmatch(name, pattern) for pattern in asked_for):
                peer = [*arguments, *(switch for word in name.split(", ")[1:] for switch in _SWITCHES[word])]
                again = (1, times) if name.startswith("expert") else (times, 1)  # in one process, tiles in memory
                found.append(Entry(name, measured, asked * again[1], peer=peer, times=again[0]))
        return found

    if workload in _NETWORKS:
        network = _NETWORKS[workload]
        peer = ["--backbone", network["model.backbone"], "--flips"]
        if workload.startswith("W1"):
            return [ours(epochs, epochs, network), *others(epochs, epochs, *peer)]
        return [
            ours(30, epochs, network | _FROZEN | {"runtime.cache": False}),
            ours(30, 30, network | _FROZEN | {"runtime.cache": True}, name="landuse, cached"),
            *others(30, epochs, *peer, "--freeze", "layer3"),
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
        (phase,) = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["recipes"][recipe]["phases"]
        peer = ["--backbone", "efficientnet_lite0", "--flips", "--one-cycle", "--freeze", phase["freeze"]]
        peer += ["--lr", str(phase["lr"]), "--weight-decay", str(phase["weight_decay"])]
        return [Entry("landuse", 0, 0, [{"train.recipe": recipe}]), *others(phase["epochs"], phase["epochs"], *peer)]
    small = ours(epochs, epochs, _RANDOM | {"model.backbone": SMALL})
    simple = [e for e in others(epochs, epochs, "--flips", "--backbone", SMALL) if e.name.startswith(_SIMPLE)]
    return [small, *simple]


def contest(entry: Entry, arena: Arena, seed: int, from_files: bool, limit: float) -> Run:
    """Let one contender run, and sum up its variants.

    from_files: to W5's goal, landuse from the files on, so that its clock covers decoding, labels and split too.
    limit: seconds before it is stopped.
    """
    until = GOAL if from_files else 2.0
    if entry.peer:
        script = str(HERE / "peers" / PEERS[entry.name.split(",")[0]])
        arguments = [*entry.peer, "--epochs", str(entry.epochs), "--seed", str(seed)]
        command = [str(HERE / ".venv/bin/python"), script, str(arena.peers), *arguments]
        env = environment(TORCHINDUCTOR_CACHE_DIR=str(arena.peers.parent / "compiled"))  # empty in the first repetition
        return measure([command], arena.peers.parent, env, until, limit)
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
        wait=sum(run.wait for run in runs),
        epochs=[seconds for run in runs for seconds in run.epochs],
        accuracy=[accuracy for run in runs for accuracy in run.accuracy],
        wall=sum(run.wall for run in runs),
        peak=max(run.peak for run in runs),
        held=max(run.held for run in runs),
        ended=runs[-1].ended,
    )
