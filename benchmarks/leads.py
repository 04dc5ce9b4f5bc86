"""From measured runs to seconds: what a workload compares, who is fastest of each kind, and who is measured again.

A run is a ``measured.Run`` with contender, repetition, asked (epochs to count), times (how often the same) and copies
(of every tile).
"""

import statistics
from collections.abc import Callable, Iterable
from typing import Any

Result = dict[str, Any]
GOAL = 0.98  # accuracy of W5
EPOCH = ("W1", "W6")  # workloads that compare an epoch
MARGIN = 1.15  # who is so many times as slow as the fastest of its kind is not measured again
ONCE = "the fastest expert who computes features once"
EXPERT = "the fastest expert, or peer in bf16"
PEER = "the fastest peer as it is taught"
RIVALS: dict[str, Callable[[str], bool]] = {  # kinds of contenders beside landuse, by their names
    ONCE: lambda name: "features once" in name,
    EXPERT: lambda name: "," in name and "features once" not in name,
    PEER: lambda name: "," not in name,
}


def total(run: Result, scale: float = 1.0) -> float:
    """Seconds of a whole process with as many epochs as were asked, on ``scale`` times the tiles, without compiling.

    What a peer's first epoch takes longer than its others is warm-up (workers start) and does not grow with the
    tiles; landuse's does (it fills a cache), and the expert's (who decodes all tiles in it).
    """
    epochs, measured = run["epochs"], sum(run["epochs"])
    later = statistics.median(epochs[1:])
    warm_up = 0.0 if run["contender"].startswith(("landuse", "expert")) else max(0.0, epochs[0] - later)
    work = measured - warm_up + max(0, run["asked"] - len(epochs)) * later
    return run["times"] * (run["wall"] - run.get("wait", 0.0) - measured + warm_up + scale * work)


def reached(run: Result) -> float | None:
    """Seconds from the start to the first epoch that is good enough for W5."""
    for number, accuracy in enumerate(run["accuracy"], 1):
        if accuracy >= GOAL:
            return run["ready"] + sum(run["epochs"][:number])
    return None


def seconds(workload: str, run: Result, scale: float = 1.0) -> float | None:
    """What a workload compares. None: the goal was not reached."""
    if workload == "W5":
        return run["wall"] if run["ended"] == "late" else reached(run)
    if workload[:2] in EPOCH:
        return scale * statistics.median(run["epochs"][1:])
    return total(run, scale)


def by_contender(runs: Iterable[Result]) -> dict[str, list[Result]]:
    """The runs of each contender that did not fail."""
    found: dict[str, list[Result]] = {}
    for run in runs:
        held = found.setdefault(run["contender"], [])
        if run["ended"] != "failed":
            held.append(run)
    return found


def middle(workload: str, runs: list[Result], scale: float = 1.0) -> float | None:
    """Median seconds of a contender; None if it has no run, or one that did not reach the goal."""
    values = [seconds(workload, run, scale) for run in runs]
    known = [value for value in values if value is not None]
    return statistics.median(known) if known and len(known) == len(values) else None


def wait(runs: list[Result]) -> float:
    """Seconds that torch.compile took the first time, with no code in its cache."""
    return max(run.get("wait", 0.0) for run in runs)


def fastest(
    workload: str,
    runs: Iterable[Result],
    among: Callable[[str], bool] = lambda _: True,
    scale: float = 1.0,
    waiting: bool = False,
) -> tuple[str, float] | None:
    """Name and seconds of the fastest rival of landuse of a kind. waiting: whether the wait for compiling counts."""
    rivals = {n: held for n, held in by_contender(runs).items() if not n.startswith("landuse") and among(n)}
    times = {name: middle(workload, held, scale) for name, held in rivals.items()}
    known = {name: own + waiting * wait(rivals[name]) for name, own in times.items() if own is not None}
    return min(known.items(), key=lambda item: item[1]) if known else None


def in_the_running(workload: str, runs: list[Result]) -> set[str]:
    """Names of those to measure again: landuse, and of each kind of rivals those near its fastest, if not stopped."""
    kept = {run["contender"] for run in runs if run["contender"].startswith("landuse")}
    ended = [run for run in runs if run["ended"] != "late"]
    for among in RIVALS.values():
        best = fastest(workload, ended, among)
        for name, held in by_contender(ended).items():
            own = middle(workload, held)
            if best and own and among(name) and own <= MARGIN * best[1]:
                kept.add(name)
    return kept
