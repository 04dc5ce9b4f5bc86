"""Rows of hectares as text: aligned for people, or CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str]]
_WHOLE = 100  # hectares that are told without a decimal


def aligned(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    """A line of heads, and one a row."""
    lines = [[name for name, _ in columns], *([tell(row) for _, tell in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(_padded(line, widths)).rstrip() for line in lines]


def _padded(line: list[str], widths: list[int]) -> list[str]:
    first, *others = zip(line, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def hectares(value: float | None) -> str:
    return "-" if value is None else f"{value:,.{1 if value < _WHOLE else 0}f}"


def with_error(value: float, error: float) -> str:
    return f"{hectares(value)} \u00b1 {hectares(error)}"


def span(low: float | None, high: float | None) -> str:
    return "-" if low is None else f"{hectares(low)} to {hectares(high)}"


def percent(share: float | None, error: float | None) -> str:
    return "-" if share is None or error is None else f"{100 * share:.1f} \u00b1 {100 * error:.1f} %"


def as_csv(rows: Sequence[Row]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
