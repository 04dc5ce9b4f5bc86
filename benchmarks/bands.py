"""Training steps on tiles of 13 bands, by input adapter, beside those on RGB: docs/speed.md.

python benchmarks/bands.py
"""

import statistics
import time
from collections.abc import Callable
from typing import get_args

import torch
from torch import nn

from landuse.model import backbones
from landuse.model.adapters import Adapter, Word
from landuse.model.classifier import Classifier
from landuse.params import Head
from landuse.sensors import BANDS, RGB
from landuse.training.process import configure

NETWORKS = {"efficientnet_lite0": 64, "resnet50": 32}  # and tiles a batch
_SIDE, _ROUNDS = 64, 9


def stepper(name: str, batch: int, word: Word | None) -> Callable[[], None]:
    """Return what makes a step of the optimiser on tiles as stored. word: None is RGB in 8 bits."""
    channels, dtype = (3, torch.uint8) if word is None else (len(BANDS), torch.uint16)
    adapter = Adapter(word or "repeat", tuple(map(BANDS.index, RGB)))
    backbone = backbones.build(name, channels, input_size=_SIDE, adapter=adapter)
    model = Classifier(backbone, Head(hidden=None, dropout=0.2), 10, [99.0] * channels, [50.0] * channels, _SIDE)
    model.to(memory_format=torch.channels_last).freeze("none")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    stored = torch.randint(0, 200, (batch, _SIDE, _SIDE, channels)).to(dtype)
    targets = torch.arange(batch) % 10

    def step() -> None:
        nn.functional.cross_entropy(model(stored.permute(0, 3, 1, 2).float()), targets).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def main() -> None:
    """Time the ways in turn, in fp32; print medians, and the median of what each takes of the RGB step beside it."""
    configure()
    words: list[Word | None] = [None, *get_args(Word)]
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    print(f"| | {' | '.join(word or 'RGB' for word in words)} |")
    print(f"|---|{'---|' * len(words)}")
    for name, batch in NETWORKS.items():
        steps = [stepper(name, batch, word) for word in words]
        rounds: list[list[float]] = []
        for _ in range(1 + _ROUNDS):
            rounds.append([])
            for step in steps:
                started = time.process_time()  # of the processor: other programs come and go
                step()
                rounds[-1].append(time.process_time() - started)
        taken = [statistics.median(own) for own in zip(*rounds[1:], strict=True)]
        ratios = [statistics.median(r[i] / r[0] for r in rounds[1:]) for i in range(len(words))]
        cells = [f"{1000 * t:.0f} ms ({ratio:.2f})" for t, ratio in zip(taken, ratios, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
