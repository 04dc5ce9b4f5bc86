"""From measured runs to results.md: medians, extrapolation, ratios to the fastest rivals, and whether a target is met.

A result holds, for a workload: setting (train, val: tiles; classes, data, threads), machine, revision and runs, as
``leads`` has them.
"""

import math
import statistics
from typing import Any

from leads import EPOCH, EXPERT, MARGIN, ONCE, PEER, RIVALS, Result, by_contender, fastest, middle, seconds, wait

TITLES = {
    "W1": "Full fine-tune, ResNet-50: one epoch",
    "W1-lite0": "Full fine-tune, EfficientNet-Lite0: one epoch",
    "W2": "Layers 1-3 frozen, ResNet-50: 30 epochs",
    "W2-lite0": "Layers 1-3 frozen, EfficientNet-Lite0: 30 epochs",
    "W3": "Head only, ResNet-50: 5 epochs without augmentation, the whole process",
    "W4": "A sweep of 8 variants (4 learning rates x 2 schedules), layers 1-3 frozen, ResNet-50, 10 epochs each",
    "W5": "From process start to 98 % on ten classes, EfficientNet-Lite0 from ImageNet",
    "W6": "Scaling: a small network on 1, 4 and 16 times the tiles",
}
FASTER = {  # workload, contender -> how many times as fast as each kind of rivals it must be
    ("W1", "landuse"): {EXPERT: 1.4, PEER: 1.6},
    ("W1-lite0", "landuse"): {EXPERT: 1.5},
    ("W2", "landuse"): {EXPERT: 1.6, PEER: 2.2},
    ("W2", "landuse, cached"): {EXPERT: 2.5, PEER: 6.0},
    ("W2-lite0", "landuse"): {},
    ("W2-lite0", "landuse, cached"): {},
    ("W3", "landuse"): {ONCE: 1.2, EXPERT: 10.0},
    ("W4", "landuse"): {EXPERT: 3.0, PEER: 12.0},
    ("W5", "landuse"): {PEER: 4.0},
}
WITHIN = {"W5": 180.0}  # seconds
TOLERANCE = 1.1  # W6: time a tile and memory may grow by so much from the fewest tiles to the most
FULL = 10_850 + 2_325  # tiles of City/Farmland, training and validation
_NOTES = {
    "W1": "An epoch trains and validates; the median of all but the first of each run.",
    "W2": "Start-up + first epoch + the rest; epochs beyond those measured count as the median of all but the first. "
    "The cached run measures all 30 from an empty cache.",
    "W4": "landuse: all 8 runs, one after the other, with one cache that is empty at first. Peers: one variant, "
    "extrapolated to 10 epochs with its start-up, times 8. The expert: one process, whose tiles and features stay in "
    "memory, extrapolated to 80 epochs. Accuracy: of landuse's last variant.",
    "W5": "All learn by landuse's recipe. landuse starts from the image files: decoding, checks, labels, split and "
    "audit are in its time. The others' starts with their script, on the files already split. Who is stopped took more "
    "than the time shown.",
}


def verdict(value: float, target: float, more_is_better: bool) -> str:
    return "reached" if (value >= target if more_is_better else value <= target) else "**missed**"


def checks(workload: str, result: Result) -> list[list[str]]:
    """Rows of the table of targets: what, measured, target, verdict."""
    if workload == "W6":
        return _scaling_checks(result)
    runs, rows = by_contender(result["runs"]), []
    for (of, name), targets in FASTER.items():
        if of != workload:
            continue
        rows += _leads(workload, name, targets, result["runs"])
        own = middle(workload, runs.get(name, []))
        if own is None:
            continue
        if workload in WITHIN:
            limit = WITHIN[workload]
            rows.append([f"{workload} {name}: seconds", f"{own:.0f}", f"under {limit:g}", verdict(own, limit, False)])
        others = {other: _held(held) for other, held in runs.items() if not other.startswith("landuse") and held}
        if others:
            least = min(others, key=others.__getitem__)
            memory = _held(runs[name]) / others[least]
            what = f"{workload} {name}: memory held / the most frugal rival's"
            rows.append([what, f"{memory:.2f} ({least})", "at most 1", verdict(memory, 1, False)])
    return rows


