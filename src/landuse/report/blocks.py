"""What a page is made of: sections of paragraphs, tables, figures and pictures. The template knows how each looks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup


@dataclass(frozen=True)
class Cell:
    """note: small print beside the text, such as an interval. value: what sorting compares. css: a class."""

    text: str
    note: str = ""
    value: float | str | None = None
    css: str = ""


@dataclass(frozen=True)
class Table:
    """The first cell of a row is its header. texts: how many columns hold words; the others are set flush right.

    folded: what to click at to see it.
    """

    kind: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    texts: int = 1
    sortable: bool = False
    folded: str = ""
    css: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart.

    legend: (css class of the colour, text). values: the chart's numbers, for those who cannot see it.
    """

    kind: ClassVar[str] = "figure"
    title: str
    chart: Markup
    caption: str = ""
    legend: Sequence[tuple[str, str]] = ()
    values: Table | None = None


@dataclass(frozen=True)
class Figures:
    """Charts, and tables, beside each other."""

    kind: ClassVar[str] = "figures"
    figures: Sequence[Figure | Table]


@dataclass(frozen=True)
class Choice:
    """One way to look at a scatter plot: a value of its radio button and the text beside it."""

    value: str
    text: str
    legend: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Scatter:
    """Points to be coloured in several ways. charts: the same points in several projections."""

    kind: ClassVar[str] = "scatter"
    charts: Sequence[tuple[str, Markup]]
    choices: Sequence[Choice]
    labels: Sequence[str]


@dataclass(frozen=True)
class Picture:
    """A tile. source, overlay: data URIs. labels: what a filter finds it by."""

    source: str
    alt: str
    side: int
    overlay: str = ""
    truth: str = ""
    prediction: str = ""
    probability: str = ""
    wrong: bool = False
    file: str = ""
    note: str = ""
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Pictures:
    """A gallery. about: its question, in a sentence; pictures may be none."""

    kind: ClassVar[str] = "pictures"
    name: str
    title: str
    about: str
    pictures: Sequence[Picture]
    left_out: int = 0


@dataclass(frozen=True)
class Image:
    """A picture that was drawn elsewhere. source: a data URI."""

    kind: ClassVar[str] = "image"
    source: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Section:
    """name: for addresses; short: its title in the table of contents; text: paragraphs above the blocks."""

    name: str
    title: str
    text: Sequence[str] = ()
    blocks: Sequence[Table | Figures | Scatter | Pictures | Image] = field(default_factory=tuple)
    short: str = ""
