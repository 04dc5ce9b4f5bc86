"""How much accuracy is lost without each band."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from landuse.report import vocabulary as v
from landuse.report.figures import style

_ROW = 0.27  # inches


def importance(lost: Mapping[str, v.Interval]) -> Figure:
    """A bar with its interval for each band, in the order given."""
    figure, axis = style.plain(style.NARROW, 0.85 + _ROW * max(len(lost), 2))
    for place, (name, of) in enumerate(lost.items()):
        axis.barh([place], [of["value"]], height=0.62, color=style.BLUE, zorder=2)
        style.hover(axis.scatter(of["value"], place, s=60, color="none"), [f"{name}: {v.gain(of)}"])
        axis.plot([of["low"], of["high"]], [place, place], color=style.TEXT, lw=1.1, marker="|", ms=6, zorder=3)
    axis.axvline(0, color=style.RULE, lw=1)
    axis.set_yticks(range(len(lost)), list(lost), color=style.TEXT)
    axis.set_ylim(len(lost) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.grid(visible=False, axis="y")
    axis.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}".replace("-", "\u2212"))
    axis.set_xlabel("accuracy lost, points")
    return figure
