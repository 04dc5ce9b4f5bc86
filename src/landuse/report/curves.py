"""The training curves as a picture."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from landuse.core.files import atomic

_TRAIN, _VAL = "#4477aa", "#ee6677"  # Paul Tol's bright scheme: safe for colour-blind readers


def draw(history: pd.DataFrame, best_epoch: int, path: Path) -> None:
    """Draw loss, accuracy, macro-F1 and learning rate over epochs, with phase boundaries and the best epoch."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.5), sharex=True, layout="constrained")
    panels = [
        ("Loss", ["train_loss", "val_loss"]),
        ("Accuracy", ["train_accuracy", "val_accuracy"]),
        ("Macro-F1", ["val_macro_f1"]),
        ("Learning rate", ["lr"]),
    ]
    for axis, (title, columns) in zip(axes.flat, panels, strict=True):
        for column in columns:
            colour = _VAL if column.startswith("val") else _TRAIN
            label = {"train": "training", "val": "validation"}.get(column.split("_")[0], "at the start of the epoch")
            axis.plot(history["epoch"], history[column], marker="o", ms=3.5, color=colour, label=label)
        axis.axvline(best_epoch, color="0.35", lw=1, ls=":", label=f"best epoch ({best_epoch})")
        _mark_phases(axis, history)
        axis.set_title(title, loc="left", fontsize=11)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(frameon=False, fontsize=8)
    axes[1, 1].set_yscale("log")
    for axis in axes[1]:
        axis.set_xlabel("epoch")
    with atomic(path) as part:
        figure.savefig(part, dpi=110, format="png", metadata={"Software": None})
    plt.close(figure)


def _mark_phases(axis: Axes, history: pd.DataFrame) -> None:
    starts = history.groupby("phase", sort=False)["epoch"].min()
    if len(starts) < 2:
        return
    for name, start in starts.items():
        if start > 1:
            axis.axvline(start - 0.5, color="0.5", lw=1, ls="--")
        axis.annotate(
            str(name), (start - 0.45, 0.985), xycoords=("data", "axes fraction"), va="top", fontsize=8, color="0.35"
        )
