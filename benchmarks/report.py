"""From measured runs to results.md: medians, extrapolation, ratios to the fastest peer, and whether a target is met.

A result holds, for a workload: setting (train, val: tiles; classes, data, threads), machine, revision and runs. A run
is a ``measured.Run`` with contender, repetition, asked (epochs to count), times (how often the same) and copies (of
every tile).
"""

import statistics
from collections.abc import Iterable
from typing import Any

Result = dict[str, Any]
TITLES = {
    "W1": "Full fine-tune, ResNet-50: one epoch",
    "W2": "Layers 1-3 frozen, ResNet-50: 30 epochs",
    "W3": "Head only, ResNet-50: 5 epochs without augmentation, the whole process",
    "W4": "A sweep of 8 variants (4 learning rates x 2 schedules), layers 1-3 frozen, ResNet-50, 10 epochs each",
    "W5": "From process start to 98 % on ten classes, EfficientNet-Lite0 from ImageNet",
    "W6": "Scaling: a small network on 1, 4 and 16 times the tiles",
}
FASTER = {  # workload, contender -> how many times as fast as the fastest peer it must be
    ("W1", "landuse"): 1.6,
    ("W2", "landuse"): 2.2,
    ("W2", "landuse, cached"): 6.0,
    ("W3", "landuse"): 10.0,
    ("W4", "landuse"): 12.0,
    ("W5", "landuse"): 4.0,
}
WITHIN = {"W5": 180.0}  # seconds
GOAL = 0.98  # accuracy of W5
TOLERANCE = 1.1  # W6: time a tile and memory may grow by so much from the fewest tiles to the most
FULL = 10_850 + 2_325  # tiles of City/Farmland, training and validation
_NOTES = {
    "W1": "An epoch trains and validates; the median of all but the first of each run.",
    "W2": "Start-up + first epoch + the rest; epochs beyond those measured count as the median of all but the first. "
    "The cached run measures all 30 from an empty cache.",
    "W4": "landuse: all 8 runs, one after the other, with one cache that is empty at first. Peers: one variant, "
    "extrapolated to 10 epochs with its start-up, times 8. Accuracy: of landuse's last variant.",
    "W5": "landuse starts from the image files: decoding, checks, labels, split and audit are in its time. A peer's "
    "time starts with its script, on the files already split. Who is stopped took more than the time shown.",
    "W6": "Memory held: without pages of mapped files, which the system drops when it needs room.",
}


def total(run: Result, scale: float = 1.0) -> float:
    """Seconds of a whole process with as many epochs as were asked, on ``scale`` times the tiles.

    What a peer's first epoch takes longer than its others is warm-up (workers start) and does not grow with the
    tiles; landuse's does (it fills a cache).
    """
    epochs, measured = run["epochs"], sum(run["epochs"])
    later = statistics.median(epochs[1:])
    warm_up = 0.0 if run["contender"].startswith("landuse") else max(0.0, epochs[0] - later)
    work = measured - warm_up + max(0, run["asked"] - len(epochs)) * later
    return run["times"] * (run["wall"] - measured + warm_up + scale * work)


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
    if workload in ("W1", "W6"):
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


def fastest_peer(workload: str, runs: Iterable[Result], scale: float = 1.0) -> tuple[str, float] | None:
    peers = {name: held for name, held in by_contender(runs).items() if not name.startswith("landuse")}
    times = {name: middle(workload, held, scale) for name, held in peers.items()}
    known = {name: value for name, value in times.items() if value is not None}
    return min(known.items(), key=lambda item: item[1]) if known else None


def verdict(value: float, target: float, more_is_better: bool) -> str:
    return "reached" if (value >= target if more_is_better else value <= target) else "**missed**"


def checks(workload: str, result: Result) -> list[list[str]]:
    """Rows of the table of targets: what, measured, target, verdict."""
    if workload == "W6":
        return _scaling_checks(result)
    runs, rows = by_contender(result["runs"]), []
    peer = fastest_peer(workload, result["runs"])
    for (of, name), target in FASTER.items():
        if of != workload:
            continue
        own = middle(workload, runs.get(name, []))
        what = f"{workload} {name}: times as fast as the fastest peer"
        if own is None or peer is None:
            said = "not measured" if name not in runs or peer is None else "**missed**"
            rows.append([what, "-", f"at least {target:g}", said])
            continue
        late = any(run["ended"] == "late" for run in runs[peer[0]])
        ratio = peer[1] / own
        shown = f"{'more than ' if late else ''}{ratio:.2f} ({peer[0]})"
        rows.append([what, shown, f"at least {target:g}", verdict(ratio, target, True)])
        if workload in WITHIN:
            limit = WITHIN[workload]
            rows.append([f"{workload} {name}: seconds", f"{own:.0f}", f"under {limit:g}", verdict(own, limit, False)])
        least = min(_peak(held) for other, held in runs.items() if not other.startswith("landuse") and held)
        memory = _peak(runs[name]) / least
        what = f"{workload} {name}: peak memory / the most frugal peer's"
        rows.append([what, f"{memory:.2f}", "at most 1", verdict(memory, 1, False)])
    return rows


