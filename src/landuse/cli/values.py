"""What people type, read and checked."""

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

Arguments = dict[str, dict[str, Any]]  # as argparse takes them
# the function, what it is about, and its arguments, or what gives them where that takes long to load
Command = tuple[Callable[[argparse.Namespace], None], str, Arguments | Callable[[], Arguments]]
MODEL: Arguments = {
    "--model": {"metavar": "DIR", "default": "models/export",
                "help": "as 'dvc repro export' makes it, or an MLflow URI like models:/NAME@ALIAS "
                        "(default: %(default)s)"},
}  # fmt: skip


def whole(low: int, high: int, unit: str = "") -> Callable[[str], int]:
    """Return what reads a whole number."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number: give {low} to {high}") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text[:40]}{unit}: give {low} to {high}")
        return number

    return read


def share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: give a share, 0 to 1")
    return number


def day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no day: give one like 2024-06-30") from None


def path(text: str) -> Path:
    if not text or any(len(part.encode()) > 255 for part in text.split("/")):
        raise argparse.ArgumentTypeError("the name of a file has 1 to 255 bytes")
    return Path(text)


def change(text: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: give KEY=VALUE, like train.recipe=full")
    try:
        return key, yaml.safe_load(value)
    except (yaml.YAMLError, ValueError):  # ValueError: a number too long, a date that is none
        raise argparse.ArgumentTypeError(f"{text[:80]!r}: the value is not YAML") from None
