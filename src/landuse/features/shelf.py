"""The folder of all kept sets, ``.landuse/features``, and its limit of size."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from landuse.features.store import FACTS

_GB = 1e9


def folder_of(root: Path) -> Path:
    """Where the sets of a repository lie, for all its experiments."""
    return root / ".landuse" / "features"


def make_room(shelf: Path, key: str, needed: int, limit_gb: float) -> str | None:
    """Remove the sets that were not used for longest until ``needed`` bytes more for ``key`` fit.

    A process that still reads a removed set goes on reading it: its files vanish when it ends.

    Returns:
        Why there is no room, or None: there is.
    """
    shelf.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(shelf).free
    own = _size(shelf / key)
    missing = needed - own
    if needed > limit_gb * _GB:
        return f"it would take {needed / _GB:.1f} GB, train.cache_gb is {limit_gb:g}"
    others = sorted((s for s in sets(shelf) if s.name != key), key=lambda s: (s / FACTS).stat().st_mtime)
    taken = own + sum(_size(each) for each in others)
    for oldest in others:
        if taken + missing <= limit_gb * _GB:
            break
        size = _size(oldest)
        shutil.rmtree(oldest, ignore_errors=True)
        taken, free = taken - size, free + size
    if missing > 0.9 * free:
        return f"it would take {missing / _GB:.1f} GB more, the disk has {free / _GB:.1f} GB free"
    return None


def sets(shelf: Path) -> list[Path]:
    """All kept sets, and what a killed process left of one it was about to make."""
    return sorted(each for each in shelf.glob("*") if (each / FACTS).exists()) if shelf.exists() else []


def listing(root: Path) -> Iterator[str]:
    """One line a set: its size and what it is of."""
    for each in sets(folder_of(root)):
        facts = json.loads((each / FACTS).read_text(encoding="utf-8"))
        what = ", ".join(f"{name} {value}" for name, value in facts.items())
        yield f"{_size(each) / _GB:7.2f} GB  {each.name[:12]}  {what}"


def prune(root: Path) -> str:
    """Remove everything that is kept; say how much it was."""
    shelf = folder_of(root)
    freed = _size(shelf)
    shutil.rmtree(shelf, ignore_errors=True)
    return f"freed {freed / _GB:.2f} GB"


def _size(folder: Path) -> int:
    """Bytes on disk: the files are sparse."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) if folder.exists() else 0
