"""Outputs of stages, checked as they are read: a line names the damaged one, its fault, and the stage that makes it."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from pydantic import TypeAdapter, ValidationError

from landuse.core.errors import UserError

if TYPE_CHECKING:  # who uses a model reads no table
    import pandas as pd

Shape = TypeVar("Shape")


def damaged(path: Path, stage: str, reason: object) -> UserError:
    """The error for an output of a stage that cannot be used. DVC restores or makes anew what is missing."""
    told = f"{path} is damaged, or of another version of landuse ({reason})"
    return UserError(f"{told}: remove it and run 'dvc repro {stage}'")


def read_bytes(path: Path, stage: str) -> bytes:
    """Return the content of an output of a stage, or raise as ``reading`` does."""
    with reading(path, stage):
        return path.read_bytes()


@contextmanager
def reading(path: Path, stage: str) -> Iterator[None]:
    """Name an output of a stage, and the remedy, where it is not there, not given by the disk, or no good: a UserError.

    Inside, a ValueError or OverflowError says what is wrong with it.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"no {path}: run 'dvc repro {stage}' first") from None
    except PermissionError:
        raise  # damaged is nothing: ``user_errors`` has the remedy
    except OSError as error:
        raise damaged(path, stage, error.strerror) from error
    except (ValueError, OverflowError) as error:
        raise damaged(path, stage, error) from error


def read_json(path: Path, stage: str, shape: type[Shape]) -> Shape:
    """Read JSON that a stage wrote; raises UserError where it is missing, damaged, or not as ``as_json`` asks."""
    with reading(path, stage):
        return as_json(path.read_bytes(), shape)


def as_json(content: bytes, shape: type[Shape]) -> Shape:
    """Parse JSON; raises ValueError, with the place, where it is none, or not of this shape.

    shape: its type, a TypedDict of the keys that are used, say; others stay.
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
) -> "pd.DataFrame":
    """Read a table that a stage wrote; raises UserError where it is missing or damaged, or lacks a column.

    columns: the dtypes of those that are used. Text stays text, since a class may be called 2018, or NA; a float that
    is blank is NaN. optional: of those that may be absent.
    """
    import pandas as pd

    known = {**columns, **(optional or {})}
    blank = {name: [""] for name, dtype in known.items() if dtype in ("float64", "Int64")}
    with reading(path, stage):
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            raise ValueError("it ends in the middle of a row")
        table = pd.read_csv(io.BytesIO(content), dtype=known, keep_default_na=False, na_values=blank)
        for name in columns:
            if name not in table.columns:
                raise ValueError(f"it has no column {name!r}")
            if name not in blank and table[name].isna().any():
                raise ValueError(f"row {table[name].isna().argmax() + 1} has no {name}")
    return table


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
