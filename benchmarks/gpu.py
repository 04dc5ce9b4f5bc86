"""Training on one GPU: tiles per second beside the card's limit, and the time to 98 and 98.5 % on the ten classes.

    dvc exp run -S data.source=eurosat_rgb -S mapping.preset=all_classes split     # the real tiles
    python benchmarks/gpu.py [--tflops 790] [--batch-size 512] [--backbones resnet18 efficientnet_lite0]

--tflops: what the card multiplies at most in bf16 (NVIDIA H200, dense: 989 on paper, 790 measured). Runs on a CPU too.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from measured import _EPOCH
from torch.utils.flop_counter import FlopCounterMode

from landuse import params
from landuse.training.epochs import shuffled
from landuse.training.prepare import Prepared, prepare
from landuse.training.process import configure
from landuse.training.step import Stepper
from landuse.tuning.speed import measure

GOALS = (0.98, 0.985)  # validation accuracy


def flops_of_a_tile(p: params.Params, ready: Prepared) -> float:
    """Floating-point operations of one training step on one tile: forward, backward, no optimiser."""
    stepper = Stepper(ready.model, p.recipe.phases[-1], p, ready.train)
    pixels, targets = next(iter(shuffled(ready.train, 0, 1, p.augment)))
    with FlopCounterMode(display=False) as counter:
        stepper.batch(pixels, targets)
    return counter.get_total_flops() / len(targets)


def throughput(backbone: str, batch_size: int, compiled: bool, tflops: float) -> str:
    """One line: tiles/s of the precision that ``auto`` takes, plain and compiled."""
    changes = {"model.backbone": backbone, "model.weights": "none", "train.batch_size": batch_size}
    p = params.read(Path("params.yaml"), changes)
    configure()
    ready = prepare(p)
    flops = flops_of_a_tile(p, ready)
    lines = []
    for choice in measure(p, p.recipe.phases[-1], ready, compiled, 20):
        speed = statistics.median(choice.training)
        share = speed * flops / (tflops * 1e12)
        code = f"compiled ({choice.warm_up:.0f} s)" if choice.compiled else "plain"
        lines.append(
            f"{backbone:20} batch {batch_size:4}  {choice.precision}  {code:16} {speed:10,.0f} tiles/s  "
            f"{share:6.1%} of {tflops:g} TFLOP/s"
        )
    return "\n".join(lines)


def time_to(goals: tuple[float, ...], compiled: bool) -> list[str]:
    """Train as ``stages/train.py`` does in a process of its own; say when each goal was reached.

    Two clocks: from the start of the process, and from the first line of the training.
    """
    changes = {"train.compile": compiled}
    env = os.environ | {"PYTHONPATH": "src"}
    program = (
        "from landuse import params, training; from pathlib import Path; "
        f"training.run(params.read(Path('params.yaml'), {changes!r}))"
    )
    begun, trained_from = time.monotonic(), 0.0
    found: list[str] = []
    process = subprocess.Popen([sys.executable, "-u", "-c", program], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        now = time.monotonic() - begun
        trained_from = trained_from or (now if line.startswith("recipe ") else 0.0)
        epoch = _EPOCH.search(line)
        for goal in goals[len(found) :]:
            if epoch and float(epoch.group(1)) >= goal:
                found.append(f"{goal:.1%} after {now - trained_from:.1f} s of training, {now:.1f} s of the process")
    process.wait()
    return found or [f"{goals[0]:.1%} was not reached"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["resnet18", "efficientnet_lite0"])
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--tflops", type=float, default=790.0)
    parser.add_argument("--compile", action="store_true", help="compiled code too")
    asked = parser.parse_args()
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{name}, torch {torch.__version__}")
    for backbone in asked.backbones:
        print(throughput(backbone, asked.batch_size, asked.compile, asked.tflops), flush=True)
    for line in time_to(GOALS, asked.compile):
        print(line, flush=True)


if __name__ == "__main__":
    main()
