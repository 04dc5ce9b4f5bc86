"""What the training loop costs beside a loop written by hand: same network, same optimiser, same batches.

    python benchmarks/loop_overhead.py [--rounds 20]

A tiny network makes the cost show: on a real one a batch takes ten times as long, and the loop no longer. Rounds of the
two alternate, so that a busy machine disturbs both alike; printed is the ratio of their medians.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from landuse import params
from landuse.model import backbones
from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.training.loop import Loop

TILES, BATCH, CLASSES = 1280, 64, 10


def network() -> Classifier:
    torch.manual_seed(0)
    backbone = backbones.build("test_resnet", 3)
    head = params.Head(hidden=None, dropout=0.2)
    model = Classifier(backbone, head, CLASSES, [127.0] * 3, [60.0] * 3, 64)
    return model.to(memory_format=torch.channels_last)


def ours(train: Batches) -> Callable[[], None]:
    changes = {"train.augment": "none", "train.epochs": 1000, "recipes.fast.loss.label_smoothing": 0.0}
    loop = Loop(network(), train, train, params.read(Path("params.yaml"), changes), lambda *_: None)

    def epoch() -> None:
        loop.batch = 0
        loop._batches(1)

    return epoch


def by_hand(train: Batches) -> Callable[[], None]:
    model = network().train()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    batches = list(train.in_order())

    def epoch() -> None:
        for pixels, targets in batches:
            opt.zero_grad(set_to_none=True)
            F.cross_entropy(model(pixels), targets).backward()
            opt.step()

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (TILES, 64, 64, 3), dtype=np.uint8)
    targets = rng.integers(0, CLASSES, TILES)
    train = Batches(images, np.arange(TILES), targets, BATCH, torch.device("cpu"), rgb=True)
    contenders = {"loop": ours(train), "by hand": by_hand(train)}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_ in range(rounds + 2):  # the first two warm up
        for name, epoch in contenders.items():
            started = time.perf_counter()
            epoch()
            if round_ >= 2:
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name:8} {1000 * median / (TILES // BATCH):6.2f} ms a batch of {BATCH}")
    print(f"the loop adds {medians['loop'] / medians['by hand'] - 1:.1%} (median of {rounds} rounds)")


if __name__ == "__main__":
    main()
