"""Pictures: where marks land, what they survive, and how they enter the page."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import reported
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from landuse.report import charts
from landuse.report.figures import certainty, performance, style, training
from landuse.report.figures.bands import importance
from landuse.report.figures.embedding import embedding
from landuse.report.inputs import Explained, Inputs

NOTHING = {"value": None, "low": None, "high": None}
FILES = ["abstention", "confusion", "embedding", "pr", "reliability", "roc", "split_map", "training_curves"]


def svg(draw: Callable[..., Figure], *args: Any, name: str = "it", **kwargs: Any) -> str:
    with style.settings():
        return str(style.svg(draw(*args, **kwargs), name, "a title"))


def hints(picture: str) -> list[str]:
    return [found.text or "" for found in ElementTree.fromstring(picture).iter("title")]


@pytest.fixture(scope="module")
def drawn(two: tuple[Inputs, Explained], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("plots")
    return folder, {name: str(found) for name, found in charts.draw(*two, folder).items()}


@pytest.mark.long
def test_files_and_pictures_of_the_page_are_drawn_in_the_same_bytes_again(
    drawn: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, found = drawn
    again = charts.draw(*reported.found(["City", "Farmland"], 300, 40), tmp_path)
    assert {name: str(picture) for name, picture in again.items()} == found
    assert sorted(file.stem for file in folder.iterdir()) == FILES
    assert set(FILES) < set(found)
    for name in FILES:
        file = folder / f"{name}.png"
        assert file.read_bytes() == (tmp_path / file.name).read_bytes()
        with Image.open(file) as picture:
            assert min(picture.size) > 300 and picture.info.keys() <= {"dpi"}


@pytest.mark.long
def test_pictures_of_the_page_hold_nothing_that_its_policy_forbids(drawn: tuple[Path, dict[str, str]]) -> None:
    _, found = drawn
    ids = [part for picture in found.values() for part in re.findall(r' id="([^"]+)"', picture)]
    assert len(ids) == len(set(ids))
    for picture in found.values():
        tree = ElementTree.fromstring(picture)
        assert not [e.tag for e in tree.iter() if e.tag in ("style", "script", "a", "metadata") or "style" in e.attrib]
        links = [value for e in tree.iter() for key, value in e.attrib.items() if key.endswith("href")]
        assert all(link.startswith(("#", "data:image/png")) for link in links)
        used = {link[1:] for link in links if link.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", picture))
        assert used == set(re.findall(r' id="([^"]+)"', picture))
        assert [e.text for e in tree.iter("text")], "text stays text"
        assert (tree.get("role"), bool(tree.get("aria-label"))) == ("img", True)


def test_names_cannot_become_markup_or_formulas() -> None:
    names = ["<script>x</script>", "$a_b$ & 'c' \"d\""]
    picture = svg(performance.confusion, np.array([[3, 1], [0, 2]]), names)
    assert "<script" not in picture
    words = [e.text for e in ElementTree.fromstring(picture).iter("text")]
    assert words.count(names[0]) == 2 and words.count(names[1]) == 2
    assert hints(picture)[1] == f"{names[0]} → {names[1]}: 1 (25.0\u00a0%)"


def test_marks_land_where_the_axes_say() -> None:
    entries = [
        (name, {"value": value, "low": value - 0.1, "high": value + 0.1}, style.BLUE)
        for name, value in (("a", 0.2), ("b", 0.7))
    ]
    with style.settings():
        (axis,) = performance.intervals(entries, "share", low=0.0, mark=(0.5, "chance")).axes
    dots = [tuple(c.get_offsets()[0]) for c in axis.collections if isinstance(c, PathCollection)]
    assert dots == [(0.2, 0), (0.7, 1)]
    lines = [line.get_xydata() for line in axis.lines[1:]]
    assert np.allclose(lines, [[[0.1, 0], [0.3, 0]], [[0.6, 1], [0.8, 1]]])
    assert axis.lines[0].get_xdata() == [0.5, 0.5]
    low, high = axis.get_xlim()
    assert low == 0 and high >= 1 and axis.yaxis_inverted()


def test_rows_show_undefined_values_without_a_mark_and_shorten_names() -> None:
    entries = [("fine" + 40 * "x", {"value": 0.5, "low": 0.4, "high": 0.6}, style.BLUE), ("none", NOTHING, style.BLUE)]
    picture = svg(performance.intervals, entries, "share")
    assert hints(picture) == ["50.0\u00a0% (40.0 to 60.0)"]
    words = [e.text for e in ElementTree.fromstring(picture).iter("text")]
    assert "–" in words and [word for word in words if word and word.startswith("finexxx") and word.endswith("…")]


@pytest.mark.parametrize("count", [2, 12, 21, 85])
def test_cells_of_a_confusion_lie_in_their_row_and_column(count: int) -> None:
    matrix = np.eye(count, dtype=np.int64) * 9
    matrix[0, count - 1] = 1
    with style.settings():
        (axis,) = performance.confusion(matrix, [f"Class{i}" for i in range(count)]).axes
    (cells,) = axis.collections
    middles = [tuple(path.vertices[:4].mean(axis=0).round(3)) for path in cells.get_paths()]
    assert middles == [(j, i) for i, j in zip(*np.nonzero(matrix), strict=True)]
    colours = [to_hex(colour) for colour in cells.get_facecolors()]
    assert colours[0] != colours[1] and len(set(colours[2:])) == 1  # 9 of 10, 1 of 10 in red, all of them
    assert len(axis.texts) == (count**2 if count <= 20 else 0)


def test_bars_of_bands_stand_in_the_order_given_and_keep_their_intervals() -> None:
    of = {"value": 0.1, "low": 0.05, "high": 0.15}
    figure = importance({"B02, blue": of, "B8A, near infrared": of | {"value": 0.0, "low": -0.02}})
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["B02, blue", "B8A, near infrared"]
    assert [bar.get_width() for bar in axis.patches] == [0.1, 0.0]
    assert [list(line.get_xdata()) for line in axis.lines[:2]] == [[0.05, 0.15], [-0.02, 0.15]]
    assert axis.yaxis_inverted()


def test_curves_of_a_perfect_model_and_no_curve_at_all() -> None:
    points = {"label": ["a", "a", "a"], "x": [0.0, 0.0, 1.0], "y": [0.0, 1.0, 1.0]}
    perfect = {"value": 1.0, "low": 1.0, "high": 1.0}
    labels = {
        "a": {"roc_auc": perfect, "average_precision": perfect},
        "b": {"roc_auc": NOTHING, "average_precision": NOTHING},
    }
    picture = svg(performance.roc, pd.DataFrame(points), labels, 50)
    assert "a: AUC 1.0000 (1.0000 to 1.0000)" in picture
    assert hints(picture)[1] == "a: false positives 0.00\u00a0%, true positives 100.00\u00a0%"
    for draw in (
        lambda table: performance.roc(table, labels, 0),
        lambda table: performance.precision_recall(table, labels),
    ):
        assert "<svg" in svg(draw, pd.DataFrame(points).iloc[:0])


def test_the_weakest_of_many_labels_are_said_to_be_some() -> None:
    points = pd.DataFrame({"label": "a", "x": [0.0, 1.0], "y": [0.9, 1.0]})
    labels = {name: {"roc_auc": {"value": 0.9, "low": None, "high": None}} for name in "abc"}
    assert "ROC, the 1 weakest of 3 labels" in svg(performance.roc, points, labels, 50)


def test_a_single_tile_can_be_drawn() -> None:
    row = {"confidence": 0.7, "accuracy": 1.0, "count": 1, "low": 0.2, "high": 1.0}
    picture = svg(certainty.reliability, pd.DataFrame([{"stage": stage} | row for stage in ("before", "after")]))
    assert hints(picture)[0] == "said 70.0\u00a0%, right 100.0\u00a0% (20.0 to 100.0) of 1"
    curve = pd.DataFrame([{"coverage": 1.0, "accuracy": 1.0, "low": 0.2, "high": 1.0, "threshold": 0.7}])
    assert hints(svg(certainty.abstention, curve, 1.0, 1.0))[-1].startswith("chosen limit: answers 100.0")
    assert "chosen limit" not in svg(certainty.abstention, curve, 0.0, None)
    assert "0 labels: 1\u00a0tile" in hints(svg(certainty.set_sizes, {0: 1}))[0].replace("0\u00a0", "0 ", 1)


@pytest.mark.long
def test_the_history_shows_its_phases_and_the_kept_epoch(two: tuple[Inputs, Explained]) -> None:
    picture = svg(training.curves, two[0].history, 11)
    words = [e.text for e in ElementTree.fromstring(picture).iter("text")]
    assert {"head", "all", "kept epoch (11)", "Learning rate"} <= set(words)
    assert len(hints(picture)) == 12 * 6
    one = two[0].history.iloc[:1]
    assert "kept epoch (1)" in svg(training.curves, one, 1)


def test_errors_in_the_embedding_are_named(two: tuple[Inputs, Explained]) -> None:
    table = two[1].embedding.assign(correct=np.arange(40) % 10 > 0)
    wrong = table[~table["correct"]]
    picture = svg(embedding, table, 900)
    assert hints(picture) == [f"{r.file}: {r.label} → {r.prediction}, {r.split}" for r in wrong.itertuples()]
    words = [e.text for e in ElementTree.fromstring(picture).iter("text")]
    assert {"wrong: 4", f"t-SNE by class ({len(table)} of 900 tiles)"} <= set(words)
    assert words.count("City") == 2  # in the picture and in the legend
