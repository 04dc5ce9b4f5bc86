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
from landuse.model.classifier import Classifier
from landuse.model.halves import TrunkOutput
from landuse.params import Augment
from landuse.training.features.shelf import alone, make_room
from landuse.training.features.store import Entries

_CHUNK = 64  # tiles that the trunk computes at once: libraries round by the size of a batch, not by the place in it
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

    What the trunk makes of a tile depends on the tile and its view alone, to the bit, because it always computes the
    same number of tiles at once. So it does not matter when that is, beside which tiles, and whether it is kept.

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
        images, count = self._batches.images, self._views.count
        first = np.arange(min(_CHUNK, len(images)))
        example = self._compute(first, first % count)
        key = _key(self._model, self._batches, self._settings, self._views, cache.tiles, self._autocast, example)
        shape, bits = tuple(example.shape[1:]), f"int{8 * example.element_size()}"
        facts = what | {"views": count, "shape": "x".join(map(str, shape))}
        try:
            with alone(cache.shelf):
                entries = Entries(cache.shelf / key, len(images), count, shape, bits, facts)
                refusal = make_room(cache.shelf, key, entries.absent(self._batches.rows), cache.limit_gb)
        except OSError as error:
            return f"nothing can be written to .landuse ({error.strerror})"
        if refusal is None:
            self._entries, self._dtype = entries, example.dtype
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
        wanted, sizes = np.concatenate([rows[:0], *chosen]), [len(own) for own in chosen]
        for own, values in zip(chosen, self._values(rows[wanted], views[wanted], sizes), strict=True):
            values = values.permute(0, 3, 1, 2) if values.ndim == 4 else values  # channels-last without a copy
            yield TrunkOutput(values), torch.from_numpy(targets[own]).to(self.device, non_blocking=True)

    def _values(self, rows: _Ints, views: _Ints, sizes: list[int]) -> Iterator[Tensor]:
        """Yield what is kept, in batches of these sizes, computing first what is missing; maps as (B, H, W, C)."""
        entries = self._entries
        if entries is None:
            yield from self._computed(rows, views, sizes)
            return
        missing, first = np.flatnonzero(entries.missing(rows, views)), 0
        for number, size in enumerate(sizes):
            try:
                while len(missing) and missing[0] < first + size:
                    chunk, missing = missing[:_CHUNK], missing[_CHUNK:]
                    values = self._compute(rows[chunk], views[chunk]).cpu()
                    bits = values.view(getattr(torch, f"int{8 * values.element_size()}"))
                    entries.put(rows[chunk], views[chunk], bits.numpy())
            except OSError as error:
                print(f"trunk outputs are not kept any more ({error.strerror}): training goes on without", flush=True)
                self._entries = None
                yield from self._computed(rows[first:], views[first:], sizes[number:])
                return
            kept = entries.get(rows[first : first + size], views[first : first + size])
            yield torch.from_numpy(kept).view(self._dtype).to(self.device, non_blocking=True)
            first += size

    def _computed(self, rows: _Ints, views: _Ints, sizes: list[int]) -> Iterator[Tensor]:
        """Yield batches of these sizes, computed now."""
        wanted = done = 0
        ready: list[Tensor] = []  # from the next batch on
        for size in sizes:
            wanted += size
            while done < wanted:
                chunk = slice(done, done + _CHUNK)
                ready.append(self._compute(rows[chunk], views[chunk]))
                done += len(ready[-1])
            values = torch.cat(ready)
            yield values[:size]
            ready = [values[size:]]

    def _compute(self, rows: _Ints, views: _Ints) -> Tensor:
        """Return (n, ...) of at most a chunk of tiles by row and view; maps as (n, H, W, C)."""
        filled = np.resize(np.arange(len(rows)), _CHUNK)
        numbers = torch.from_numpy(self._views.numbers(rows, views)[filled]).to(self.device)
        pixels = augment.apply(self._settings, self._batches.pixels(rows[filled]), numbers)
        with torch.no_grad(), self._autocast():
            values = self._model.trunk(pixels).values[: len(rows)]
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
    unchanged = augment.views(plain, None, 0)
    assert unchanged is not None  # what is not augmented has one view
    own = Part(model, train, settings, views, autocast) if views else train
    return own, Part(model, val, plain, unchanged, autocast)


def _key(
    model: Classifier,
    batches: Batches,
    settings: Augment,
    views: augment.Views,
    tiles: str,
    autocast: Autocast,
    example: Tensor,
) -> str:
    """Digest of all that an entry depends on.

    example: what some tiles came to. It stands for what has no name: the code, the processor, the libraries.
    """
    assert model.halves is not None
    kind, trunk, images = batches.device.type, model.halves.trunk, batches.images
    with autocast():
        precision = str(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else "fp32"
    threads = torch.get_num_threads() if kind == "cpu" else 0  # another number may round otherwise
    device = torch.cuda.get_device_name() if kind == "cuda" else kind
    facts: list[Any] = [tiles, images.shape, str(images.dtype), settings.model_dump(), repr(views)]
    facts += [torch.__version__, device, threads, precision, str(example.dtype), model.input_size, trunk.code]
    found = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for tensor in (model.mean, model.std, *trunk.state_dict().values(), example):
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
