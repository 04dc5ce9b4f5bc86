"""What ``landuse cache`` does: list and remove the features that trainings keep."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from landuse.training.frozen.cache import GB, alone, facts_of, folder_of, folders, size_of


def listing(root: Path) -> Iterator[str]:
    """One line for each frozen prefix and augmentation: the size of its features, and what they are of."""
    folder = folder_of(root)
    if not folder.is_dir():
        return
    with alone(folder):
        for each in folders(folder):
            facts = facts_of(each)
            what = "damaged" if facts is None else ", ".join(f"{name} {value}" for name, value in facts.items())
            yield f"{size_of(each) / GB:7.2f} GB  {each.name[:12]}  {what}"


def prune(root: Path) -> str:
    """Remove everything that is kept; say how much it was."""
    folder = folder_of(root)
    if not folder.is_dir():
        return "nothing is kept"
    with alone(folder):
        freed = size_of(folder)
        shutil.rmtree(folder)
    return f"freed {freed / GB:.2f} GB"
