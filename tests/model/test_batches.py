"""Tiles come in order, streamed or from the memory of a device."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from landuse.model import batches as batches_module
from landuse.model.batches import Batches

CPU = torch.device("cpu")


def batches(batch_size: int = 4, count: int = 21) -> Batches:
    """Tiles whose first pixel is their row, so that a batch tells which tiles it holds."""
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    rows = np.arange(3, 3 + count)
    return Batches(images, rows, rows % 2, batch_size, CPU)


def test_in_order_yields_every_tile_once_with_its_target() -> None:
    b = batches()
    pixels = torch.cat([x for x, _ in b.in_order()])
    assert torch.equal(pixels, torch.from_numpy(b.images[b.rows]).permute(0, 3, 1, 2).float())
    assert torch.equal(torch.cat([t for _, t in b.in_order()]), torch.from_numpy(b.targets))
    assert len(list(b.in_order())) == len(b)


def test_tiles_go_to_an_accelerator_if_they_take_half_of_its_free_memory_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = np.random.default_rng(0).integers(0, 60_000, (40, 8, 8, 3), dtype=np.uint16)
    assert batches_module.on_device(images, CPU) is None
    monkeypatch.setattr(batches_module, "_CHUNK", 16)
    monkeypatch.setattr(batches_module, "_free_memory", lambda _: 2 * images.nbytes)
    resident = batches_module.on_device(images, CPU)
    assert resident is not None
    assert np.array_equal(resident.view(torch.uint16).numpy(), images)
    monkeypatch.setattr(batches_module, "_free_memory", lambda _: 2 * images.nbytes - 1)
    assert batches_module.on_device(images, CPU) is None


def test_an_error_in_the_reading_thread_is_raised_and_an_epoch_can_be_left_early() -> None:
    b = batches()
    assert len(next(b.in_order())[0]) == 4
    missing = replace(b, rows=np.array([1, 2, 99]), targets=np.zeros(3, np.int64))
    with pytest.raises(IndexError, match="99"):
        list(missing.in_order())
