"""Files are written whole or not at all, in the same bytes for the same content."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # half a second to load
    import pandas as pd


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` to write to or ``mkdir``; it becomes ``path`` if all goes well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    _remove(part)  # what a killed run left; DVC keeps two runs from writing the same output
    try:
        yield part
        if part.is_dir() or path.is_dir():
            _remove(path)  # replace puts a folder over nothing but an empty one, and a file over no folder
        part.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # an error of write() names no file
        raise
    finally:
        _remove(part)


def write_json(path: Path, content: Any) -> None:
    """Write sorted, indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 with Unix line ends on every system, so that digests agree."""
    with atomic(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index; floats keep nine significant digits."""
    with atomic(path) as part:
        table.to_csv(part, index=False, float_format="%.9g", lineterminator="\n")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
