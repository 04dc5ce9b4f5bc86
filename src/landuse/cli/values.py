"""What people type, read and checked."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

# the function, what it is about, and the arguments as argparse takes them
Command = tuple[Callable[[argparse.Namespace], None], str, dict[str, dict[str, Any]]]


def whole(low: int, high: int, unit: str = "") -> Callable[[str], int]:
    """Return what reads a whole number; a scene of 4096 pixels takes two gigabytes of memory."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is no whole number: give {low} to {high}") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text[:40]}{unit}: give {low} to {high}")
        return number

    return read


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
