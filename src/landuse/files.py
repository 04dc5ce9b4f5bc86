"""Outputs of stages: written whole or not at all, in the same bytes for the same content; checked when they are read.

A file that was damaged, or that another version of landuse wrote, is the user's to replace: one line names it, says
what is wrong with it and which stage makes it.
"""

import io
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pandas as pd
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from landuse.errors import UserError

Shape = TypeVar("Shape")


def workspace() -> Path:
    """Return the folder that the pipeline works in: the nearest one, from here upwards, with a dvc.yaml."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise UserError("no dvc.yaml here or above: run from inside the repository")


def damaged(path: Path, stage: str, reason: object) -> UserError:
    """The error for an output of a stage that cannot be used. DVC restores or makes anew what is missing."""
    told = f"{path} is damaged, or of another version of landuse ({reason})"
    return UserError(f"{told}: remove it and run 'dvc repro {stage}'")


def read_bytes(path: Path, stage: str) -> bytes:
    """Return the content of an output of a stage; raises as ``reading`` does."""
    with reading(path, stage):
        return path.read_bytes()


@contextmanager
def reading(path: Path, stage: str) -> Iterator[None]:
    """Name an output of a stage, and the remedy, where it is not there or the disk does not give it: a UserError."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"no {path}: run 'dvc repro {stage}' first") from None
    except PermissionError:
        raise  # damaged is nothing: ``user_errors`` has the remedy
    except OSError as error:
        raise damaged(path, stage, error.strerror) from error


def read_json(path: Path, stage: str, shape: type[Shape]) -> Shape:
    """Read JSON that a stage wrote.

    shape: its type, a TypedDict of the keys that are used, say.

    Raises:
        UserError: it is missing, damaged, or of another shape.
    """
    content = read_bytes(path, stage)
    try:
        return as_json(content, shape)
    except ValueError as error:
        raise damaged(path, stage, error) from None


def as_json(content: bytes, shape: type[Shape]) -> Shape:
    """Parse JSON. Keys that the shape does not name stay.

    Raises:
        ValueError: it is no JSON, or not of this shape; says where.
    """
    found: Shape = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    try:
        TypeAdapter(shape).validate_python(found, strict=True)
    except ValidationError as error:
        raise ValueError(first_fault(error)) from None
    return found


def first_fault(error: ValidationError) -> str:
    """``val.loss: Field required``."""
    fault = error.errors()[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ")


def read_csv(
    path: Path, stage: str, columns: Mapping[str, str], optional: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Read a table that a stage wrote.

    columns: the dtypes of those that are used. Text stays text, since a class may be called 2018, or NA; a float that
    is blank is NaN. optional: of those that may be absent.

    Raises:
        UserError: it is missing or damaged, or lacks a column.
    """
    content = read_bytes(path, stage)
    try:
        return _as_table(content, columns, optional or {})
    except (ValueError, OverflowError) as error:
        raise damaged(path, stage, error) from None


def _as_table(content: bytes, columns: Mapping[str, str], optional: Mapping[str, str]) -> pd.DataFrame:
    if not content.endswith(b"\n"):
        raise ValueError("it ends in the middle of a row")
    known = {**columns, **optional}
    numbers = [name for name, dtype in known.items() if dtype in ("float64", "Int64")]
    table = pd.read_csv(
        io.BytesIO(content),
        dtype=known,
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
    )
    for name in columns:
        if name not in table.columns:
            raise ValueError(f"it has no column {name!r}")
        if name not in numbers and table[name].isna().any():
            raise ValueError(f"row {table[name].isna().argmax() + 1} has no {name}")
    return table


def read_png(path: Path, stage: str) -> bytes:
    """Return a picture that a stage drew, as it stands in the file.

    Raises:
        UserError: it is missing or damaged.
    """
    content = read_bytes(path, stage)
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError) as error:  # as Pillow documents nowhere
        raise damaged(path, stage, error) from None
    return content


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` to write to; on success it becomes ``path``.

    Works for a file and for a folder (``mkdir`` it yourself). Whatever fails inside leaves ``path`` as
    it was and removes the temporary one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    _remove(part)  # what a killed run left; DVC keeps two runs from writing the same output
    try:
        yield part
        if part.is_dir() or path.is_dir():
            _remove(path)  # replace puts a folder over nothing but an empty one, and a file over no folder
        part.replace(path)
    finally:
        _remove(part)


def write_json(path: Path, content: Any) -> None:
    """Write sorted, indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with Unix line ends on every system, so that digests agree."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table without its index; floats keep nine significant digits."""
    with atomic(path) as part:
        table.to_csv(part, index=False, float_format="%.9g", lineterminator="\n")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