def _leads(workload: str, name: str, targets: dict[str, float], runs: list[Result]) -> list[list[str]]:
    """A row for each kind of rivals that has a target or took part, the smallest lead first."""
    found = []
    held = by_contender(runs)
    own = middle(workload, held.get(name, []))
    for kind, among in RIVALS.items():
        best, target = fastest(workload, runs, among), targets.get(kind)
        what, wanted = f"{workload} {name}: times as fast as {kind}", f"at least {target:g}" if target else "-"
        if own is None or best is None:
            said = "not measured" if name not in held or best is None else "**missed**"
            found += [(math.inf, [what, "-", wanted, said])] if target else []
            continue
        late = "more than " if any(run["ended"] == "late" for run in held[best[0]]) else ""
        shown = f"{late}{best[1] / own:.2f} ({best[0]})"
        if seconds_of_wait := wait(held[best[0]]):
            shown += f", after {seconds_of_wait:.0f} s of compiling"
            patient = fastest(workload, runs, among, waiting=True)
            if patient and workload[:2] not in EPOCH:
                shown += f"; {patient[1] / own:.2f} ({patient[0]}) if that counts"
        found.append((best[1] / own, [what, shown, wanted, verdict(best[1] / own, target, True) if target else "-"]))
    return [row for _, row in sorted(found, key=lambda item: item[0])]


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


def _held(runs: list[Result]) -> float:
    return statistics.median(run["held"] for run in runs)


def render(results: dict[str, Result]) -> str:
    """The page of results, in Markdown."""
    lines = [
        "# Benchmarks: this project beside its peers",
        "",
        "Made by `make bench` (`benchmarks/compare.py`) from `results.json`. All contenders get the same tiles, split, "
        "network, batch of 64 and number of epochs; repetitions alternate (A B C A B C), and medians are shown. Who is "
        f"{MARGIN:g} times as slow as the fastest of its kind in the first repetition is not measured again.",
        "",
        "- landuse runs its own stages with the defaults of `params.yaml`.",
        "- The expert (`benchmarks/peers/expert.py`) is the loop that one would write by hand: tiles decoded once, "
        "into memory; batches augmented whole; frozen stages without gradient, or computed once; in bf16 where the "
        "processor has it and in fp32, channels last or not, compiled or not. The fastest of them counts.",
        "- Peers (`benchmarks/peers/`) decode with two workers and compute in fp32, as their documentation teaches, "
        "or in bf16 as they offer it (torchgeo also with weights in bf16; fastai's `to_bf16` is for CUDA alone).",
        "",
        "Seconds leave out what `torch.compile` takes before its first step, which has a column of its own. Memory "
        "held is the most that a process and its workers had without pages of mapped files, which the system drops "
        "when it needs room; peak memory is with them. Shared pages count once.",
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
    note = [_NOTES[workload[:2]], ""] if workload[:2] in _NOTES else []
    return [f"## {workload}: {TITLES[workload]}", "", *note, *body, "", facts]


def _rows(workload: str, result: Result) -> list[str]:
    runs = by_contender(result["runs"])
    setting = result["setting"]
    scale = FULL / (setting["train"] + setting["val"])
    scaled = workload != "W5" and scale > 1.01
    runs_of = result["runs"]
    best, peer = fastest(workload, runs_of), fastest(workload, runs_of, RIVALS[PEER])
    best_full = fastest(workload, runs_of, scale=scale)
    head = [
        "contender",
        "seconds",
        "range",
        "x fastest of all",
        "x fastest peer",
        "compiling",
        "first epoch",
        "start-up",
        "held MiB",
        "peak MiB",
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
            _ratio(best, own),
            _ratio(peer, own),
            f"{wait(held):.0f}" if wait(held) else "-",
            _shown([run["epochs"][0] for run in held if run["epochs"]], ".1f"),
            f"{statistics.median(run['ready'] for run in held):.1f}",
            f"{_held(held):,.0f}",
            f"{_peak(held):,.0f}",
            _shown([run["accuracy"][-1] for run in held if run["accuracy"]], ".4f"),
            str(len(held)),
        ]
        if scaled:
            full = middle(workload, held, scale)
            row += [f"{full:,.0f}", _ratio(best_full, full)]
        rows.append(row)
    if scaled:
        head += [f"seconds at {FULL:,} tiles, extrapolated", "x fastest of all there"]
    return _table(head, rows)


def _ratio(rival: tuple[str, float] | None, own: float | None) -> str:
    return f"{rival[1] / own:.2f}" if rival and own else "-"


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
             f"{_peak(held):,.0f}", f"{_held(held):,.0f}"]
        )  # fmt: skip
    return _table(
        ["contender", "copies", "tiles", "seconds an epoch", "microseconds a tile", "peak MiB", "held MiB"], rows
    )


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table; short rows are filled up."""
    filled = [row + ["-"] * (len(head) - len(row)) for row in rows]
    return ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *filled]]
