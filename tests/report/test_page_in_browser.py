"""The page as a person meets it: in Chromium, on a desk and on a phone, by day and by night, without a script too."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import reported
from browser import Browser, chromium

from landuse.report import documents

pytestmark = [pytest.mark.browser, pytest.mark.long]

SIZES = {
    "many": [f"Class{i:02}WithARatherLongName" for i in range(85)],
    "ten": reported.NAMES,
    "two": ["City", "Farmland"],
}
TEXTS = """
const parse = text => {
  const n = text.match(/[\\d.]+/g).map(Number);
  return n.length < 4 ? [...n.slice(0, 3), 1] : n;
};
const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
const light = c => c.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const back = e => {
  const stack = [];
  for (; e; e = e.parentElement) stack.push(parse(getComputedStyle(e).backgroundColor));
  return stack.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
};
const bad = [];
let seen = 0;
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement, style = getComputedStyle(e);
  if (!walk.currentNode.data.trim() || ["SCRIPT", "STYLE", "TITLE", "title", "OPTION"].includes(e.tagName)) continue;
  if (!e.checkVisibility() || e.closest("[aria-hidden=true]")) continue;
  const below = back(e), colour = over(parse(e instanceof SVGElement ? style.fill : style.color), below);
  const [x, y] = [light(colour), light(below)].sort((p, q) => q - p), ratio = (x + .05) / (y + .05);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  seen += 1;
  const told = `${ratio.toFixed(2)} ${e.className.baseVal ?? e.className} ${walk.currentNode.data.trim().slice(0, 40)}`;
  if (ratio < (large ? 3 : 4.5)) bad.push(told);
}
return [seen, bad];
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of reports on few and on many labels."""
    folder, found = tmp_path_factory.mktemp("report"), {}
    for name, labels in SIZES.items():
        file = folder / f"{name}.html"
        made = reported.found(labels, 15 * len(labels) + 200, 300)
        file.write_text(documents.page(*made, reported.pictures(*made)), encoding="utf-8")
        found[name] = file.as_uri()
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


def requests_of(browser: Browser) -> list[str]:
    """Addresses that the page asked for since the log was last read; data URIs hold their content themselves."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("data:")]


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_asked_for_nothing_fails_and_nothing_sticks_out(
    browser: Browser, pages: dict[str, str], size: str
) -> None:
    for width in (360, 1280):
        browser.look(width)
        browser.log("performance")
        browser.open(pages[size])
        assert requests_of(browser) == [pages[size]]
        assert browser.log("browser") == []
        assert browser.run("return document.documentElement.scrollWidth") <= width
        browser.run("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
        assert browser.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("size", SIZES)
def test_all_text_can_be_read_by_day_and_by_night(browser: Browser, pages: dict[str, str], size: str) -> None:
    colours = []
    for dark in (False, True):
        browser.look(1280, dark=dark)
        browser.open(pages[size])
        browser.run("document.querySelectorAll('details').forEach(fold => { fold.open = true; })")
        seen, bad = browser.run(TEXTS)
        assert seen > 200 and bad == []
        colours.append(browser.run("return getComputedStyle(document.querySelector('section')).backgroundColor"))
    assert colours[0] != colours[1]


def test_a_screen_reader_finds_its_way(browser: Browser, pages: dict[str, str]) -> None:
    browser.look(1280)
    browser.open(pages["ten"])
    levels = browser.run("return [...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])")
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert browser.run("return [...document.images].every(i => i.alt.trim() && i.naturalWidth > 0)")
    assert browser.run(
        "return [...document.querySelectorAll('table')].every(t => t.caption && t.tHead.querySelector('[scope=col]'))"
    )
    named: dict[str, list[str]] = {}
    for role, name in browser.accessible():
        named.setdefault(role, []).append(name)
    assert len(named["main"]) == 1 and named["navigation"] == ["Contents"]
    for role in ("button", "link", "image", "combobox", "table", "region"):
        assert named[role] and all(name.strip() for name in named[role]), role


def column(browser: Browser, table: str, number: int) -> list[str]:
    cells = f"[...document.querySelectorAll('{table} tbody tr')].map(row => row.cells[{number}].dataset.value)"
    return list(browser.run(f"return {cells}"))


def test_a_head_sorts_its_column_both_ways(browser: Browser, pages: dict[str, str]) -> None:
    browser.look(1280)
    browser.open(pages["ten"])
    click = "document.querySelector('#labels table').tHead.rows[0].cells[3].querySelector('button').click()"
    for direction, descending in (("descending", True), ("ascending", False)):
        browser.run(click)
        recall = [float(value) for value in column(browser, "#labels table", 3)]
        assert recall == sorted(recall, reverse=descending) and len(set(recall)) > 3
        head = "return document.querySelector('#labels [aria-sort]').getAttribute('aria-sort')"
        assert browser.run(head) == direction


def test_a_gallery_is_filtered_and_its_tiles_enlarged(browser: Browser, pages: dict[str, str]) -> None:
    browser.look(1280)
    browser.open(pages["ten"])
    shown: Any = (
        "return [...document.querySelectorAll('#gallery-correct .tiles > li')].filter(t => t.checkVisibility()).length"
    )
    assert browser.run(shown) == 10
    browser.run("""const select = document.querySelector('#gallery-correct select');
        select.value = 'River'; select.dispatchEvent(new Event('change'))""")
    assert browser.run(shown) == 1
    browser.run("document.querySelector('#gallery-errors .tiles button').click()")
    assert (
        browser.run("return document.querySelector('dialog').open && document.querySelectorAll('dialog img').length")
        == 1
    )
    first = browser.run("return document.querySelector('dialog').innerText")
    browser.run(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}))"
    )
    assert browser.run("return document.querySelector('dialog').innerText") != first


def test_values_show_under_the_pointer(browser: Browser, pages: dict[str, str]) -> None:
    browser.look(1280)
    browser.open(pages["ten"])
    browser.run("document.querySelector('#training').scrollIntoView({behavior: 'instant'})")
    spot = browser.run("""const r = document.querySelector('#training [data-hint] use').getBoundingClientRect();
        return {x: r.x + r.width / 2, y: r.y + r.height / 2}""")
    browser.devtools("Input.dispatchMouseEvent", type="mouseMoved", **spot)
    assert browser.run("return document.querySelector('#hint').innerText").startswith("epoch 1: training ")


def test_without_a_script_everything_is_there(browser: Browser, pages: dict[str, str]) -> None:
    browser.look(360)
    browser.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(pages["ten"])
        roles = [role for role, _ in browser.accessible()]
    finally:
        browser.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert "button" not in roles and "combobox" not in roles
    assert roles.count("table") > 8 and roles.count("image") > 40
