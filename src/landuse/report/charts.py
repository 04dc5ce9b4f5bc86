"""Which pictures there are: of each, the figure, its text for a screen reader, and whether it is a file too."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from landuse.core.paths import PLOTS
from landuse.report import bands, split_map
from landuse.report import vocabulary as v
from landuse.report.figures import certainty, performance, style, training
from landuse.report.figures.bands import importance
from landuse.report.figures.embedding import embedding
from landuse.report.figures.files import save_figure
from landuse.report.figures.performance import intervals as compared
from landuse.report.inputs import Explained, Inputs
from landuse.report.tables import contenders, set_sizes

_CHANCE = (0.5, "chance")
ROWS = 20  # entries of a picture of rows; beyond, the lowest ones


@dataclass(frozen=True)
class _Chart:
    """about: its text for a screen reader. file: whether it is drawn to plots/ too; filled: if it shows anything."""

    name: str
    about: str
    figure: Figure
    file: bool = True
    filled: bool = True


def draw(inputs: Inputs, explained: Explained, folder: Path = PLOTS) -> dict[str, Markup]:
    """Write the files under plots/; return the pictures of the page by name, without those that show nothing."""
    found = {}
    with style.settings():
        for chart in _charts(inputs, explained):
            figure = style.arranged(chart.figure)
            if chart.file:
                save_figure(figure, folder / f"{chart.name}.png")
            if chart.filled:
                found[chart.name] = style.svg(figure, chart.name, chart.about)
    return found


def _charts(inputs: Inputs, explained: Explained) -> Iterator[_Chart]:
    found, ood, shown = inputs.evaluate, inputs.evaluate.get("ood"), explained.embedding
    roc, pr = (inputs.curves[inputs.curves["curve"] == kind] for kind in ("roc", "pr"))
    lost = {name: of["accuracy"] for name, of in bands.by_wavelength(inputs).items()}
    limit = [found["abstention"][name]["value"] for name in ("coverage", "accuracy")]
    held, asked = found["conformal"]["by_label"], found["conformal"]["coverage_asked"]
    beside = [(name, each["accuracy"], style.RULE) for name, each in contenders(inputs).items()]
    beside[0] = (*beside[0][:2], style.BLUE)
    yield _Chart("contenders", "Accuracy of the model and of baselines", compared(beside, "accuracy", 0.0), file=False)
    matrix = performance.confusion(explained.confusion, inputs.spec.classes)
    yield _Chart("confusion", "Confusion matrix", matrix)
    curve = performance.roc(roc, found["labels"], found["n"])
    yield _Chart("roc", "ROC curves", curve, filled=not roc.empty)
    curve = performance.precision_recall(pr, found["labels"])
    yield _Chart("pr", "Curves of precision over recall", curve, filled=not pr.empty)
    yield _Chart("reliability", "Reliability diagram", certainty.reliability(inputs.reliability))
    declined = certainty.abstention(inputs.abstention, *limit)
    yield _Chart("abstention", "Accuracy over the share of tiles answered", declined)
    sizes = certainty.set_sizes(set_sizes(inputs))
    yield _Chart("set_sizes", "Sizes of the prediction sets", sizes, file=False)
    lowest = [(name, of, style.BLUE) for name, of in held.items() if name in _lowest(held)]
    covered = compared(lowest, "share of sets that hold the truth", mark=(asked, "asked for"))
    yield _Chart("sets", "Coverage of each label", covered, file=False)
    about = f"Maps of {len(shown):,} tiles by their features"
    yield _Chart("embedding", about, embedding(shown, explained.chosen_from), filled=not shown.empty)
    course = training.curves(inputs.history, inputs.train["best_epoch"])
    yield _Chart("training_curves", "Curves of the training", course)
    places = split_map.draw(inputs.tiles, inputs.split.get("nearest_test_to_train_km"))
    yield _Chart("split_map", "Map of the tiles by their part of the split", places)
    if lost:
        yield _Chart("bands", "Accuracy lost without each band", importance(lost), file=False)
    if ood:
        scores = sorted(ood["scores"].items(), key=lambda item: -(item[1]["auroc"]["value"] or 0))
        colours = {ood["best"]: style.BLUE}
        of_score = [(v.SCORES.get(name, name), of["auroc"], colours.get(name, style.RULE)) for name, of in scores]
        of_class = [(name, of, style.BLUE) for name, of in _lowest(ood["by_class"]).items()]
        yield _Chart("scores", "AUROC of each score", compared(of_score, "AUROC", mark=_CHANCE), file=False)
        about = f"AUROC of each class, by {v.SCORES.get(ood['best'], ood['best'])}"
        yield _Chart("unknown_classes", about, compared(of_class, "AUROC", mark=_CHANCE), file=False)


def _lowest(found: Mapping[str, v.Interval]) -> dict[str, v.Interval]:
    known = [(name, of) for name, of in found.items() if of["value"] is not None]
    return dict(sorted(known, key=lambda item: (item[1]["value"], item[0]))[:ROWS])
