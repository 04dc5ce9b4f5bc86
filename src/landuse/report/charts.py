"""Which pictures there are: of each, the figure, its text for a screen reader, and whether it is a file too."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from landuse.core.figures import save_figure
from landuse.core.paths import PLOTS
from landuse.report import split_map
from landuse.report import vocabulary as v
from landuse.report.figures import certainty, performance, style, training
from landuse.report.figures.embedding import embedding
from landuse.report.inputs import Explained, Inputs
from landuse.report.tables import contenders, set_sizes

ROWS = 20  # entries of a picture of rows; beyond, the lowest ones


@dataclass(frozen=True)
class _Chart:
    """file: whether it is also drawn to plots/; filled: whether there is something to see."""

    about: str
    draw: Callable[[], Figure]
    file: bool = True
    filled: bool = True


def draw(inputs: Inputs, explained: Explained, folder: Path = PLOTS) -> dict[str, Markup]:
    """Write the files under plots/; return the pictures of the page by name, without those that show nothing."""
    found = {}
    with style.settings():
        for name, chart in _charts(inputs, explained).items():
            if not (chart.file or chart.filled):
                continue
            figure = style.arranged(chart.draw())
            if chart.file:
                save_figure(figure, folder / f"{name}.png")
            if chart.filled:
                found[name] = style.svg(figure, name, chart.about)
    return found


def _charts(inputs: Inputs, explained: Explained) -> dict[str, _Chart]:
    found, ood = inputs.evaluate, inputs.evaluate.get("ood")
    roc, pr = (inputs.curves[inputs.curves["curve"] == kind] for kind in ("roc", "pr"))
    declining, places = found["abstention"], inputs.split.get("nearest_test_to_train_km")
    charts = {
        "contenders": _Chart("Accuracy of the model and of baselines", lambda: _contenders(inputs), file=False),
        "confusion": _Chart(
            "Confusion matrix", lambda: performance.confusion(explained.confusion, inputs.spec.classes)
        ),
        "roc": _Chart("ROC curves", lambda: performance.roc(roc, found["labels"], found["n"]), filled=not roc.empty),
        "pr": _Chart(
            "Curves of precision over recall",
            lambda: performance.precision_recall(pr, found["labels"]),
            filled=not pr.empty,
        ),
        "reliability": _Chart("Reliability diagram", lambda: certainty.reliability(inputs.reliability)),
        "abstention": _Chart(
            "Accuracy over the share of tiles answered",
            lambda: certainty.abstention(
                inputs.abstention, declining["coverage"]["value"], declining["accuracy"]["value"]
            ),
        ),
        "set_sizes": _Chart("Sizes of the prediction sets", lambda: certainty.set_sizes(set_sizes(inputs)), file=False),
        "sets": _Chart("Coverage of each label", lambda: _coverage(inputs), file=False),
        "embedding": _Chart(
            f"Maps of {len(explained.embedding):,} tiles by their features",
            lambda: embedding(explained.embedding, explained.chosen_from),
            filled=not explained.embedding.empty,
        ),
        "training_curves": _Chart(
            "Curves of the training", lambda: training.curves(inputs.history, inputs.train["best_epoch"])
        ),
        "split_map": _Chart(
            "Map of the tiles by their part of the split", lambda: split_map.draw(inputs.tiles, places)
        ),
    }
    if ood:
        scores = {v.SCORES.get(name, name): of["auroc"] for name, of in ood["scores"].items()}
        best = v.SCORES.get(ood["best"], ood["best"])
        charts["scores"] = _Chart("AUROC of each score", lambda: _auroc(scores, best), file=False)
        charts["unknown_classes"] = _Chart(
            f"AUROC of each class, by {best}", lambda: _auroc(_lowest(ood["by_class"]), ""), file=False
        )
    return charts


def _contenders(inputs: Inputs) -> Figure:
    of = contenders(inputs).items()
    colours = [style.BLUE, *[style.RULE] * len(of)]
    entries = [(name, each["accuracy"], colour) for (name, each), colour in zip(of, colours, strict=False)]
    return performance.intervals(entries, "accuracy", low=0.0)


def _coverage(inputs: Inputs) -> Figure:
    conformal = inputs.evaluate["conformal"]
    lowest = _lowest(conformal["by_label"])
    entries = [(name, of, style.BLUE) for name, of in conformal["by_label"].items() if name in lowest]
    return performance.intervals(
        entries, "share of sets that hold the truth", mark=(conformal["coverage_asked"], "asked for")
    )


def _auroc(scores: Mapping[str, v.Interval], best: str) -> Figure:
    ranked = sorted(scores.items(), key=lambda item: -(item[1]["value"] or 0)) if best else scores.items()
    entries = [(name, of, style.BLUE if name == best or not best else style.RULE) for name, of in ranked]
    return performance.intervals(entries, "AUROC", mark=(0.5, "chance"))


def _lowest(found: Mapping[str, v.Interval]) -> dict[str, v.Interval]:
    known = [(name, of) for name, of in found.items() if of["value"] is not None]
    return dict(sorted(known, key=lambda item: (item[1]["value"], item[0]))[:ROWS])
