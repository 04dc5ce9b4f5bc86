"""The loop that an expert writes by hand: tiles decoded once, into memory, as bytes; batches augmented whole.

Frozen stages run without gradient, with BatchNorm at rest; with --once, one time for all over every view of the tiles,
and what they give stays in memory. ``ready`` comes before the tiles are decoded, so that whatever grows with their
number is in the first epoch. What torch.compile takes is told apart.
"""

import ctypes
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import task
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.io import decode_image

MMAP_MAX, TRIM_THRESHOLD = -4, -1  # of mallopt, in glibc's malloc.h
MEAN, STD = (255 * torch.tensor(values).reshape(3, 1, 1) for values in (task.MEAN, task.STD))


def load(folder: Path) -> tuple[Tensor, Tensor]:
    """Return (n, 3, height, width) uint8 and (n,) labels of the pictures in class folders."""
    files = sorted(folder.glob("*/*.jpg"))
    names = sorted({file.parent.name for file in files})
    tiles = torch.empty(len(files), 3, task.SIZE, task.SIZE, dtype=torch.uint8)
    with ThreadPoolExecutor(task.WORKERS) as pool:
        for tile, decoded in zip(tiles, pool.map(decode_image, map(str, files)), strict=True):
            tile.copy_(decoded)
    return tiles, torch.tensor([names.index(file.parent.name) for file in files])


def views(tiles: Tensor, flips: bool) -> list[Tensor]:
    return [tiles, tiles.flip(-1), tiles.flip(-2), tiles.flip((-1, -2))] if flips else [tiles]


def keep_memory() -> None:
    """Freed memory stays with the process; else each large tensor is fetched from the kernel page by page."""
    libc = ctypes.CDLL(None)
    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)


def main() -> None:
    asked = task.read("--channels-last", "--compile", "--once")
    keep_memory()

    # the network: a trunk that is frozen, perhaps of no layer, and a tail that learns
    layout = torch.channels_last if asked.channels_last else torch.contiguous_format
    model = task.network(asked.backbone, asked.labels).to(memory_format=layout)
    parts, held = list(task.pieces(model).values()), len(task.frozen(model, asked.freeze))
    trunk, tail = nn.Sequential(*parts[:held]).eval(), nn.Sequential(*parts[held:])
    optimizer = torch.optim.AdamW(tail.parameters(), asked.lr, weight_decay=asked.weight_decay, fused=True)
    see, answer = (torch.compile(trunk), torch.compile(tail)) if asked.compile else (trunk, tail)

    @torch.no_grad()
    def trunk_of(tiles: Tensor) -> Tensor:
        """A batch as bytes -> what the frozen stages make of it; without any, the pixels as the network wants them."""
        look = see if len(tiles) == task.BATCH else trunk  # another size would be compiled anew
        with task.autocast(asked.precision):
            return look(tiles.float().sub_(MEAN).div_(STD).to(memory_format=layout))

    def all_of(tiles: Tensor) -> Tensor:
        return torch.cat([trunk_of(batch) for batch in tiles.split(task.BATCH)])

    # the tiles: all of them, or what the trunk makes of them
    task.ready()
    tiles, labels = load(asked.folder / "train")
    val_tiles, val_labels = load(asked.folder / "val")
    if asked.once:
        kept, val_kept = torch.stack([all_of(view) for view in views(tiles, asked.flips)]), all_of(val_tiles)

    def drawn(rows: Tensor) -> Tensor:
        """What the tail sees of tiles, each in a view of its own."""
        seen = kept[:, rows] if asked.once else torch.stack(views(tiles[rows], asked.flips))
        one = seen[torch.randint(len(seen), rows.shape), torch.arange(len(rows))]
        return one if asked.once else trunk_of(one)

    def backward(rows: Tensor) -> None:
        with task.autocast(asked.precision):
            loss = F.cross_entropy(answer(drawn(rows)), labels[rows], label_smoothing=task.SMOOTHING)
        loss.backward()

    if asked.compile:
        begun = time.monotonic()
        backward(torch.arange(task.BATCH))
        optimizer.zero_grad()
        task.compiled(time.monotonic() - begun)

    # the loop
    steps = asked.epochs * (len(tiles) // task.BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, asked.lr, total_steps=steps) if asked.one_cycle else None
    for epoch in range(1, asked.epochs + 1):
        tail.train()
        for rows in torch.randperm(len(tiles)).split(task.BATCH)[: len(tiles) // task.BATCH]:
            backward(rows)
            optimizer.step()
            optimizer.zero_grad()
            if schedule:
                schedule.step()
        tail.eval()
        right = 0
        with torch.no_grad(), task.autocast(asked.precision):  # plain code: compiled for this mode, it would wait again
            for rows in torch.arange(len(val_tiles)).split(task.BATCH):
                seen = val_kept[rows] if asked.once else trunk_of(val_tiles[rows])
                right += (tail(seen).argmax(1) == val_labels[rows]).sum().item()
        task.epoch_done(epoch, right / len(val_tiles))


if __name__ == "__main__":
    main()
