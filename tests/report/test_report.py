"""The page as text: what it says, that it is safe, and that it survives what an evaluation can come to."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reported

from landuse import report
from landuse.evaluation import metrics
from landuse.report.gallery import Exhibit, Gallery

EMPTY = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "wbr"}
MEGABYTES = 1_000_000


class Page(HTMLParser):
    """Tags, attributes and text of a page; checks that tags are closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.ids: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not set(self.open) & {"style", "script", "title"}:
            self.words += data

    def text(self) -> str:
        """The words, with plain blanks."""
        return " ".join(self.words.split())


def named(count: int) -> list[str]:
    return [f"Class{i:02}" for i in range(count)]


def bare(**found: Any) -> report.Inputs:
    """What an evaluation always has, and nothing else."""
    full = reported.inputs(["City", "Farmland"], 300, 10)
    kept = ("accuracy", "macro_f1", "n", "errors", "confidence", "labels", "classes")
    return report.Inputs({key: full.metrics[key] for key in kept} | found, full.spec, full.data)


@pytest.fixture(scope="module")
def full() -> report.Inputs:
    return reported.inputs()


@pytest.fixture(scope="module")
def html(full: report.Inputs) -> str:
    return report.render(full)


def test_the_same_inputs_give_the_same_bytes(html: str) -> None:
    assert report.render(reported.inputs()) == html


def test_every_section_is_there_and_can_be_reached(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    sections = {f"#{attrs['id']}" for tag, attrs in page.tags if tag == "section"}
    assert links - {"#main"} == sections
    assert len(sections) == 15
    names = {attrs.get("aria-labelledby") for tag, attrs in page.tags if tag == "section"}
    assert names <= set(page.ids)


def test_the_summary_says_what_was_measured(full: report.Inputs, html: str) -> None:
    text = Page(html).text()
    found = full.metrics
    assert f"the right label for {100 * found['accuracy']['value']:.2f} % of them" in text
    assert f"between {100 * found['accuracy']['low']:.2f} and {100 * found['accuracy']['high']:.2f} %" in text
    assert "clearly better than what needs no deep network" in text
    assert "Its probabilities can be taken at face value" in text
    assert "Knowing only where a tile lies is enough to be right for 66.0 %." in text
    assert "also lets 27.0 % of other land pass" in text


def test_only_what_always_exists_is_enough() -> None:
    page = Page(report.render(bare()))
    assert "How it behaves there was not measured." in page.text()
    assert "was not tested" in page.text()
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert sections == ["summary", "accuracy", "labels", "unknown", "data", "provenance"]


def test_null_sections_and_empty_tables_count_as_absent(full: report.Inputs) -> None:
    nothing = dict.fromkeys(("calibration", "abstention", "conformal", "ood", "views"))
    tables = ("history", "roc", "pr", "reliability", "abstention", "embedding")
    emptied: dict[str, Any] = {name: getattr(full, name).iloc[:0] for name in tables}
    page = Page(report.render(replace(full, metrics=full.metrics | nothing, galleries=(), **emptied)))
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert not {"calibration", "abstention", "conformal", "tiles", "embedding", "curves"} & set(sections)
    without_suspects = Page(report.render(replace(full, suspects=full.suspects.iloc[:0])))  # type: ignore[union-attr]
    assert "looks wrong" in without_suspects.text()


def test_names_cannot_become_markup() -> None:
    evil = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "it's | a 'label'"]
    inputs = reported.inputs(evil, 200, 50, paint=lambda _: np.full((64, 64, 3), 90, dtype=np.uint8))
    html = report.render(inputs)
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "<script>alert(1)" not in html
    assert "<script>alert(1)</script>" in page.text()