def _scaling_checks(result: Result) -> list[list[str]]:
    own = [run for run in result["runs"] if run["contender"] == "landuse" and run["ended"] != "failed"]
    if not own:
        return [["W6 landuse: time a tile, memory held", "-", f"at most {TOLERANCE:g}", "**missed**"]]
    few, many = min(run["copies"] for run in own), max(run["copies"] for run in own)

    def growth(value: Any) -> float:
        least, most = (statistics.median(value(r) for r in own if r["copies"] == n) for n in (few, many))
        return most / least

    found = {
        "time a tile": growth(lambda run: seconds("W6", run) / run["copies"]),
        "memory held": growth(lambda run: run["held"]),
    }
    most = f"at most {TOLERANCE:g}"
    return [
        [f"W6 landuse: {what} at {many}x / at {few}x", f"{value:.2f}", most, verdict(value, TOLERANCE, False)]
        for what, value in found.items()
    ]


def _peak(runs: list[Result]) -> float:
    return statistics.median(run["peak"] for run in runs)


def render(results: dict[str, Result]) -> str:
    """The page of results, in Markdown."""
    lines = [
        "# Benchmarks: this project beside its peers",
        "",
        "Made by `make bench` (`benchmarks/compare.py`) from `results.json`. All contenders get the same tiles, split, "
        "network, batch of 64 and number of epochs; repetitions alternate (A B C A B C), and medians are shown. Peers "
        "(`benchmarks/peers/`) decode with two workers and compute in fp32, as their documentation teaches; landuse "
        "runs its own stages with the defaults of `params.yaml`. Memory is the most that a process and its "
        "workers had, shared pages counted once.",
        "",
        "## Targets",
        "",
        *_table(["what", "measured", "target", ""], [row for w in sorted(results) for row in checks(w, results[w])]),
    ]
    for workload in sorted(results):
        lines += ["", *_section(workload, results[workload])]
    return "\n".join(lines) + "\n"


def _section(workload: str, result: Result) -> list[str]:
    setting, machine = result["setting"], result["machine"]
    facts = (
        f"{setting['train']:,} training and {setting['val']:,} validation tiles, {setting['classes']} classes, of "
        f"{setting['data']}; {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB; threads: "
        f"{setting['threads']}; revision {result['revision']}; "
        + ", ".join(f"{name} {version}" for name, version in sorted(result["versions"].items()))
    )
    speeds = [run["calibration"] for run in result["runs"] if "calibration" in run]
    if speeds:
        facts += f"; the machine itself, before each run: {statistics.median(speeds):.0f} tiles/s "
        facts += f"({min(speeds):.0f} to {max(speeds):.0f}) of `calibration.py`, which says how far it may be compared"
    body = _scaling_rows(result) if workload == "W6" else _rows(workload, result)
    note = [_NOTES[workload], ""] if workload in _NOTES else []
    return [f"## {workload}: {TITLES[workload]}", "", *note, *body, "", facts]


def _rows(workload: str, result: Result) -> list[str]:
    runs = by_contender(result["runs"])
    setting = result["setting"]
    scale = FULL / (setting["train"] + setting["val"])
    scaled = workload != "W5" and scale > 1.01
    peer, peer_full = fastest_peer(workload, result["runs"]), fastest_peer(workload, result["runs"], scale)
    head = [
        "contender",
        "seconds",
        "range",
        "x fastest peer",
        "first epoch",
        "start-up",
        "peak MiB",
        "held MiB",
        "accuracy",
        "runs",
    ]
    rows = []
    for name, held in runs.items():
        if not held:
            rows.append([name, "failed"])
            continue
        own = middle(workload, held)
        values = [value for run in held if (value := seconds(workload, run)) is not None]
        late = "> " if any(run["ended"] == "late" for run in held) else ""
        row = [
            name,
            f"{late}{own:.1f}" if own is not None else "not reached",
            f"{min(values):.1f}-{max(values):.1f}" if values else "-",
            f"{peer[1] / own:.2f}" if own is not None and peer else "-",
            _shown([run["epochs"][0] for run in held if run["epochs"]], ".1f"),
            f"{statistics.median(run['ready'] for run in held):.1f}",
            f"{_peak(held):,.0f}",
            f"{statistics.median(run['held'] for run in held):,.0f}",
            _shown([run["accuracy"][-1] for run in held if run["accuracy"]], ".4f"),
            str(len(held)),
        ]
        if scaled:
            full = middle(workload, held, scale)
            row += [f"{full:,.0f}", f"{peer_full[1] / full:.2f}" if peer_full else "-"]
        rows.append(row)
    if scaled:
        head += [f"seconds at {FULL:,} tiles, extrapolated", "x fastest peer there"]
    return _table(head, rows)


def _shown(values: list[float], form: str) -> str:
    """The median, or a dash: a contender may be stopped before its first epoch."""
    return format(statistics.median(values), form) if values else "-"


def _scaling_rows(result: Result) -> list[str]:
    groups: dict[tuple[str, int], list[Result]] = {}
    for run in result["runs"]:
        if run["ended"] != "failed":
            groups.setdefault((run["contender"], run["copies"]), []).append(run)
    base = result["setting"]["train"] + result["setting"]["val"]
    rows = []
    for (name, copies), held in sorted(groups.items()):
        epoch = middle("W6", held) or 0.0
        rows.append(
            [name, f"{copies}x", f"{copies * base:,}", f"{epoch:.2f}", f"{1000 * epoch / (copies * base) * 1000:.0f}",
             f"{_peak(held):,.0f}", f"{statistics.median(run['held'] for run in held):,.0f}"]
        )  # fmt: skip
    return _table(
        ["contender", "copies", "tiles", "seconds an epoch", "microseconds a tile", "peak MiB", "held MiB"], rows
    )


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table; short rows are filled up."""
    filled = [row + ["-"] * (len(head) - len(row)) for row in rows]
    return ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *filled]]
