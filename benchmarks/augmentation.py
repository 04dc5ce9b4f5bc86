"""Augmentation of a batch of 64 tiles of 64 px, RGB: landuse's beside torchvision v2 and kornia, in milliseconds.

    python benchmarks/augmentation.py [--rounds 20]

Each tile gets random numbers of its own, from stored bytes to float32. torchvision's v2 draws once for all that it is
given, so it goes tile by tile; kornia draws for each tile of a batch. kornia is no dependency; in a folder of its own:

    uv pip install --target ../kornia --no-deps kornia kornia_rs && export PYTHONPATH=../kornia

Rounds of the contenders alternate, so that a busy machine disturbs them alike; printed are medians.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torchvision.transforms import v2

from landuse import params
from landuse.training.augment import DRAWS, apply

BATCH, SIDE = 64, 64
Work = Callable[[Tensor], Tensor]


def landuse(name: str) -> Work:
    settings = params.read(Path("params.yaml")).augmentations[name]
    return lambda tiles: apply(settings, tiles, torch.rand(len(tiles), DRAWS), rgb=True)


def torchvision(name: str) -> Work:
    flips: list[torch.nn.Module] = [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
    rest = {
        "dihedral": [v2.RandomApply([v2.Lambda(lambda tile: tile.transpose(-1, -2))])],
        "d000": [
            v2.RandomRotation(15, interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ],
    }
    transform = v2.Compose([*flips, *rest[name], v2.ToDtype(torch.float32)])
    return lambda tiles: torch.stack([transform(tile) for tile in tiles])


def kornia(name: str) -> Work:
    from kornia import augmentation as k

    flips = [k.RandomHorizontalFlip(), k.RandomVerticalFlip()]
    rest = {
        "dihedral": [k.RandomRotation90(times=(0, 1), p=1.0)],
        "d000": [k.RandomRotation(15, p=1.0), k.ColorJitter(0.2, 0.2, 0.2, 0.0, p=1.0)],
    }
    transform = torch.nn.Sequential(*flips, *rest[name])
    return lambda tiles: transform(tiles.float() / 255) * 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    makers = {"landuse": landuse, "torchvision v2, tile by tile": torchvision}
    if importlib.util.find_spec("kornia"):
        makers["kornia"] = kornia
    else:
        print("kornia is not installed: left out (how to have it: --help)")
    torch.manual_seed(0)
    tiles = torch.randint(0, 256, (BATCH, SIDE, SIDE, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    print(f"ms a batch of {BATCH} at {SIDE} px, {torch.get_num_threads()} threads, median of {rounds} rounds")
    for augmentation in ("dihedral", "d000"):
        works = {name: make(augmentation) for name, make in makers.items()}
        spent: dict[str, list[float]] = {name: [] for name in works}
        for round_ in range(rounds + 2):  # the first two warm up
            for name, work in works.items():
                started = time.perf_counter()
                work(tiles)
                if round_ >= 2:
                    spent[name].append(time.perf_counter() - started)
        ours = statistics.median(spent["landuse"])
        for name, times in spent.items():
            median = statistics.median(times)
            print(f"{augmentation:9} {name:29} {1000 * median:7.2f} ms  {median / ours:5.1f} x landuse's")


if __name__ == "__main__":
    main()