def test_the_policy_allows_this_style_and_script_and_nothing_else(html: str) -> None:
    (policy,) = [a["content"] for _, a in Page(html).tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None and policy.startswith("default-src 'none'")
    for kind in ("style", "script"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    attributes = [(name, value) for _, attrs in Page(html).tags for name, value in attrs.items()]
    assert not [name for name, _ in attributes if name == "style"]
    outside = [
        value for name, value in attributes if name in ("src", "href") and not (value or "").startswith(("#", "data:"))
    ]
    assert outside == []


@pytest.mark.parametrize("count", [2, 3, 20, 21, 85])
def test_any_number_of_labels(count: int) -> None:
    names = named(count)
    page = Page(report.render(reported.inputs(names, 15 * count + 100, 100)))
    tables = [attrs.get("class") or "" for tag, attrs in page.tags if tag == "table"]
    assert any("matrix" in css for css in tables) == (count <= 20)
    assert ("Heat map of confusions" in {attrs.get("aria-label") for tag, attrs in page.tags if tag == "svg"}) == (
        count > 20
    )
    assert ("The commonest confusions" in page.text()) == (count > 2)
    assert all(name in page.text() for name in names)


def measured(truth: list[int], predicted: list[int], names: list[str]) -> report.Inputs:
    """A report on hand-made answers, all of them certain."""
    told, said = np.array(truth), np.array(predicted)
    found = reported.measured(names, told, np.eye(len(names))[said])
    return replace(reported.inputs(names, 200, 20), metrics=found, confusion=metrics.confusion(told, said, len(names)))


def test_a_test_split_without_a_label_is_named() -> None:
    page = Page(report.render(measured([0, 0, 1, 1], [0, 0, 1, 0], ["City", "Water", "Farmland"])))
    assert "No test tile shows Farmland" in page.text()
    assert "undefined" in page.text()


def test_one_tile_of_each_label_without_errors() -> None:
    page = Page(report.render(measured([0, 1], [0, 1], ["City", "Farmland"])))
    assert "without a single error" in page.text()
    assert "Only 2 tiles tested it" in page.text()
    assert "is weakest on" not in page.text()


def test_a_model_no_better_than_guessing_is_not_praised() -> None:
    page = Page(report.render(measured([0] * 50 + [1] * 50, [0] * 100, ["City", "Farmland"])))
    assert "not clearly better" in page.text()
    assert "use it for nothing" in page.text()
    assert "finds 0.0 %" in page.text() or "weakest on Farmland" in page.text()


def test_scaling_is_told_as_it_was_done(full: report.Inputs) -> None:
    def text(**found: Any) -> str:
        calibration = full.metrics["calibration"] | found
        return Page(report.render(replace(full, metrics=full.metrics | {"calibration": calibration}))).text()

    assert "divided by a temperature of 1.700, fitted on validation tiles: scaling lowers" in text()
    assert "raised to the power of 0.800 and divided by a temperature of 1.700" in text(power=0.8)
    assert "left as they are: it would hurt." in text(scaled=False, reason="it would hurt")


def test_a_model_that_always_answers_is_not_said_to_decline(full: report.Inputs) -> None:
    nothing = {"value": None, "low": None, "high": None}
    for change in ({"coverage_asked": 1.0}, {"accuracy": nothing, "abstained": full.metrics["n"]}):
        found = full.metrics | {"abstention": full.metrics["abstention"] | change}
        assert "leave its least certain" not in Page(report.render(replace(full, metrics=found))).text()


def test_a_gallery_without_tiles_says_so_beside_others() -> None:
    exhibit = Exhibit("A/1.jpg", np.zeros((8, 8, 3), dtype=np.uint8), None, "A", "A", "A", 0.9)
    galleries = (
        Gallery("errors", "Worst errors", "Wrong ones: none.", ()),
        Gallery("correct", "Correct", "Right.", (exhibit,)),
    )
    assert "Wrong ones: none." in Page(report.render(replace(bare(), galleries=galleries))).text()


def test_simulated_tiles_are_called_so() -> None:
    inputs = bare()
    page = Page(report.render(replace(inputs, spec=dict(inputs.spec) | {"source": "sample"})))
    assert "Simulated tiles." in page.text()


def test_pictures_beyond_the_budget_are_left_out_and_counted() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    exhibits = tuple(Exhibit(f"A/{i}.jpg", noise, noise, "A", "A", "A", 0.9) for i in range(200))
    gallery = Gallery("errors", "Errors", "All of them.", exhibits)
    html = report.render(replace(bare(), galleries=(gallery,)))
    assert len(html) < 5 * MEGABYTES
    shown = html.count('<img src="data:image/webp') // 2
    assert 20 < shown < 200
    assert f"{200 - shown} more were left out" in Page(html).text()


def test_the_whole_page_stays_small(html: str) -> None:
    assert len(html) < MEGABYTES


def test_a_tile_of_an_untaught_class_says_so() -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    exhibits = (
        Exhibit("River/1.jpg", picture, None, "River", None, "City", 0.7),
        Exhibit("Highway/2.jpg", picture, None, "Highway", "City", "City", 0.99, "a note"),
    )
    page = Page(report.render(replace(bare(), galleries=(Gallery("g", "G", "About.", exhibits),))))
    alts = [attrs["alt"] for tag, attrs in page.tags if tag == "img"]
    assert alts == [
        "Tile 1.jpg: truth River (not taught), predicted City with 70.0\u00a0%",
        "Tile 2.jpg: truth City, predicted City with 99.0\u00a0%",
    ]
    assert "Highway, a note" in page.text()


def test_missing_ends_of_intervals_are_left_out(full: report.Inputs) -> None:
    value = {"value": 0.5, "low": None, "high": None}
    labels = {name: label | {"recall": value} for name, label in full.metrics["labels"].items()}
    page = Page(report.render(replace(full, metrics=full.metrics | {"accuracy": value, "labels": labels})))
    assert "None" not in page.text()
    assert "the true figure" not in page.text()


def test_the_split_map_and_untaught_tiles_of_the_embedding_are_shown(full: report.Inputs) -> None:
    table = pd.concat([full.embedding, full.embedding.iloc[:5].assign(label="", split="aside", correct=False)])  # type: ignore[union-attr]
    html = report.render(replace(full, split_map=b"\x89PNG", embedding=table))
    assert 'src="data:image/png;base64,iVBORw==' in html
    assert html.count("aside s-aside strange") == 2 * 5
