"""Tables of answers, written piece by piece: CSV, JSON lines, Parquet, GeoPackage; by the suffix of the file."""

import csv
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from landuse.core.errors import UserError
from landuse.core.files import atomic

_PIECE = 4096  # rows that formats of columns get at once


@dataclass(frozen=True)
class Row:
    """An answer, or the reason that there is none: then all between file and error is None.

    probability: of the label, calibrated. runner_up: the second likeliest class. entropy: as a share of the largest
    possible. abstained: the model is too unsure to answer; the label is its best guess. set: the conformal set.
    ood: out-of-distribution score, above 1 stranger than 95 % of the validation tiles; None where the model has none.
    """

    file: str
    label: str | None = None
    probability: float | None = None
    runner_up: str | None = None
    runner_up_probability: float | None = None
    entropy: float | None = None
    abstained: bool | None = None
    set: tuple[str, ...] | None = None
    ood: float | None = None
    error: str | None = None


COLUMNS = tuple(Row.__dataclass_fields__)
Place = tuple[float, float]  # longitude and latitude, WGS84 degrees
Write = Callable[[list[Row], list[Place | None]], None]


def table(out: Path | None) -> AbstractContextManager[Write]:
    """What takes rows, with the places of their tiles, and makes a file of them, whole or not at all.

    out: None: CSV on standard output, at once.

    Raises:
        UserError: no such format, or a library for it is missing.
    """
    if out is None:
        return _stdout()
    if out.suffix not in _FORMATS:
        raise UserError(f"--out {out}: give a file that ends in {', '.join(_FORMATS)}")
    if out.is_dir():
        raise UserError(f"--out {out} is a folder: name a file")
    if out.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ModuleNotFoundError:
            raise UserError("--out FILE.parquet needs pyarrow: pip install 'landuse[parquet]'") from None
    return _FORMATS[out.suffix](out)


@contextmanager
def _stdout() -> Iterator[Write]:
    yield _csv_to(sys.stdout)


@contextmanager
def _csv(out: Path) -> Iterator[Write]:
    with atomic(out) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield _csv_to(file)


def _csv_to(file: TextIO) -> Write:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)

    def write(rows: list[Row], _: list[Place | None]) -> None:
        writer.writerows(map(_cells, rows))

    return write


def _cells(row: Row) -> list[str | None]:
    numbers = (row.probability, row.runner_up_probability, row.entropy, row.ood)
    probability, second, entropy, ood = (None if value is None else f"{value:.6g}" for value in numbers)
    abstained = None if row.abstained is None else str(row.abstained).lower()
    labels = None if row.set is None else ";".join(row.set)
    return [row.file, row.label, probability, row.runner_up, second, entropy, abstained, labels, ood, row.error]


@contextmanager
def _json_lines(out: Path) -> Iterator[Write]:
    with atomic(out) as part, part.open("w", encoding="utf-8", newline="\n") as file:

        def write(rows: list[Row], _: list[Place | None]) -> None:
            for row in rows:
                content = {
                    name: float(f"{value:.6g}") if isinstance(value, float) else value
                    for name, value in vars(row).items()
                }
                file.write(json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n")

        yield write


@contextmanager
def _parquet(out: Path) -> Iterator[Write]:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {str: pa.string(), float: pa.float32(), bool: pa.bool_(), tuple: pa.list_(pa.string())}
    schema = pa.schema([(name, kinds[_kind(name)]) for name in COLUMNS])
    with atomic(out) as part, parquet.ParquetWriter(part, schema) as writer:

        def put(rows: list[Row], _: list[Place | None]) -> None:
            columns = {name: [getattr(row, name) for row in rows] for name in COLUMNS}
            writer.write_table(pa.table(columns, schema=schema))

        with _in_pieces(put) as write:
            yield write


@contextmanager
def _geopackage(out: Path) -> Iterator[Write]:
    """Points in WGS84; a tile without coordinates is a row without a point."""
    import pyogrio.raw
    import shapely

    with atomic(out) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*extension", category=RuntimeWarning)  # until it is whole

        part.touch()  # where that is forbidden, Python says so; GDAL does not
        part.unlink()

        def put(rows: list[Row], places: list[Place | None]) -> None:
            points = [None if place is None else shapely.Point(place) for place in places]
            fields = [_field(name, rows) for name in COLUMNS]
            try:
                pyogrio.raw.write(
                    part, shapely.to_wkb(points), [values for values, _ in fields], list(COLUMNS),
                    field_mask=[absent for _, absent in fields], layer="predictions", driver="GPKG", crs="EPSG:4326",
                    geometry_type="Point", append=part.exists(),
                )  # fmt: skip
            except RuntimeError as error:  # of GDAL, which does not say what the disk said
                raise UserError(f"{out} cannot be written ({error}): is there space on the disk?") from error

        with _in_pieces(put) as write:
            yield write


def _field(name: str, rows: list[Row]) -> tuple[Any, Any]:
    values = [getattr(row, name) for row in rows]
    absent = np.array([value is None for value in values])
    kind = _kind(name)
    if kind is tuple:
        values = [None if value is None else ";".join(value) for value in values]
    if kind in (str, tuple):
        return np.array(values, dtype=object), None
    filled = [math.nan if value is None and kind is float else value or 0 for value in values]
    return np.array(filled, dtype=np.float64 if kind is float else np.bool_), absent


def _kind(name: str) -> type:
    if name == "set":
        return tuple
    if name == "abstained":
        return bool
    return float if name in ("probability", "runner_up_probability", "entropy", "ood") else str


@contextmanager
def _in_pieces(put: Write) -> Iterator[Write]:
    """Gather rows until they are worth a call of ``put``; at the end what is left, were it nothing."""
    rows: list[Row] = []
    places: list[Place | None] = []

    def write(more: list[Row], where: list[Place | None]) -> None:
        rows.extend(more)
        places.extend(where)
        if len(rows) >= _PIECE:
            put(rows, places)
            rows.clear()
            places.clear()

    yield write
    put(rows, places)


_FORMATS: dict[str, Callable[[Path], AbstractContextManager[Write]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
    ".gpkg": _geopackage,
}
