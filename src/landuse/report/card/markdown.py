"""Lists, tables and measures in Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def measure(of: Mapping[str, Any]) -> str:
    """Write {"value", "low", "high"}, null where it is undefined."""
    if of["value"] is None:
        return "undefined"
    if of["low"] is None:
        return f"{of['value']:.4f}"
    return f"{of['value']:.4f} ({of['low']:.4f} to {of['high']:.4f})"
