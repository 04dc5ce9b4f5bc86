"""From image files to the first training step: seconds and memory of each stage until then. Linux only.

    python benchmarks/start.py EuroSAT_RGB.zip [--beside CHECKOUT] [--rounds 4]

All tiles, ten classes, recipe quick; ``train`` is ended after its first step. Rounds of this checkout and another one
alternate, and medians are shown. The first round, which compiles byte code and makes MLflow's database, is left out.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import arena

_CHANGES = {"data.source": "eurosat_rgb", "mapping.preset": "all_classes", "train.recipe": "quick"}
_FIRST_STEP = """
import os, runpy, sys
from landuse.training.step import Stepper
whole = Stepper.batch
def once(*args, **kwargs):
    whole(*args, **kwargs)
    sys.stdout.flush()
    os._exit(0)
Stepper.batch = once
runpy.run_path("stages/train.py", run_name="__main__")
"""
COMMANDS = {stage: [f"stages/{stage}.py"] for stage in arena.PREPARE} | {"train, first step": ["-c", _FIRST_STEP]}
Usage = tuple[float, float, float]  # seconds; of the processor; MiB at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="EuroSAT's RGB archive")
    parser.add_argument("--beside", type=Path, help="another checkout, for what it was before")
    parser.add_argument("--rounds", type=int, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        places = {}
        for name, code in {"here": arena.ROOT, "beside": asked.beside}.items():
            if code:
                places[name] = arena.workplace(Path(folder, name), code.resolve())
                arena.write_params(places[name], _CHANGES | {"data.url": str(asked.data.resolve())})
        rounds = [{name: _stages(place) for name, place in places.items()} for _ in range(asked.rounds)][1:]
    print("| | stage | seconds | of the processor | MiB at most |\n|---|---|---|---|---|")
    for name in places:
        middle = {s: [statistics.median(r[name][s][what] for r in rounds) for what in range(3)] for s in COMMANDS}
        middle["all"] = [
            sum(m[0] for m in middle.values()),
            sum(m[1] for m in middle.values()),
            max(m[2] for m in middle.values()),
        ]
        for stage, (wall, processor, peak) in middle.items():
            print(f"| {name} | {stage} | {wall:.1f} | {processor:.1f} | {peak:,.0f} |")


def _stages(ours: Path) -> dict[str, Usage]:
    for made in ("data", ".landuse"):
        shutil.rmtree(ours / made, ignore_errors=True)
    return {stage: _usage([sys.executable, *command], ours) for stage, command in COMMANDS.items()}


def _usage(command: list[str], folder: Path) -> Usage:
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=arena.environment(PYTHONPATH="src"), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.monotonic() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
