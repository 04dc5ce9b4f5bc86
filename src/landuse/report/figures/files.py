"""How a picture becomes a file.

Make figures by ``matplotlib.figure.Figure``, not by pyplot: pyplot keeps each figure until it is closed, and chooses a
window system for the whole process.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from landuse.core.files import atomic

if TYPE_CHECKING:  # a second to load
    from matplotlib.figure import Figure

DPI = 110


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and in the same bytes each time: no version, no date."""
    with atomic(path) as part:
        figure.savefig(part, dpi=DPI, format="png", metadata={"Software": None})
