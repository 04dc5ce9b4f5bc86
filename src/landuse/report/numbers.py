"""Numbers as people read them. An interval is {"value", "low", "high"}, with None for what is undefined."""

from collections.abc import Mapping
from typing import Any

from landuse.report.blocks import Cell

GAP = "\u00a0"  # a blank that no line breaks at
UNDEFINED = "undefined"

Interval = Mapping[str, Any]


def percent(value: float | None, digits: int = 1) -> str:
    """0.9817 -> 98.2 %."""
    return UNDEFINED if value is None else f"{100 * value:.{digits}f}{GAP}%"


def level(confidence: float) -> str:
    """0.95 -> 95 %, without a decimal that is not there."""
    return f"{100 * confidence:g}{GAP}%"


def digits(interval: Interval) -> int:
    """Decimals of a percentage that its interval justifies: two where it is narrower than a point."""
    low, high = interval.get("low"), interval.get("high")
    return 2 if low is not None and high is not None and high - low < 0.01 else 1


def span(interval: Interval, places: int | None = None) -> str:
    """The ends of an interval in percent, without the sign: 97.7 to 98.5; empty where there are none."""
    if interval.get("low") is None or interval.get("high") is None:
        return ""
    places = digits(interval) if places is None else places
    return f"{100 * interval['low']:.{places}f} to {100 * interval['high']:.{places}f}"


def between(interval: Interval) -> str:
    """97.7 and 98.5 %."""
    return f"{span(interval).replace(' to ', ' and ')}{GAP}%"


def share(interval: Interval, places: int | None = None) -> str:
    """98.17 %, with as many decimals as its interval justifies, or as are asked for."""
    return percent(interval.get("value"), digits(interval) if places is None else places)


def with_span(interval: Interval) -> str:
    """98.17 % (97.71 to 98.54)."""
    ends = span(interval)
    return share(interval) + (f" ({ends})" if ends else "")


def score(value: float | None, places: int = 4) -> str:
    """A number that is no percentage; a minus sign is one."""
    return UNDEFINED if value is None else f"{value:.{places}f}".replace("-", "\u2212")


def count(number: int, noun: str, plural: str = "") -> str:
    """1 tile, 4,050 tiles."""
    return f"{number:,}{GAP}{noun if number == 1 else plural or noun + 's'}"


def listed(names: list[str], most: int = 6) -> str:
    """a, b and c; of more than ``most`` the first ones and how many are left."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def share_cell(interval: Interval | None, places: int | None = None) -> Cell:
    """A table's cell for a percentage with its interval. places: as in ``share``."""
    if interval is None:
        return Cell("\u2013", value="")
    return Cell(share(interval, places), span(interval, places), interval.get("value"))


def score_cell(interval: Interval | None, places: int = 4) -> Cell:
    """A table's cell for another number with its interval."""
    if interval is None:
        return Cell("\u2013", value="")
    low, high = interval.get("low"), interval.get("high")
    ends = "" if low is None or high is None else f"{score(low, places)} to {score(high, places)}"
    return Cell(score(interval.get("value"), places), ends, interval.get("value"))


def gain_cell(interval: Interval) -> Cell:
    """A table's cell for a difference of percentages, with signs."""
    value, low, high = (
        None if interval.get(key) is None else f"{100 * interval[key]:+.2f}".replace("-", "\u2212")
        for key in ("value", "low", "high")
    )
    return Cell(value or UNDEFINED, f"{low} to {high}" if low and high else "", interval.get("value"))


def count_cell(number: int) -> Cell:
    """A table's cell for a number of things."""
    return Cell(f"{number:,}", value=number)
