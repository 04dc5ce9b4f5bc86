"""Batches of what the frozen trunk makes of tiles: computed where missing, kept, and read again."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from landuse import augment
from landuse.batches import Batches, dealt
from landuse.features.shelf import make_room
from landuse.features.store import Entries
from landuse.model.classifier import Classifier
from landuse.model.halves import TrunkOutput
from landuse.params import Augment

_CHUNK = 64  # tiles that the trunk computes at once
_Ints = npt.NDArray[np.int64]
Autocast = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Cache:
    """Where trunk outputs are kept. tiles: digest of the tile store."""

    shelf: Path
    tiles: str
    limit_gb: float


class Part:
    """One part of the split as the tail of a network gets it: ``Batches`` of ``TrunkOutput`` instead of pixels.

    What the trunk makes of a tile depends on the tile and its view alone, so that it does not matter in which batch it
    is computed, and whether it is kept.

    autocast: makes the context that the trunk runs in.
    """

    def __init__(
        self, model: Classifier, batches: Batches, settings: Augment, views: augment.Views, autocast: Autocast
    ) -> None:
        self._model, self._batches, self._settings, self._views = model, batches, settings, views
        self._autocast = autocast
        self.targets, self.device = batches.targets, batches.device
        self._entries: Entries | None = None

    def keep(self, cache: Cache, what: dict[str, Any]) -> str | None:
        """Keep from now on what is computed, and use what was kept before. what: for whoever lists it.

        Returns:
            Why nothing can be kept, or None.
        """
        example = self._compute(self._batches.rows[:1], np.zeros(1, np.int64))[0]
        key = _key(self._model, self._batches, self._settings, self._views, cache.tiles, example)
        rows, count = len(self._batches.images), self._views.count
        refusal = make_room(cache.shelf, key, len(self._batches.rows) * count * example.nbytes, cache.limit_gb)
        if refusal is None:
            facts = what | {"views": count, "shape": "x".join(map(str, example.shape))}
            bits = f"int{8 * example.element_size()}"
            self._dtype = example.dtype
            self._entries = Entries(cache.shelf / key, rows, count, tuple(example.shape), bits, facts)
        return refusal

    def in_order(self) -> Iterator[tuple[TrunkOutput, Tensor]]:
        """Yield every tile once, unaugmented; as ``Batches.in_order``."""
        rows = self._batches.rows
        chosen = dealt(len(rows), self._batches.batch_size, 0, (0, 1))
        yield from self._yield(rows, np.zeros_like(rows), self.targets, chosen)

    def shuffled(
        self, seed: int, epoch: int, settings: Augment, start: int = 0, part: tuple[int, int] = (0, 1)
    ) -> Iterator[tuple[TrunkOutput, Tensor]]:
        """Yield one epoch in random order, augmented; as ``Batches.shuffled``."""
        assert settings == self._settings
        order, draws = self._batches.drawn(seed, epoch)
        chosen = dealt(len(order), self._batches.batch_size, start, part)
        yield from self._yield(self._batches.rows[order], self._views.of(draws), self.targets[order], chosen)

    def _yield(
        self, rows: _Ints, views: _Ints, targets: _Ints, chosen: list[_Ints]
    ) -> Iterator[tuple[TrunkOutput, Tensor]]:
        """Yield batches by their positions in what is given of each tile."""
        wanted = np.concatenate(chosen)
        missing = wanted[self._entries.missing(rows[wanted], views[wanted])] if self._entries else wanted[:0]
        for own in chosen:
            while len(missing) and missing[0] <= own[-1]:
                chunk, missing = missing[:_CHUNK], missing[_CHUNK:]
                self._fill(rows[chunk], views[chunk])
            values = self._get(rows[own], views[own]).to(self.device, non_blocking=True)
            values = values.permute(0, 3, 1, 2) if values.ndim == 4 else values  # channels-last without a copy
            yield TrunkOutput(values), torch.from_numpy(targets[own]).to(self.device, non_blocking=True)

    def _get(self, rows: _Ints, views: _Ints) -> Tensor:
        if self._entries:
            return torch.from_numpy(self._entries.get(rows, views)).view(self._dtype)
        return self._compute(rows, views)

    def _fill(self, rows: _Ints, views: _Ints) -> None:
        if self._entries is None:
            return
        values = self._compute(rows, views).cpu()
        try:
            self._entries.put(rows, views, values.view(getattr(torch, f"int{8 * values.element_size()}")).numpy())
        except OSError as error:
            print(f"trunk outputs are not kept any more ({error.strerror}): training goes on without", flush=True)
            self._entries.close()
            self._entries = None

    def _compute(self, rows: _Ints, views: _Ints) -> Tensor:
        """Return (n, ...) of tiles by row and view; maps as (n, H, W, C)."""
        numbers = torch.from_numpy(self._views.numbers(rows, views)).to(self.device)
        pixels = augment.apply(self._settings, self._batches.pixels(rows), numbers)
        with self._autocast():
            values = self._model.trunk(pixels).values
        return values.permute(0, 2, 3, 1).contiguous() if values.ndim == 4 else values.contiguous()


def parts(
    model: Classifier,
    train: Batches,
    val: Batches,
    settings: Augment,
    views: augment.Views | None,
    autocast: Autocast,
) -> tuple[Batches | Part, Batches | Part]:
    """Return what a phase trains and validates on: pixels, or what the frozen trunk makes of them."""
    if model.halves is None:
        return train, val
    plain = Augment()
    unchanged = augment.views(plain, None, 0, 0)
    assert unchanged is not None  # what is not augmented has one view
    own = Part(model, train, settings, views, autocast) if views else train
    return own, Part(model, val, plain, unchanged, autocast)


def _key(
    model: Classifier, batches: Batches, settings: Augment, views: augment.Views, tiles: str, example: Tensor
) -> str:
    """Digest of all that an entry depends on."""
    assert model.halves is not None
    threads = torch.get_num_threads() if batches.device.type == "cpu" else 0  # another number may round otherwise
    device = torch.cuda.get_device_name() if batches.device.type == "cuda" else batches.device.type
    # what only chooses among the views does not change them
    flips = {"hflip": False, "vflip": False, "dihedral": False}
    facts: list[Any] = [tiles, settings.model_copy(update=flips).model_dump(), repr(views), str(example.dtype)]
    facts += [torch.__version__, device, threads, model.input_size, model.halves.trunk.code]
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for tensor in (model.mean, model.std, *model.halves.trunk.state_dict().values()):
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
