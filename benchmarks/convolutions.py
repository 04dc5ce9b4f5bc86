"""Training steps with PyTorch's convolutions and with landuse's, which know small maps and CPUs: docs/speed.md.

python benchmarks/convolutions.py
"""

import statistics
import time

import torch
from torch import Tensor, nn

from landuse.model import backbones
from landuse.model.convolutions import LeanConv2d
from landuse.training.process import configure

NETWORKS = ("efficientnet_lite0", "resnet18", "resnet50")
_ROUNDS = 9


def step(network: nn.Module, pixels: Tensor, bf16: bool) -> None:
    """Forwards and backwards."""
    network.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output = network(pixels)
    output.float().square().mean().backward()


def plain(network: nn.Module) -> nn.Module:
    """Undo what landuse does to the convolutions."""
    for module in network.modules():
        if type(module) is LeanConv2d:
            module.__class__ = nn.Conv2d
    return network


def main() -> None:
    """Time the ways in turn and print a Markdown table of medians."""
    configure()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print("| | `fp32`, PyTorch's convolutions | `fp32`, these | `bf16`, PyTorch's | `bf16`, these |")
    print("|---|---|---|---|---|")
    for name in NETWORKS:
        ours, theirs = (backbones.build(name, 3).module.to(memory_format=torch.channels_last) for _ in range(2))
        ways = [(network, bf16) for bf16 in (False, True) for network in (plain(theirs), ours)]
        pixels = torch.randn(64, 3, 64, 64).contiguous(memory_format=torch.channels_last)
        times: list[list[float]] = [[] for _ in ways]
        for _ in range(2 + _ROUNDS):
            for (network, bf16), taken in zip(ways, times, strict=True):
                started = time.perf_counter()
                step(network, pixels, bf16)
                taken.append(time.perf_counter() - started)
        cells = [f"{1000 * statistics.median(taken[2:]):.0f}" for taken in times]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
