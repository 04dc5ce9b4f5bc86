"""From the tile store to batches on the device.

Tiles stay uint8 (or uint16) in a memory-mapped array, or in the memory of an accelerator where they fit. From the map,
a thread reads the next batch while the device computes on this one: data larger than memory streams.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_CHUNK = 1024  # tiles that move to an accelerator at once
_Ints = npt.NDArray[np.int64]
_Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Batches:
    """The tiles of one part of the split.

    images: (N, H, W, C) of the whole store. rows, targets: (n,) of this part. resident: ``on_device``; None streams.
    rgb: whether the channels are red, green and blue in 8 bits. layers: how many of the last ones are no light. Both
    are for augmentation, which refuses None. least: batches of an epoch of training, at least.
    """

    images: npt.NDArray[Any]
    rows: _Ints
    targets: _Ints
    batch_size: int
    device: torch.device
    resident: Tensor | None = None
    rgb: bool | None = None
    layers: int = 0
    least: int = 1

    def __len__(self) -> int:
        return math.ceil(len(self.rows) / self.batch_size)

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every tile once: pixels (B, C, H, W) float32 as stored, targets (B,)."""
        all_ = np.arange(len(self.rows))
        for pixels, targets in self.gathered(np.split(all_, range(self.batch_size, len(all_), self.batch_size))):
            yield pixels.float(), targets

    def pixels(self, rows: _Ints) -> Tensor:
        """Return (n, C, H, W), in the stored dtype and on the device, of rows of the whole store."""
        of_rows = replace(self, rows=rows, targets=np.zeros_like(rows))
        return next(of_rows.gathered([np.arange(len(rows))]))[0]

    def gathered(self, chosen: Iterable[_Ints]) -> Iterator[_Pair]:
        """Yield pixels (B, C, H, W) in the stored dtype, and targets, on the device. chosen: positions in ``rows``."""
        stored = getattr(torch, self.images.dtype.name)
        for pixels, targets in self._selected(chosen) if self.resident is not None else self._streamed(chosen):
            # (N, H, W, C) seen as (N, C, H, W) is already channels-last: the layout convolutions like best
            yield pixels.view(stored).permute(0, 3, 1, 2), targets

    def _selected(self, batches: Iterable[_Ints]) -> Iterator[_Pair]:
        assert self.resident is not None
        for chosen in batches:
            rows, targets = (
                torch.from_numpy(of[chosen]).to(self.device, non_blocking=True) for of in (self.rows, self.targets)
            )
            yield self.resident.index_select(0, rows), targets

    def _streamed(self, batches: Iterable[_Ints]) -> Iterator[_Pair]:
        reading: deque[Future[_Pair]] = deque()
        with ThreadPoolExecutor(1) as thread:
            for chosen in batches:
                reading.append(thread.submit(self._read, chosen))
                if len(reading) > 1:
                    yield self._moved(reading.popleft())
            while reading:
                yield self._moved(reading.popleft())

    def _read(self, chosen: _Ints) -> _Pair:
        rows = self.rows[chosen]
        by_address = np.argsort(rows, kind="stable")  # a mapped file is read in one direction
        tiles = self.images.view(np.uint8)
        pinned = self.device.type == "cuda"  # memory that the device reads while the processor goes on
        pixels = torch.empty((len(rows), *tiles.shape[1:]), dtype=torch.uint8, pin_memory=pinned)
        pixels.numpy()[by_address] = tiles[rows[by_address]]
        return pixels, torch.from_numpy(self.targets[chosen])

    def _moved(self, read: Future[_Pair]) -> _Pair:
        pixels, targets = read.result()
        return pixels.to(self.device, non_blocking=True), targets.to(self.device, non_blocking=True)


def pick_device() -> torch.device:
    """The first accelerator there is, else the CPU."""
    mps = "mps" if torch.backends.mps.is_available() else "cpu"
    return torch.device("cuda" if torch.cuda.is_available() else mps)


def on_device(images: npt.NDArray[Any], device: torch.device) -> Tensor | None:
    """Return all tiles in an accelerator's memory, (N, H, W, bytes) uint8, if they fit into half of what is free.

    None for a CPU, whose memory the map is in already, and for what does not fit.
    """
    tiles = images.view(np.uint8)
    if tiles.nbytes > _free_memory(device) / 2:
        return None
    resident = torch.empty(tiles.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(tiles), _CHUNK):
        resident[start : start + _CHUNK] = torch.from_numpy(tiles[start : start + _CHUNK].copy())
    return resident


def _free_memory(device: torch.device) -> int:
    """Return the bytes that are free on an accelerator; none on a CPU."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory() if device.type == "mps" else 0
