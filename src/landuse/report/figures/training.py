"""The training, epoch by epoch."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, MaxNLocator

from landuse.report.figures import style

_PANELS = {
    "Loss": ["train_loss", "val_loss"],
    "Accuracy": ["train_accuracy", "val_accuracy"],
    "Macro-F1": ["val_macro_f1"],
    "Learning rate": ["lr"],
}
_NAMES = {"train": "training", "val": "validation", "lr": "at the start of the epoch"}


def curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss, accuracy, macro-F1 and learning rate over epochs, with the phases and the epoch that was kept.

    history: plots/history.csv. A classical model has one row, and no learning rate.
    """
    figure = style.new(style.WIDE, 7.4)
    axes = figure.subplots(2, 2, sharex=True)
    for axis, (title, columns) in zip(axes.flat, _PANELS.items(), strict=True):
        if history[columns].isna().all(axis=None):
            axis.set_axis_off()
            continue
        for column in columns:
            colour, name = style.RED if column.startswith("val") else style.BLUE, _NAMES[column.split("_")[0]]
            axis.plot(history["epoch"], history[column], color=colour, lw=1.5, label=name)
            dots = axis.scatter(history["epoch"], history[column], s=14, color=colour, zorder=3)
            told = zip(history["epoch"], history[column], strict=True)
            style.hover(dots, [f"epoch {epoch}: {name} {value:.4g}" for epoch, value in told])
        axis.axvline(best_epoch, color=style.QUIET, lw=1.2, ls=":", label=f"kept epoch ({best_epoch})")
        _mark_phases(axis, history)
        axis.set_title(title)
        axis.grid(True)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend()
    for axis in axes[0, 1], axes[1, 0]:
        axis.yaxis.set_major_formatter(style.percent)
    axes[1, 1].set_yscale("log")
    axes[1, 1].yaxis.set_major_formatter(LogFormatter())
    axes[1, 1].yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
    if len(history) == 1:
        axes[0, 0].set_xticks([1])  # else there would be fractions of it
    for axis in axes[1]:
        axis.set_xlabel("epoch")
    return figure


def _mark_phases(axis: Axes, history: pd.DataFrame) -> None:
    starts = history.groupby("phase", sort=False)["epoch"].min()
    if len(starts) < 2:
        return
    for name, start in starts.items():
        if start > 1:
            axis.axvline(start - 0.5, color=style.RULE, lw=1, ls="--")
        place = (start - 0.45, 0.985)
        axis.annotate(str(name), place, xycoords=("data", "axes fraction"), va="top", fontsize=8, color=style.QUIET)
