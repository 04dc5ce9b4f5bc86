"""How fast this machine is, whatever this project does: training steps of plain PyTorch, always the same ones.

    python benchmarks/calibration.py

ResNet-18, 64 px, batches of 64 random tiles, fp32, SGD; a few seconds. Prints tiles/s, the median of twelve steps.
Threads that wait sleep, as landuse's do: beside other work they would slow each other down threefold.
"""

import os
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # OpenMP looks at it once

import torch
from torch.nn import functional as F
from torchvision.models import resnet18

_BATCH, _WARM_UP, _STEPS = 64, 3, 12


def main() -> None:
    torch.manual_seed(0)
    model = resnet18(num_classes=10).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    pixels, targets = torch.randn(_BATCH, 3, 64, 64), torch.randint(10, (_BATCH,))
    times = []
    for _ in range(_WARM_UP + _STEPS):
        begun = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(model(pixels), targets).backward()
        optimizer.step()
        times.append(time.perf_counter() - begun)
    print(f"{_BATCH / statistics.median(times[_WARM_UP:]):.1f}")


if __name__ == "__main__":
    main()
