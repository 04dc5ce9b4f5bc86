"""Text for a terminal, at most 120 characters wide, and for Markdown."""

from collections.abc import Sequence
from textwrap import fill

from tabulate import tabulate

_WIDTH = 120


def wrapped(text: str, indent: str = "") -> str:
    """Break a paragraph into lines. indent: of all lines but the first."""
    return fill(text, _WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)


def notes(lines: Sequence[str], markdown: bool) -> str:
    """Return a list of remarks."""
    return "\n".join(f"- {line}" if markdown else wrapped(line, "  ") for line in lines)


def grid(
    heads: Sequence[str], cells: Sequence[Sequence[str]], align: str, markdown: bool, widths: int | list[int | None]
) -> str:
    """Return a table. align: ``l`` or ``r`` a column. widths: of columns in a terminal, where text is wrapped."""
    sides = ["left" if side == "l" else "right" for side in align]
    if markdown:
        heads, *cells = ([_escaped(cell) for cell in row] for row in (heads, *cells))
        return str(tabulate(cells, heads, "github", colalign=sides, disable_numparse=True))
    return str(tabulate(cells, heads, "simple", colalign=sides, maxcolwidths=widths, disable_numparse=True))


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", "<br>")
