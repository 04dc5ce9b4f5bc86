"""How pictures look, and how one becomes part of the page."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Paul Tol's bright scheme, safe for colour-blind readers
BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = BRIGHT = (
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb",
)  # fmt: skip
TEXT, QUIET, RULE = "#1b2430", "#566270", "#8a95a1"
NARROW, WIDE = 5.4, 11.2  # inches: half of the page's width, and all of it
_SCALE = 1.25  # pixels of the page for a point

_SETTINGS: Any = {
    "text.parse_math": False,  # a class may be called $x$
    "text.color": TEXT,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": RULE,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dfe4ea",
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
    "legend.edgecolor": "none",
    "legend.fontsize": 9,
    "svg.fonttype": "none",  # text stays text: small, and it can be selected
}
_XLINK = "{http://www.w3.org/1999/xlink}href"
_HREF = re.compile(r"url\(#([^)]+)\)")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")


@contextmanager
def settings() -> Iterator[None]:
    """Draw and save figures in this style."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def new(width: float, height: float) -> Figure:
    """An empty figure; in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def plain(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes and a grid."""
    figure = new(width, height)
    axis = figure.add_subplot()
    axis.grid(True)
    return figure, axis


def arranged(figure: Figure) -> Figure:
    """Give everything its place, once for all files that a figure is saved to."""
    if any(axis.get_subplotspec() for axis in figure.axes):  # there is nothing to arrange otherwise, and it warns
        ConstrainedLayoutEngine().execute(figure)
    figure.set_layout_engine("none")
    return figure


def percent(value: float, _: object = None) -> str:
    """0.25 -> 25 %, for ticks."""
    return f"{round(100 * value, 6):g} %".replace("-", "\u2212")


def hover(marks: Artist, titles: Sequence[str]) -> None:
    """Give each mark of a collection a text that shows under the pointer in the page."""
    marks.set_urls(list(titles))  # type: ignore[attr-defined]  # of collections alone


def svg(figure: Figure, name: str, title: str) -> Markup:
    """Return a figure as an element of the page: the same bytes each time, with nothing that its policy forbids.

    Attributes ``style`` become presentation attributes, and links, which hold the texts of ``hover``, titles. Fonts are
    the page's. ids are unique as long as ``name`` is.
    """
    memory = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(memory, format="svg", metadata=nothing)
    root = ElementTree.fromstring(memory.getvalue().encode())
    used = {part for element in root.iter() for value in element.attrib.values() for part in _HREF.findall(value)}
    used |= {target[1:] for element in root.iter() if (target := element.get(_XLINK, "")).startswith("#")}
    for parent in root.iter():
        for child in list(parent):
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)
    for element in list(root.iter()):
        _clean(element, name, used)
    box = root.attrib["viewBox"]
    root.attrib.clear()
    width = f"{_SCALE * float(box.split()[2]):.0f}"  # of the page's style, at most as much as there is room
    root.attrib |= {"role": "img", "aria-label": title, "viewBox": box, "width": width, "stroke-linejoin": "round"}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _clean(element: ElementTree.Element, name: str, used: set[str]) -> None:
    element.tag = element.tag.split("}")[1]
    found = element.attrib
    for setting in filter(None, found.pop("style", "").split(";")):
        key, value = (part.strip() for part in setting.split(":", 1))
        if key == "font":
            key, value = "font-size", value.split("px")[0].split()[-1] + "px"
        if key != "font-family":
            found[key] = value
    if found.get("id") not in used:
        found.pop("id", None)
    elif "id" in found:
        found["id"] = f"{name}-{found['id']}"
    link = found.pop(_XLINK, None)
    if element.tag == "a" and link is not None:
        element.tag = "g"
        hint = ElementTree.Element("title")
        hint.text = link
        element.insert(0, hint)
    elif link is not None:
        found["href"] = f"#{name}-{link[1:]}" if link.startswith("#") else link
    for key, value in found.items():
        if key in ("d", "x", "y", "transform", "points", "width", "height"):
            value = _NUMBER.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), value)
            found[key] = " ".join(value.split())
        elif "url(#" in value:
            found[key] = _HREF.sub(rf"url(#{name}-\1)", value)
    element.tail = (element.tail or "").strip() or None
    element.text = None if element.text is None or not element.text.strip() else element.text
