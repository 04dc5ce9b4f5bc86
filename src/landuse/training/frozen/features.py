"""Batches of what the frozen prefix makes of tiles: computed where missing, kept, and read again."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from landuse.model.batches import Batches
from landuse.model.classifier import Classifier
from landuse.model.prefix import PrefixOutput
from landuse.params import Augment
from landuse.storage.cache import Cache, Entries, NoRoom
from landuse.training import augment
from landuse.training.epochs import dealt, drawn
from landuse.training.frozen.views import UNCHANGED, Views

_CHUNK = 64  # tiles that the prefix computes at once: libraries round by the size of a batch, not by the place in it
_Ints = npt.NDArray[np.int64]
Autocast = Callable[[], AbstractContextManager[object]]
_Output = tuple[PrefixOutput, Tensor]


class Features:
    """Tiles as the rest of a network gets them: batches of ``PrefixOutput`` instead of pixels.

    What the prefix makes of a tile depends on the tile and its view alone, to the bit, because it always computes the
    same number of tiles at once. So it does not matter when that is, beside which tiles, and whether it is kept.
    """

    def __init__(
        self, model: Classifier, batches: Batches, settings: Augment, own_views: Views, autocast: Autocast
    ) -> None:
        self._model, self._batches, self._settings, self._views = model, batches, settings, own_views
        self._autocast = autocast
        self.targets, self.device = batches.targets, batches.device
        self._entries: Entries | None = None

    def keep(self, cache: Cache, facts: dict[str, Any]) -> str | None:
        """Keep from now on what is computed, and use what was kept before; return why that cannot be, or None.

        facts: for whoever lists it.
        """
        images, count = self._batches.images, self._views.count
        first = np.arange(min(_CHUNK, len(images)))
        example = self._compute(first, first % count)
        facts = facts | {"views": count, "shape": "x".join(map(str, example.shape[1:]))}
        key = self._key(cache.tiles, example)
        try:
            self._entries = cache.open(key, self._batches.rows, len(images), count, _bits(example), facts)
        except NoRoom as refusal:
            return str(refusal)
        except OSError as error:
            return f"nothing can be written to .landuse ({error.strerror})"
        self._dtype = example.dtype
        return None

    def in_order(self) -> Iterator[_Output]:
        """Yield every tile once, unaugmented; as ``Batches.in_order``."""
        rows = self._batches.rows
        yield from self._yield(rows, np.zeros_like(rows), self.targets, 0, (0, 1))

    def shuffled(self, seed: int, epoch: int, start: int = 0, share: tuple[int, int] = (0, 1)) -> Iterator[_Output]:
        """Yield one epoch in random order, augmented; as ``epochs.shuffled``."""
        order, draws = drawn(self._batches, seed, epoch)
        yield from self._yield(self._batches.rows[order], self._views.of(draws), self.targets[order], start, share)

    def _yield(
        self, rows: _Ints, own_views: _Ints, targets: _Ints, start: int, share: tuple[int, int]
    ) -> Iterator[_Output]:
        chosen = dealt(len(rows), self._batches.batch_size, start, share)
        wanted = np.concatenate([rows[:0], *chosen])
        batches = self._values(rows[wanted], own_views[wanted], [len(own) for own in chosen])
        for own, values in zip(chosen, batches, strict=True):
            values = values.permute(0, 3, 1, 2) if values.ndim == 4 else values  # channels-last without a copy
            given = PrefixOutput(values, self._beside(rows[own], own_views[own]))
            yield given, torch.from_numpy(targets[own]).to(self.device, non_blocking=True)

    def _beside(self, rows: _Ints, own_views: _Ints) -> Tensor | None:
        """Return the normalised pixels of tiles by row and view, where the rest of the network gets them, too."""
        assert self._model.cut is not None
        if not self._model.cut.rest_sees_pixels:
            return None
        with torch.no_grad(), self._autocast():
            return self._model.preprocess(self._pixels(rows, own_views))

    def _pixels(self, rows: _Ints, own_views: _Ints) -> Tensor:
        """Return (n, C, H, W) of tiles by row and view."""
        numbers = torch.from_numpy(self._views.numbers(rows, own_views)).to(self.device)
        tiles = self._batches
        return augment.apply(self._settings, tiles.pixels(rows), numbers, tiles.rgb, tiles.layers)

    def _values(self, rows: _Ints, own_views: _Ints, sizes: list[int]) -> Iterator[Tensor]:
        """Yield (B, ...) of these sizes, maps as (B, H, W, C): kept ones, after computing and keeping the missing."""
        entries, first = self._entries, 0
        missing = np.flatnonzero(entries.missing(rows, own_views)) if entries else rows[:0]
        for number, size in enumerate(sizes):
            try:
                while entries and len(missing) and missing[0] < first + size:
                    chunk, missing = missing[:_CHUNK], missing[_CHUNK:]
                    entries.put(rows[chunk], own_views[chunk], _bits(self._compute(rows[chunk], own_views[chunk])))
            except OSError as error:
                print(f"features are not kept any more ({error.strerror}): training goes on without", flush=True)
                entries = self._entries = None
            if entries is None:
                yield from self._computed(rows[first:], own_views[first:], sizes[number:])
                return
            kept = entries.get(rows[first : first + size], own_views[first : first + size])
            yield torch.from_numpy(kept).view(self._dtype).to(self.device, non_blocking=True)
            first += size

    def _computed(self, rows: _Ints, own_views: _Ints, sizes: list[int]) -> Iterator[Tensor]:
        """Yield batches of these sizes, computed now and not kept."""
        wanted = done = 0
        ready: list[Tensor] = []  # from the next batch on
        for size in sizes:
            wanted += size
            while done < wanted:
                chunk = slice(done, done + _CHUNK)
                ready.append(self._compute(rows[chunk], own_views[chunk]))
                done += len(ready[-1])
            values = torch.cat(ready)
            yield values[:size]
            ready = [values[size:]]

    def _compute(self, rows: _Ints, own_views: _Ints) -> Tensor:
        """Return (n, ...) of at most a chunk of tiles by row and view; maps as (n, H, W, C)."""
        filled = np.resize(np.arange(len(rows)), _CHUNK)
        with torch.no_grad(), self._autocast():
            values = self._model.prefix(self._pixels(rows[filled], own_views[filled])).values[: len(rows)]
        return values.permute(0, 2, 3, 1).contiguous() if values.ndim == 4 else values.contiguous()

    def _key(self, tiles: str, example: Tensor) -> str:
        """Digest of all that an entry depends on. example: of some tiles; it stands for code, processor, libraries."""
        model, images, kind = self._model, self._batches.images, self.device.type
        assert model.cut is not None
        with self._autocast():
            precision = str(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else "fp32"
        threads = torch.get_num_threads() if kind == "cpu" else 0  # another number may round otherwise
        device = torch.cuda.get_device_name() if kind == "cuda" else kind
        facts: list[Any] = [tiles, images.shape, str(images.dtype), self._settings.model_dump(), repr(self._views)]
        facts += [torch.__version__, device, threads, precision, str(example.dtype), model.input_size]
        found = hashlib.sha256(json.dumps([*facts, model.cut.prefix.code], sort_keys=True).encode())
        for tensor in (model.mean, model.std, *model.cut.prefix.state_dict().values(), example):
            found.update(_bits(tensor.detach().contiguous().view(-1)).tobytes())
        return found.hexdigest()


def _bits(values: Tensor) -> npt.NDArray[Any]:
    """The same bits as integers: NumPy has no bfloat16."""
    bits: npt.NDArray[Any] = values.cpu().view(getattr(torch, f"int{8 * values.element_size()}")).numpy()
    return bits


def sources(
    model: Classifier, train: Batches, val: Batches, settings: Augment, own_views: Views | None, autocast: Autocast
) -> tuple[Batches | Features, Batches | Features]:
    """Return what a phase trains and validates on: pixels, or what the frozen prefix makes of them."""
    if model.cut is None:
        return train, val
    own = Features(model, train, settings, own_views, autocast) if own_views else train
    return own, Features(model, val, Augment(), UNCHANGED, autocast)
