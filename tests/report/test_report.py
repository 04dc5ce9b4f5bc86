"""The page as text: what it says, that it is safe, and that it survives what an evaluation can come to."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import reported
from markupsafe import Markup

from landuse.evaluation import metrics
from landuse.report import documents
from landuse.report.gallery import Exhibit, Gallery
from landuse.report.inputs import Explained, Inputs

Found = tuple[Inputs, Explained]

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


def text(found: Found, **sections: Any) -> str:
    """The words of a page without pictures; sections of evaluate.json to replace."""
    inputs, explained = found
    return Page(documents.page(replace(inputs, evaluate=inputs.evaluate | sections), explained, {})).text()


@pytest.fixture(scope="module")
def html(ten: Found) -> str:
    return documents.page(*ten, reported.pictures(*ten))


@pytest.fixture(scope="module")
def words(ten: Found) -> str:
    """The page without its pictures, which take seconds to draw."""
    return documents.page(*ten, {})


def test_the_same_inputs_give_the_same_bytes(ten: Found) -> None:
    assert documents.page(*ten, {}) == documents.page(*reported.found(), {})


@pytest.mark.long
def test_every_section_is_there_and_can_be_reached(html: str) -> None:
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    links = {attrs["href"] for tag, attrs in page.tags if tag == "a"}
    sections = {f"#{attrs['id']}" for tag, attrs in page.tags if tag == "section"}
    assert links - {"#main"} == sections
    assert len(sections) == 16
    names = {attrs.get("aria-labelledby") for tag, attrs in page.tags if tag == "section"}
    assert names <= set(page.ids)
    pictures = [attrs["aria-label"] for tag, attrs in page.tags if tag == "svg"]
    assert len(pictures) == len(set(pictures)) == 13


def test_the_summary_says_what_was_measured(ten: Found, words: str) -> None:
    text = Page(words).text()
    found = ten[0].evaluate
    assert f"the right label for {100 * found['accuracy']['value']:.2f} % of them" in text
    assert f"between {100 * found['accuracy']['low']:.2f} and {100 * found['accuracy']['high']:.2f} %" in text
    assert "clearly better than what needs no deep network" in text
    assert "Its probabilities can be taken at face value" in text
    assert "Knowing only where a tile lies is enough to be right for 66.0 %." in text
    assert "also lets 27.0 % of other land pass" in text


def test_sentences_are_apart(words: str) -> None:
    text = Page(re.sub(r"</(li|p|t[dh]|h[1-3]|d[dt]|div|figcaption|small|title)>", r"</\1> ", words)).text()
    assert re.findall(r"\S*[a-z%)][.:][A-Z]\S*", text) == []


def test_what_was_not_measured_is_left_out_or_said(two: Found) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("ood", "views", "ensemble"))
    inputs = replace(two[0], evaluate=two[0].evaluate | nothing)
    page = Page(documents.page(inputs, replace(two[1], galleries=()), {}))
    assert "How it behaves there was not measured." in page.text()
    assert "was not tested" in page.text()
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert sections == [
        *("summary", "accuracy", "confusion", "labels", "calibration", "abstention", "conformal", "unknown"),
        *("suspects", "training", "data", "provenance"),
    ]
    absent: Any = {key: value for key, value in inputs.evaluate.items() if key not in nothing}
    assert (
        Page(documents.page(replace(inputs, evaluate=absent), replace(two[1], galleries=()), {})).text() == page.text()
    )


def test_without_suspects_it_says_so(two: Found) -> None:
    assert "looks wrong" in text((two[0], replace(two[1], suspects=two[1].suspects.iloc[:0])))


def test_views_and_members_are_told_where_they_were_measured(two: Found) -> None:
    of = {"value": 0.9, "low": 0.8, "high": 0.95}
    gain = {"value": 0.004, "low": -0.001, "high": 0.009}
    members = [{"backbone": "resnet18", "seed": seed, "accuracy": of} for seed in (1, 2)]
    words = text(two, ensemble={"members": members, "gain": gain})
    assert "With 8 views of each tile (flips and turns by right angles), accuracy on 1,000 test tiles is" in words
    assert "Accuracy of member 2 alone resnet18, seed 2" in words
    assert "+0.40 points −0.10 to +0.90" in words


def lost(value: float, width: float = 0.01) -> dict[str, Any]:
    of = {"value": value, "low": value - width, "high": value + width}
    return {"accuracy": of, "macro_f1": of}


def test_what_each_band_is_worth_is_told_from_short_waves_to_long_ones(two: Found) -> None:
    worth = {"B12": lost(0.041), "B8A": lost(0.0), "B02": lost(0.2), "dem": lost(-0.002), "B04": lost(0.005)}
    section = {"accuracy": lost(0.9)["accuracy"], "tiles": 300, "repeats": 3, "lost": worth}
    inputs = replace(two[0], evaluate=two[0].evaluate | {"bands": section})
    page = Page(documents.page(inputs, two[1], {"bands": Markup("<svg></svg>")}))
    words = page.text()
    assert "among 300 test tiles, 3 times" in words
    told = (
        "without B02, blue: 20.00 points (19.00 to 21.00); B12, shortwave infrared: 4.10 points (3.10 to 5.10). Bands"
    )
    assert told in words
    heads = re.findall(r"(B02, blue|B04, red|B8A, near infrared|B12, shortwave infrared|dem) ?[+−]\d", words)
    assert heads == ["B02, blue", "B04, red", "B8A, near infrared", "B12, shortwave infrared", "dem"]
    assert "bands" in page.ids and "bands" not in Page(documents.page(*two, {})).ids
    card = documents.card(inputs, two[1])
    assert "without B02, blue: 20.00 points" in card and "| B8A, near infrared | +0.00 (−1.00 to +1.00) |" in card
    none = {"bands": section | {"lost": {"B02": lost(0.0)}}}
    assert "No band is surely missed alone." in text(two, **none)


@pytest.mark.parametrize(
    ("bands", "told"),
    [
        (["B02", "B03", "B04", "B8A", "B11"], "Beside true colours stand false ones: B8A, B11 and B04 as red, green"),
        (["B8A", "B11"], "Colours are false: B11 as grey, stretched alike in all tiles"),
        (["B12", "B8A", "B05"], "Colours are false: B12, B8A and B05 as red, green and blue, stretched"),
    ],
)
def test_pictures_of_other_bands_are_explained(two: Found, bands: list[str], told: str) -> None:
    inputs = replace(two[0], data=two[0].data | {"bands": bands})
    assert told in text((inputs, two[1]))
    assert "colours" not in text(two)


@pytest.mark.long
def test_names_cannot_become_markup() -> None:
    evil = ["<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "it's | a 'label'"]
    found = reported.found(evil, 200, 50, paint=lambda _: np.full((64, 64, 3), 90, dtype=np.uint8))
    html = documents.page(*found, reported.pictures(*found))
    page = Page(html)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert "<script>alert(1)" not in html
    assert "<script>alert(1)</script>" in page.text()


@pytest.mark.long
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
    names = [f"Class{i:02}" for i in range(count)]
    words = text(reported.found(names, 15 * count + 100, 100))
    assert ("Confusion matrix of the test tiles" in words) == ("Hover over the picture for names" not in words)
    assert ("The commonest confusions" in words) == (count > 2)
    assert all(name in words for name in names)


@pytest.fixture
def measured(two: Found) -> Callable[..., str]:
    """The words of a report on hand-made answers, all of them certain."""

    def words(truth: list[int], predicted: list[int], names: list[str]) -> str:
        told, said = np.array(truth), np.array(predicted)
        inputs, explained = reported.found(names, 60, 20) if len(names) > 2 else two
        matrix = metrics.confusion(told, said, len(names))
        sections = reported.measured(names, told, np.eye(len(names))[said])
        return text((inputs, replace(explained, confusion=matrix)), **sections)

    return words


def test_a_test_split_without_a_label_is_named(measured: Callable[..., str]) -> None:
    words = measured([0, 0, 1, 1], [0, 0, 1, 0], ["City", "Water", "Farmland"])
    assert "No test tile shows Farmland" in words
    assert "undefined" in words


def test_one_tile_of_each_label_without_errors(measured: Callable[..., str]) -> None:
    words = measured([0, 1], [0, 1], ["City", "Farmland"])
    assert "without a single error" in words
    assert "Only 2 tiles tested it" in words
    assert "is weakest on" not in words


def test_a_model_no_better_than_guessing_is_not_praised(measured: Callable[..., str]) -> None:
    words = measured([0] * 50 + [1] * 50, [0] * 100, ["City", "Farmland"])
    assert "not clearly better" in words
    assert "use it for nothing" in words
    assert "finds 0.0 %" in words or "weakest on Farmland" in words


def test_scaling_is_told_as_it_was_done(two: Found) -> None:
    def words(scaled: bool = True, **calibration: Any) -> str:
        inputs = replace(two[0], calibration=two[0].calibration.model_copy(update=calibration))
        return text((inputs, two[1]), calibration=inputs.evaluate["calibration"] | {"scaled": scaled})

    assert "divided by a temperature of 1.700, fitted on validation tiles. How that was chosen: scaling" in words()
    assert "raised to the power of 0.800 and divided by a temperature of 1.700" in words(power=0.8)
    assert "left as they are. How that was chosen: it would hurt." in words(scaled=False, reason="it would hurt")


def test_a_model_that_always_answers_is_not_said_to_decline(two: Found) -> None:
    nothing, declining = {"value": None, "low": None, "high": None}, two[0].evaluate["abstention"]
    assert "leave its least certain" in text(two)
    for change in ({"coverage_asked": 1.0}, {"accuracy": nothing, "abstained": two[0].evaluate["n"]}):
        assert "leave its least certain" not in text(two, abstention=declining | change)


def test_a_gallery_without_tiles_says_so_beside_others(two: Found) -> None:
    exhibit = Exhibit("A/1.jpg", np.zeros((8, 8, 3), dtype=np.uint8), None, "A", "A", "A", 0.9)
    galleries = (
        Gallery("errors", "Worst errors", "Wrong ones: none.", ()),
        Gallery("correct", "Correct", "Right.", (exhibit,)),
    )
    assert "Wrong ones: none." in text((two[0], replace(two[1], galleries=galleries)))


def test_simulated_tiles_are_called_so(two: Found) -> None:
    inputs = replace(two[0], spec=two[0].spec.model_copy(update={"source": "sample"}))
    assert "Simulated tiles." in text((inputs, two[1]))
    assert "Simulated tiles." not in text(two)


def test_pictures_beyond_the_budget_are_left_out_and_counted(two: Found) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    exhibits = tuple(Exhibit(f"A/{i}.jpg", noise, noise, "A", "A", "A", 0.9) for i in range(200))
    html = documents.page(two[0], replace(two[1], galleries=(Gallery("errors", "Errors", "All.", exhibits),)), {})
    assert len(html) < 5 * MEGABYTES
    shown = html.count('<img src="data:image/webp') // 2
    assert 20 < shown < 200
    assert f"{200 - shown} more were left out" in Page(html).text()


@pytest.mark.long
def test_the_whole_page_stays_small(html: str) -> None:
    assert len(html) < MEGABYTES


def test_a_tile_of_an_untaught_class_says_so(two: Found) -> None:
    picture = np.zeros((8, 8, 3), dtype=np.uint8)
    exhibits = (
        Exhibit("River/1.jpg", picture, None, "River", None, "City", 0.7),
        Exhibit("Highway/2.jpg", picture, None, "Highway", "City", "City", 0.99, "a note"),
    )
    page = Page(documents.page(two[0], replace(two[1], galleries=(Gallery("g", "G", "About.", exhibits),)), {}))
    alts = [attrs["alt"] for tag, attrs in page.tags if tag == "img"]
    assert alts == [
        "Tile 1.jpg: truth River (not taught), predicted City with 70.0\u00a0%",
        "Tile 2.jpg: truth City, predicted City with 99.0\u00a0%",
    ]
    assert "Highway, a note" in page.text()


def test_missing_ends_of_intervals_are_left_out(two: Found) -> None:
    value = {"value": 0.5, "low": None, "high": None}
    labels = {name: label | {"recall": value} for name, label in two[0].evaluate["labels"].items()}
    words = text(two, accuracy=value, labels=labels)
    assert "None" not in words
    assert "the true figure" not in words
