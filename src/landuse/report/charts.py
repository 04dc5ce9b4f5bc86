"""Charts as inline SVG.

Colours are classes of the page's style sheet, so that dark mode reaches them; values to hover
over are <title> elements, so that they show without a script too. All text is escaped by ``Markup.format``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib.ticker import LogLocator, MaxNLocator

from landuse.report.numbers import Interval, share, with_span

Numbers = npt.ArrayLike
_WIDTH = 350
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 32, 42  # margins; all lengths are units of the viewBox, about a pixel
_ROW = 24  # of a chart of rows
_LETTER = 6.4  # mean width of a letter
_EMPTY = Markup("")


def plain(value: float) -> str:
    """0.25 -> 0.25, without zeros at the end."""
    return f"{value:.10g}".replace("-", "\u2212")


def as_percent(value: float) -> str:
    """0.25 -> 25 %, for ticks."""
    return f"{round(100 * value, 6):g}\u00a0%".replace("-", "\u2212")


@dataclass(frozen=True)
class Scale:
    """An axis. form: how a tick is written; whole: ticks are at whole numbers."""

    label: str
    low: float
    high: float
    form: Callable[[float], str] = plain
    log: bool = False
    whole: bool = False

    def place(self, values: Numbers) -> npt.NDArray[np.float64]:
        """Where values lie, between 0 (low) and 1 (high); those outside come to the edge."""
        found, ends = np.asarray(values, dtype=np.float64), np.array([self.low, self.high])
        if self.log:
            found, ends = np.log10(np.maximum(found, self.low)), np.log10(ends)
        shares: npt.NDArray[np.float64] = np.clip((found - ends[0]) / (ends[1] - ends[0]), 0, 1)
        return shares

    def ticks(self, most: int = 6) -> list[float]:
        """Round values within the scale."""
        even = MaxNLocator(most, steps=[1, 2, 5, 10], integer=self.whole)
        locator = LogLocator(numticks=most) if self.log else even
        slack = 1e-9 * (self.high - self.low)
        values = locator.tick_values(self.low, self.high)
        return [float(round(v, 12)) for v in values if self.low - slack <= v <= self.high + slack]


def around(label: str, values: Numbers, form: Callable[[float], str] = plain, **ends: float) -> Scale:
    """A scale that holds all finite values with a little room. ends: low or high, where one is given."""
    found = np.asarray(values, dtype=np.float64)
    found = found[np.isfinite(found)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return Scale(label, ends.get("low", low - room), ends.get("high", high + room), form)


@dataclass(frozen=True)
class Plane:
    """Two axes to draw on; each method returns marks for ``svg``."""

    x: Scale
    y: Scale
    width: int = _WIDTH
    height: int = 260

    def line(self, x: Numbers, y: Numbers, css: str) -> Markup:
        """A line through the points that are finite."""
        return Markup('<polyline class="line {}" points="{}"/>').format(css, self._path(x, y))

    def band(self, x: Numbers, low: Numbers, high: Numbers, css: str) -> Markup:
        """The area between two lines."""
        back = self._path(np.asarray(x)[::-1], np.asarray(high)[::-1])
        return Markup('<polygon class="band {}" points="{} {}"/>').format(css, self._path(x, low), back)

    def dots(self, x: Numbers, y: Numbers, titles: Sequence[str], css: str | Sequence[str], radius: float) -> Markup:
        """A circle at each point, with its value to hover over. css: of all, or of each."""
        classes = [css] * len(titles) if isinstance(css, str) else css
        mark = Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:g}"><title>{}</title></circle>')
        places = zip(*self._at(x, y), classes, titles, strict=True)
        return _EMPTY.join(mark.format(c, left, top, radius, title) for left, top, c, title in places)

    def bars(self, x: Numbers, low: Numbers, high: Numbers, css: str) -> Markup:
        """A vertical line at each x, such as an interval."""
        left, bottom = self._at(x, low)
        _, top = self._at(x, high)
        mark = Markup('<path class="bar {}" d="M{:.1f} {:.1f}V{:.1f}"/>')
        return _EMPTY.join(mark.format(css, *ends) for ends in zip(left, bottom, top, strict=True))

    def columns(self, x: Numbers, y: Numbers, titles: Sequence[str], css: str, share: float = 0.7) -> Markup:
        """A column of each height at whole numbers x; ``share`` of the room is filled."""
        left, top = self._at(x, y)
        width = share * (self.width - _LEFT - _RIGHT) / (self.x.high - self.x.low)
        mark = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>')
        bottom = self.height - _BOTTOM
        return _EMPTY.join(
            mark.format(css, at - width / 2, upper, width, bottom - upper, title)
            for at, upper, title in zip(left, top, titles, strict=True)
        )

    def upright(self, at: float, css: str, text: str = "") -> Markup:
        """A line over the whole height, with a word at its top."""
        left = self._at([at], [self.y.low])[0][0]
        mark = Markup('<path class="rule {}" d="M{:.1f} {}V{}"/>').format(css, left, _TOP, self.height - _BOTTOM)
        late = self.x.place(at) > 0.7
        label = Markup('<text class="tick" x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
        return mark + label.format(left + (-4 if late else 4), _TOP - 5, "end" if late else "start", text)

    def level(self, at: float, css: str) -> Markup:
        """A line over the whole width."""
        top = self._at([self.x.low], [at])[1][0]
        return Markup('<path class="rule {}" d="M{} {:.1f}H{}"/>').format(css, _LEFT, top, self.width - _RIGHT)

    def svg(self, title: str, *marks: Markup, axes: bool = True) -> Markup:
        """The chart. title: what a screen reader says; axes: whether ticks and labels are drawn."""
        frame = self._axes() if axes else _EMPTY
        return _svg(title, self.width, self.height, frame + _EMPTY.join(marks))

    def _at(self, x: Numbers, y: Numbers) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        across = _LEFT + self.x.place(x) * (self.width - _LEFT - _RIGHT)
        return across, self.height - _BOTTOM - self.y.place(y) * (self.height - _TOP - _BOTTOM)

    def _path(self, x: Numbers, y: Numbers) -> str:
        pairs = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)])
        left, top = self._at(*pairs[:, np.isfinite(pairs).all(axis=0)])
        return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(left, top, strict=True))

    def _axes(self) -> Markup:
        bottom, right = self.height - _BOTTOM, self.width - _RIGHT
        rules, texts = [], []
        for tick in self.y.ticks():
            top = self._at([self.x.low], [tick])[1][0]
            rules.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(_LEFT, top, right))
            texts.append(_text(_LEFT - 6, top + 4, "end", self.y.form(tick)))
        for tick in self.x.ticks():
            left = self._at([tick], [self.y.low])[0][0]
            rules.append(Markup('<path class="grid" d="M{:.1f} {}V{}"/>').format(left, bottom, bottom + 4))
            texts.append(_text(left, bottom + 17, "middle", self.x.form(tick)))
        texts.append(_text((_LEFT + right) / 2, self.height - 6, "middle", self.x.label, "axis"))
        texts.append(_text(2, 12, "start", self.y.label, "axis"))  # above, where it can be read
        base = Markup('<path class="base" d="M{} {}H{}"/>').format(_LEFT, bottom, right)
        return _EMPTY.join([*rules, base, *texts])


def rows(title: str, entries: Sequence[tuple[str, Interval, str]], scale: Scale, mark: float | None = None) -> Markup:
    """A row for each (name, percentage with interval, css): a dot, a line, the value beside it. mark: a reference."""
    width = _WIDTH
    left = min(140.0, 12 + _LETTER * max((len(name) for name, _, _ in entries), default=0))
    right, bottom = width - 54, _ROW * len(entries) + 6
    room = right - left - 12

    def at(value: float) -> float:
        return left + 6 + room * float(scale.place(value))

    parts = []
    for tick in scale.ticks(4):
        parts.append(Markup('<path class="grid" d="M{0:.1f} 4V{1}"/>').format(at(tick), bottom))
        parts.append(_text(at(tick), bottom + 15, "middle", scale.form(tick)))
    if mark is not None:
        parts.append(Markup('<path class="rule c" d="M{:.1f} 2V{}"/>').format(at(mark), bottom))
    for i, (name, interval, css) in enumerate(entries):
        parts.append(_row(name, interval, css, _ROW * i + 4 + _ROW / 2, left, right, at))
    parts.append(_text((left + right) / 2, bottom + 32, "middle", scale.label, "axis"))
    return _svg(title, width, bottom + 38, _EMPTY.join(parts))


def _row(
    name: str,
    interval: Interval,
    css: str,
    y: float,
    left: float,
    right: float,
    at: Callable[[float], float],
) -> Markup:
    fitting = int((left - 12) / _LETTER)
    short = name if len(name) <= fitting + 1 else name[: fitting - 1] + "\u2026"
    texts = _text(left - 6, y + 4, "end", short, "name")
    value, low, high = (interval.get(key) for key in ("value", "low", "high"))
    if value is None:
        return texts + _text(right + 6, y + 4, "start", "\u2013", "name")
    whisker = _EMPTY
    if low is not None and high is not None:
        whisker = Markup('<path class="bar {}" d="M{:.1f} {:.1f}H{:.1f}"/>').format(css, at(low), y, at(high))
    dot = Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="4.5"><title>{}</title></circle>')
    told = f"{name}: {with_span(interval)}"
    return (
        texts
        + whisker
        + dot.format(css, at(value), y, told)
        + _text(right + 6, y + 4, "start", share(interval), "name")
    )


def heat(title: str, cells: Sequence[tuple[int, int, str, str]], count: int) -> Markup:
    """A square of count x count cells. cells: (row, column, css, title) of those that are not empty."""
    side, size = 400, 400 / count
    mark = Markup('<rect class="{}" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}</title></rect>')
    drawn = [mark.format(css, column * size, row * size, size, size, text) for row, column, css, text in cells]
    frame = Markup('<rect class="frame" x="0" y="0" width="{0}" height="{0}"/>').format(side)
    return _svg(title, side, side, frame + _EMPTY.join(drawn))


def _text(x: float, y: float, anchor: str, text: Any, css: str = "tick") -> Markup:
    mark = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return mark.format(css, x, y, anchor, text)


def _svg(title: str, width: float, height: float, inside: Markup) -> Markup:
    head = Markup('<svg role="img" aria-label="{}" viewBox="0 0 {:g} {:g}">').format(title, width, height)
    return head + inside + Markup("</svg>")
