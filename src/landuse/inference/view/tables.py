"""Text and tables as HTML."""

from collections.abc import Iterable, Sequence
from html import escape

from landuse.inference.parts import Interval


def table(caption: str, head: list[str], *bodies: list[list[str]], foot: Sequence[str] = ()) -> str:
    """A table of rows that are HTML already, the first cell of each a head."""
    parts = "".join(f"<tbody>{''.join(_row(row, 1, 'row') for row in body)}</tbody>" for body in bodies)
    parts += f"<tfoot>{_row(foot, 1, 'row')}</tfoot>" if foot else ""
    return f"<table><caption>{caption}</caption><thead>{_row(head, len(head), 'col')}</thead>{parts}</table>"


def scrolled(label: str, content: str) -> str:
    """Tables that scroll sideways, by keys too, where a screen is narrow."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{label}">{content}</div>'


def _row(cells: Sequence[str], heads: int, scope: str) -> str:
    marked = [f'<th scope="{scope}">{cell}</th>' for cell in cells[:heads]]
    return f"<tr>{''.join(marked + [f'<td>{cell}</td>' for cell in cells[heads:]])}</tr>"


def swatch(colour: str) -> str:
    square = f'<rect width="1" height="1" fill="{colour}"/>'
    return f'<svg class="swatch" aria-hidden="true" viewBox="0 0 1 1">{square}</svg>'


def percent(share: float) -> str:
    return f"{100 * share:.1f}\u00a0%"


def hectares(value: float) -> str:
    """As ``landuse area`` tells them: tenths where they are few."""
    return f"{value:,.{1 if value < 100 else 0}f}"


def interval(area: Interval) -> str:
    """Bold, and small the ends of its interval where it has one."""
    ends = f"{hectares(area['low'])} to {hectares(area['high'])}" if area["low"] < area["high"] else ""
    return f"<b>{hectares(area['hectares'])}</b><small>{ends}</small>"


def items(texts: Iterable[str]) -> str:
    return "".join(f"<li>{escape(text)}</li>" for text in texts)
