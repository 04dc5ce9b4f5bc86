"""Settings under dotted names, as ``dvc exp run -S`` writes them: ``recipe.phases.0.lr``."""

from collections.abc import Mapping
from typing import Any

_SHOWN = 4  # of what changed


def flatten(content: Any, prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested tables and lists by their dotted names; an empty one is a leaf."""
    if not isinstance(content, dict | list) or not content:
        return {prefix: content}
    items = content.items() if isinstance(content, dict) else enumerate(content)
    leaves: dict[str, Any] = {}
    for key, value in items:
        leaves |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return leaves


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return what has another value, as (before, after), by name; None stands for a name that one lacks."""
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return {name: (before.get(name), after.get(name)) for name in names}


def what_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Say it on a line: ``train.lr: 0.001 -> 0.01, ...``; empty where nothing has changed."""
    found = [f"{name}: {old} -> {new}" for name, (old, new) in changed(before, after).items()]
    return ", ".join(found[:_SHOWN] + ["..."] * (len(found) > _SHOWN))
