"""This project beside its peers, in one run on the same tiles; results.json and results.md are what comes out.

    make bench WORKLOADS="W1 W3" DATA=EuroSAT_RGB.zip
    python benchmarks/compare.py W1 --data EuroSAT_RGB.zip --contenders "expert, fp32*" plain timm
    python benchmarks/compare.py W5 --data EuroSAT_RGB.zip --recipe fast

A workload that is measured replaces its former results; the others stay. W5 takes all tiles of ten classes, the
others a part of City/Farmland unless --full. Without --data the tiles are simulated. After the first repetition, who
was far behind the fastest of its kind stays away. Needs benchmarks/.venv, which ``make bench`` sets up, and a quiet
machine.
"""

import argparse
import fnmatch
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import arena
import leads
import psutil
import report
import workloads

VERSIONS = ("torch", "torchvision", "timm", "torchgeo", "lightning", "fastai")
COPIES = (1, 4, 16)  # of every tile, in W6
PLAIN_COPIES = (1, 4)  # the plain loop shows enough there


def main() -> None:
    asked = _arguments()
    for workload in asked.workloads:
        work = workloads.HERE / "work" / workload
        shutil.rmtree(work, ignore_errors=True)
        result = _compare(workload, asked, work)
        file = asked.out / "results.json"
        results = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        results[workload] = result
        file.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        (asked.out / "results.md").write_text(report.render(results), encoding="utf-8")
        shutil.rmtree(work)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="W1..W6", help="default: all but W5")
    parser.add_argument("--data", type=Path, help="EuroSAT's RGB archive; else simulated tiles")
    parser.add_argument("--tiles", type=int, help="training tiles, about (default 1280; W5 all)")
    parser.add_argument("--val", type=int, help="validation tiles, about (default a quarter of those)")
    parser.add_argument("--full", action="store_true", help="all tiles there are")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2, help="to measure where the rest is extrapolated, at least 2")
    names = workloads.contenders("W2")
    rivals = f"landuse's rivals, * stands for anything (default: all): {'; '.join(names)}"
    parser.add_argument("--contenders", nargs="+", default=["*"], metavar="NAME", help=rivals)
    parser.add_argument("--recipe", default="fast", choices=["fast", "quick", "accurate"], help="of all in W5")
    parser.add_argument("--limit", type=float, default=5.0, help="W5: a peer is stopped after so many times our time")
    parser.add_argument("--out", type=Path, default=workloads.HERE, help="folder of results.json and results.md")
    asked = parser.parse_args()
    asked.workloads = asked.workloads or [name for name in report.TITLES if name != "W5"]
    if unknown := set(asked.workloads) - set(report.TITLES):
        parser.error(f"no such workload: {', '.join(sorted(unknown))}; choose from {' '.join(report.TITLES)}")
    if strange := [word for word in asked.contenders if not fnmatch.filter(names, word)]:
        parser.error(f"--contenders: nobody is called {', '.join(strange)}; there are {'; '.join(names)}")
    if asked.epochs < 2:
        parser.error("--epochs must be at least 2: the first one is warm-up")
    if asked.data and not asked.data.is_file():
        parser.error(f"--data: no file {asked.data}")
    return asked


