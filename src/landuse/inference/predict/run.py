"""From files to a table: threads take so many files at a time, decode and answer them, and rows come in order."""

import math
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from landuse.core.cores import cores
from landuse.core.errors import UserError
from landuse.inference import plausible
from landuse.inference.layers import given
from landuse.inference.model import BATCH, Model, Predictions
from landuse.inference.predict.decoding import Tile, decode
from landuse.inference.predict.listing import File, count, files
from landuse.inference.predict.tables import Place, Row, table
from landuse.pictures import BadTile
from landuse.sensors.layers import Layer

_AHEAD = 2  # batches a thread that wait for their turn to be written


@dataclass(frozen=True)
class _Answers:
    """Of a batch of files, in order. fault: what most tiles have that are enough to tell of all; else ""."""

    rows: list[Row]
    places: list[Place | None]
    notes: list[str]
    fault: str


def run(
    paths: Sequence[str],
    model: Model,
    out: Path | None,
    check_values: bool = True,
    named: Sequence[tuple[str, str]] = (),
) -> int:
    """Answer the tiles of all files, and write a row for each; see ``listing.files`` and ``tables.table``.

    model: with one thread; each batch is answered by one of as many threads as there are cores. named: its layers, name
    and path of each.

    Returns:
        The number of files without an answer.

    Raises:
        UserError: a path leads to nothing, there is no such format, or the first files are in other units.
    """
    layers = given(model.spec, named)
    total, threads = count(paths), cores()
    located = out is not None and out.suffix == ".gpkg"
    answer = partial(_answer, model, layers, check_values, located)
    unwatched = True if out is None and sys.stdout.isatty() else None  # the rows themselves are to be seen there
    failed, nowhere, strange, told = 0, 0, 0, set[str]()
    with (
        warnings.catch_warnings(),
        ThreadPoolExecutor(threads) as pool,
        table(out) as write,
        tqdm(total=total, desc="tiles", unit="tile", disable=unwatched, mininterval=0.5) as bar,
    ):
        warnings.filterwarnings("ignore", module="PIL")  # what it warns of is refused or settled, file by file
        warnings.filterwarnings("ignore", message="Dataset has no geotransform")  # as good, only without a place
        for number, answers in enumerate(_in_order(pool, answer, _batches(files(paths)), _AHEAD * threads)):
            if number == 0 and answers.fault:
                raise UserError(
                    f"the tiles are not in this model's units: {answers.fault}. It takes {model.spec.units}; "
                    "--any-values answers all the same"
                )
            for note in sorted(set(answers.notes) - told):
                tqdm.write(f"landuse: {note}", file=sys.stderr)
            told.update(answers.notes)
            write(answers.rows, answers.places)
            failed += sum(row.error is not None for row in answers.rows)
            nowhere += located * answers.places.count(None)
            strange += sum(row.ood is not None and row.ood > 1 for row in answers.rows)
            bar.update(len(answers.rows))
    if strange:
        print(f"landuse: tiles unlike the training tiles, whose labels are a guess: {strange:,}", file=sys.stderr)
    if nowhere:
        print(f"landuse: rows without a point, since the file tells no place: {nowhere:,}", file=sys.stderr)
    return failed


def _batches(found: Iterable[File]) -> Iterator[list[File]]:
    rest = iter(found)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[list[File]], _Answers], batches: Iterator[list[File]], ahead: int
) -> Iterator[_Answers]:
    """Yield the results of work in the order of its batches, of which at most ``ahead`` are in hand."""
    waiting: deque[Future[_Answers]] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(work, batch))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _answer(model: Model, layers: Sequence[Layer], check_values: bool, located: bool, batch: list[File]) -> _Answers:
    found = [_decoded(file, model, layers) for file in batch]
    order = [i for i, tile in enumerate(found) if isinstance(tile, Tile)]
    tiles = [tile for tile in found if isinstance(tile, Tile)]
    errors = [tile if isinstance(tile, str) else None for tile in found]
    rows = [Row(file.name, error=error) for file, error in zip(batch, errors, strict=True)]
    faults = [""] * len(tiles)
    if tiles:
        pixels = np.stack([tile.pixels for tile in tiles])
        if check_values:
            faults = plausible.faults(pixels, model.spec)
        answers = _columns(model.predict(pixels, check_values=False))
        for i, fault, answer in zip(order, faults, answers, strict=True):
            rows[i] = Row(batch[i].name, error=fault) if fault else Row(batch[i].name, *answer)
    return _Answers(
        rows=rows,
        places=_degrees(found) if located else [None] * len(found),
        notes=[tile.note for tile in tiles if tile.note],
        fault=plausible.shared(faults) if len(tiles) >= plausible.COMPANY else "",
    )


def _decoded(file: File, model: Model, layers: Sequence[Layer]) -> Tile | str:
    try:
        return decode(file.read(), model.spec, layers)
    except BadTile as error:
        return str(error)


def _columns(answers: Predictions) -> Iterator[tuple[Any, ...]]:
    """The fields of a Row from label to ood, tile by tile."""
    names = answers.classes
    order = answers.probabilities.argsort(axis=1, kind="stable")[:, ::-1][:, :2]
    largest = np.take_along_axis(answers.probabilities, order, axis=1).tolist()
    oods = [None if math.isnan(ood) else ood for ood in answers.ood.tolist()]
    sets = [tuple(name for name, inside in zip(names, row, strict=True) if inside) for row in answers.sets.tolist()]
    for (first, second), (p, q), *rest in zip(
        order.tolist(), largest, answers.entropy.tolist(), answers.abstained.tolist(), sets, oods, strict=True
    ):
        yield (names[first], p, names[second], q, *rest)


def _degrees(found: Sequence[Tile | str]) -> list[Place | None]:
    """Longitude and latitude of the tiles' centres."""
    places: list[Place | None] = [None] * len(found)
    here = [(i, tile.place) for i, tile in enumerate(found) if isinstance(tile, Tile) and tile.place]
    for crs in {crs for _, (crs, _, _) in here}:
        from rasterio.warp import transform

        rows, xs, ys = zip(*[(i, x, y) for i, (its, x, y) in here if its == crs], strict=True)
        for i, longitude, latitude in zip(rows, *transform(crs, "EPSG:4326", xs, ys), strict=True):
            places[i] = (longitude, latitude)
    return places