def _compare(workload: str, asked: argparse.Namespace, work: Path) -> dict[str, Any]:
    train = asked.tiles or (None if asked.full or workload == "W5" else 1280)
    val = (asked.val or train // 4) if train else None
    preset = workloads.PRESET.get(workload, "city_farmland")
    base = arena.build(work / "1x", asked.data, preset, train, val)
    places = {1: base}
    if workload == "W6":
        places |= {copies: arena.replicate(base, work / f"{copies}x", copies) for copies in COPIES[1:]}
    entries = workloads.entries(workload, asked.contenders, asked.epochs, asked.recipe)
    _warm_up(asked.contenders, base)
    runs: list[dict[str, Any]] = []
    for repetition in range(asked.repetitions):
        ours = math.inf  # W5: this project's time to the goal, in this repetition
        for copies, place in places.items():
            for entry in entries:
                if workload == "W6" and entry.peer and copies not in PLAIN_COPIES:
                    continue
                limit = asked.limit * ours if entry.peer else math.inf
                machine = {"calibration": _calibration()} if workload == "W5" else {}
                run = asdict(workloads.contest(entry, place, repetition, workload == "W5", limit))
                run |= {"contender": entry.name, "repetition": repetition, "copies": copies}
                run |= {"asked": entry.asked, "times": entry.times} | machine
                if workload == "W5" and not entry.peer:
                    ours = leads.reached(run) or run["wall"]
                runs.append(run)
                _say(workload, run, place.peers.parent if entry.peer else place.ours)
        entries = [entry for entry in entries if entry.name in leads.in_the_running(workload, runs)]
    return {"setting": _setting(base, asked), "runs": runs, "machine": _machine(), **_versions()}


def _warm_up(contenders: list[str], place: arena.Arena) -> None:
    """Let every program run once unmeasured: byte code is compiled, files come into memory, landuse has a database."""
    programs: dict[str, workloads.Entry] = {}
    for entry in workloads.entries("W3", contenders, 2, "full"):
        programs.setdefault(entry.name.split(",")[0], entry)
    for entry in programs.values():
        one_epoch = entry.variants and [entry.variants[0] | {"train.epochs": 1}]
        short = workloads.Entry(entry.name, 1, 1, one_epoch, entry.peer)
        workloads.contest(short, place, seed=99, from_files=False, limit=math.inf)


def _say(workload: str, run: dict[str, Any], folder: Path) -> None:
    what = f"{workload} {run['contender']} ({run['copies']}x), repetition {run['repetition'] + 1}"
    if run["ended"] == "failed":
        tail = (folder / "contender.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        print(f"{what}: FAILED\n{tail}", file=sys.stderr, flush=True)
        return
    last = f"{run['accuracy'][-1]:.4f}" if run["accuracy"] else "-"
    epochs = " ".join(f"{epoch:.1f}" for epoch in run["epochs"][:4])
    print(f"{what}: {run['wall']:.1f} s, epochs {epochs}, accuracy {last}, {run['peak']:,.0f} MiB", flush=True)


def _setting(base: arena.Arena, asked: argparse.Namespace) -> dict[str, Any]:
    return {
        "train": base.train,
        "val": base.val,
        "classes": len(list((base.peers / "train").iterdir())),
        "data": "EuroSAT RGB" if asked.data else "simulated tiles",
        "threads": os.environ.get("OMP_NUM_THREADS", "each one's default"),
    }


def _calibration() -> float:
    """Tiles/s of a fixed loop of plain PyTorch, now: the part that the machine's own speed plays."""
    command = [sys.executable, str(workloads.HERE / "calibration.py")]
    done = subprocess.run(command, env=arena.environment(), capture_output=True, text=True, check=True)
    print(f"the machine itself: {done.stdout.strip()} tiles/s of the calibration", flush=True)
    return float(done.stdout)


def _machine() -> dict[str, Any]:
    cpus = [line for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line]
    return {
        "cpu": cpus[0].split(":")[1].strip() if cpus else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }


def _versions() -> dict[str, Any]:
    """Of the peers' environment (torch, torchvision and timm are pinned to this project's), and the revision."""
    packages = next((workloads.HERE / ".venv/lib").glob("python*/site-packages"))
    found = {d.metadata["Name"]: d.version for d in metadata.distributions(path=[str(packages)])}
    git = ["git", "describe", "--always", "--dirty"]
    revision = subprocess.run(git, cwd=arena.ROOT, capture_output=True, text=True, check=True).stdout.strip()
    versions = {name: found[name] for name in VERSIONS} | {"python": platform.python_version()}
    return {"versions": versions, "revision": revision}


if __name__ == "__main__":
    main()
