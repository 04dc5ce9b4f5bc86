"""The page of a change as a reader meets it: in Chromium, on a desk and on a phone."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapped
import numpy as np
import pytest
import rasterio
from browser import Browser, chromium, wait_for
from pages import choose, click, colour, drawn, key, popup, requested, rgba, spot
from PIL import Image

from landuse.inference.view import write_page

pytestmark = [pytest.mark.browser, pytest.mark.long]

ROWS, COLUMNS = 20, 30
CLASSES = ["Farmland", "</script><b>City"]
RED, BLUE = (200, 30, 30), (30, 30, 200)
CLIP = "return ['before', 'after'].map(name => document.querySelector(`.leaflet-${name}-pane`).style.clipPath)"
SHARE = "return Number(document.querySelector('.divider').getAttribute('aria-valuenow'))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A change whose first date is red, and whose second is blue; a corner is masked, and a block is unknown."""
    folder = tmp_path_factory.mktemp("change")
    joint = np.random.default_rng(5).dirichlet([0.4, 0.2, 0.1, 0.3], (ROWS, COLUMNS)).transpose(2, 0, 1)
    joint[:, -4:, -6:] = np.nan
    pictures = [np.full((80, 120, 4), (*paint, 255), dtype=np.uint8) for paint in (RED, BLUE)]
    unknown = np.zeros((ROWS, COLUMNS), dtype=bool)
    unknown[12:16, 8:13] = True
    mapped.write_change(folder, joint.reshape(2, 2, ROWS, COLUMNS), CLASSES, pictures=pictures, unknown=unknown)
    write_page(folder)
    return folder


@pytest.fixture(scope="module")
def rasters(folder: Path) -> dict[str, Any]:
    """Arrays of the files, by their names."""
    found = {}
    for name in ("before", "after", "transitions", "change"):
        with rasterio.open(folder / f"{name}.tif") as file:
            found[name] = file.read()
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def page(browser: Browser, folder: Path) -> Browser:
    """The page, opened and drawn."""
    browser.look(1280)
    browser.log("performance")
    browser.log("browser")
    browser.open((folder / "index.html").as_uri())
    wait_for("the change", lambda: drawn(browser))
    return browser


def dates(page: Browser, tmp_path: Path) -> str:
    """Which date each of nine columns of the land shows, by the colours on the screen: 1 or 2, or ? for neither."""
    page.screenshot(tmp_path / "screen.png")
    screen = np.asarray(Image.open(io.BytesIO((tmp_path / "screen.png").read_bytes())).convert("RGB")).astype(int)
    places = [spot(page, COLUMNS * (i + 0.5) / 9, ROWS / 3) for i in range(9)]
    pixels = [screen[round(place["y"]), round(place["x"])] for place in places]
    near = [[np.abs(pixel - paint).max() < 30 for paint in (RED, BLUE)] for pixel in pixels]
    return "".join({(True, False): "1", (False, True): "2"}.get(tuple(map(bool, found)), "?") for found in near)


def hide_cells(page: Browser) -> None:
    page.run("find('layers').querySelectorAll('input').forEach((input, i) => i && input.click())")
    wait_for("the end of the cells", lambda: not page.run("return document.querySelector('canvas.leaflet-tile')"))


def at_divider(page: Browser) -> tuple[float, float]:
    x, y = page.run("""const box = document.querySelector('.divider').getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];""")
    return x, y


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_asked_for_nothing_fails_and_nothing_sticks_out(page: Browser, folder: Path, width: int) -> None:
    page.look(width)
    page.open((folder / "index.html").as_uri())
    wait_for("the change", lambda: drawn(page))
    assert set(requested(page)) == {(folder / "index.html").as_uri()}
    assert page.log("browser") == []
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.run("return find('fault').hidden")
    assert page.shows("2020-06-12", "2026-06-17")


def test_the_divider_is_dragged_by_mouse_and_the_map_stays(page: Browser, tmp_path: Path) -> None:
    hide_cells(page)
    assert dates(page, tmp_path) in ("1111?2222", "111112222", "111122222")
    centre = "return started.then(({view}) => view.getCenter().toString())"
    clips, before = page.run(CLIP), page.run(centre)
    x, y = at_divider(page)
    for kind, to in (("mousePressed", x), ("mouseMoved", x - 90), ("mouseMoved", x - 180), ("mouseReleased", x - 180)):
        page.devtools("Input.dispatchMouseEvent", type=kind, x=to, y=y, button="left", buttons=1, clickCount=1)
    wait_for("the divider", lambda: abs(at_divider(page)[0] - (x - 180)) < 1)
    assert all(new != old for new, old in zip(page.run(CLIP), clips, strict=True))
    assert dates(page, tmp_path).startswith("11") and dates(page, tmp_path).endswith("222222")
    assert page.run(centre) == before and not popup(page)
    page.devtools("Input.dispatchMouseEvent", type="mouseMoved", x=x + 100, y=y)
    assert abs(at_divider(page)[0] - (x - 180)) < 1  # it was let go


def test_the_divider_is_dragged_by_finger(page: Browser, folder: Path, tmp_path: Path) -> None:
    page.look(390)
    page.devtools("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        page.open((folder / "index.html").as_uri())
        wait_for("the change", lambda: drawn(page))
        hide_cells(page)
        x, y = at_divider(page)
        for kind, points in (("touchStart", [x]), ("touchMove", [x + 60]), ("touchMove", [x + 120]), ("touchEnd", [])):
            page.devtools("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": to, "y": y} for to in points])
        wait_for("the divider", lambda: abs(at_divider(page)[0] - (x + 120)) < 1)
        assert dates(page, tmp_path).startswith("1111111")
        assert page.run("return scrollY") == 0
    finally:
        page.devtools("Emulation.setTouchEmulationEnabled", enabled=False)


def test_the_divider_is_moved_by_keys(page: Browser, tmp_path: Path) -> None:
    hide_cells(page)
    bounds = "return started.then(({view}) => view.getBounds().toBBoxString())"
    before = page.run(bounds)
    page.run("document.querySelector('.divider').focus()")
    for name, code, expected in [("ArrowRight", 39, 52), ("PageDown", 34, 42), ("Home", 36, 0), ("ArrowLeft", 37, 0)]:
        key(page, name, code)
        assert page.run(SHARE) == expected
    assert dates(page, tmp_path) == "222222222"
    key(page, "End", 35)
    assert dates(page, tmp_path) == "111111111"
    assert page.run(bounds) == before


def test_the_divider_stays_in_place_while_the_map_moves(page: Browser, tmp_path: Path) -> None:
    hide_cells(page)
    x, y = at_divider(page)
    page.run("return started.then(({view}) => { view.panBy([60, 20], {animate: false}); })")
    assert at_divider(page) == pytest.approx((x, y), abs=1)
    found = dates(page, tmp_path)
    assert found.startswith("1") and found.endswith("22") and found.count("1") > found.count("2")
    page.run("return started.then(({view}) => { view.setZoom(view.getZoom() + 1, {animate: false}); })")
    assert at_divider(page) == pytest.approx((x, y), abs=1)
    page.look(900)
    share = "const map = find('map').getBoundingClientRect(); return map.x + map.width / 2"
    wait_for("the divider in the middle", lambda: abs(at_divider(page)[0] - page.run(share)) < 1)


def test_changed_cells_take_the_colour_of_their_transition(page: Browser, rasters: dict[str, Any]) -> None:
    shown = rasters["transitions"][0]
    for code in range(4):
        row, column = map(int, np.argwhere(shown == code)[3])
        expected = [0, 0, 0, 0] if code in (0, 3) else [*(37 * code, 0x40, 0xC0), 255]
        assert colour(page, column, row, "before") == colour(page, column, row, "after") == expected
    assert colour(page, COLUMNS - 2, ROWS - 2, "after")[3] == 0
    legend = page.run("return [...document.querySelectorAll('.legend p')].map(p => p.innerText)")
    assert legend == [f"{CLASSES[0]} → {CLASSES[1]}", f"{CLASSES[1]} → {CLASSES[0]}", "unknown land"]


def test_each_side_has_the_land_use_of_its_date(page: Browser, rasters: dict[str, Any]) -> None:
    choose(page, "land use of each date")
    differ = np.argwhere((rasters["before"][0] != rasters["after"][0]) & (rasters["before"][0] != 255))
    for row, column in (map(int, at) for at in differ[[2, -3]]):
        for side in ("before", "after"):
            assert colour(page, column, row, side) == rgba(mapped.COLOURS[rasters[side][0, row, column]])
    assert page.run("return [...document.querySelectorAll('.legend p')].map(p => p.innerText)") == [
        *CLASSES,
        "unknown land",
    ]


def test_probabilities_rise_from_pale_to_dark(page: Browser, rasters: dict[str, Any]) -> None:
    for band, look in enumerate(["probability of change", f"probability of {CLASSES[0]} → {CLASSES[1]}"]):
        choose(page, look)
        plane = rasters["change"][band].astype(int)
        low, high = (np.unravel_index(found, plane.shape)
                     for found in (plane.argmin(), np.where(plane == 255, -1, plane).argmax()))  # fmt: skip
        pale, dark = (colour(page, int(column), int(row), "after") for row, column in (low, high))
        assert sum(pale[:3]) > 600 > sum(dark[:3]) and pale[3] == dark[3] == 255
        assert page.shows("0 %", "100 %")


def test_opacity_and_layers_hold_for_both_dates(page: Browser) -> None:
    page.run("find('opacity').value = 25; find('opacity').dispatchEvent(new Event('input'))")
    layers = "return [...document.querySelectorAll('.leaflet-{}-pane > {}')].map(e => e.style.opacity)"
    assert [page.run(layers.format(side, ".leaflet-layer")) for side in ("before", "after")] == [["0.25"], ["0.25"]]
    page.run("find('layers').querySelectorAll('input').forEach(input => input.click())")
    assert page.run("return document.querySelector('.leaflet-marks-pane canvas')") is None
    assert [page.run(layers.format(side, "*")) for side in ("before", "after")] == [[], []]


def test_a_click_shows_both_dates_and_what_may_have_happened(page: Browser, rasters: dict[str, Any]) -> None:
    for code, heading in enumerate([f"{CLASSES[0]}, unchanged", f"{CLASSES[0]} → {CLASSES[1]}"]):
        row, column = map(int, np.argwhere(rasters["transitions"][0] == code)[5])
        click(page, column, row)
        found = wait_for("the popup", lambda at=f"{row}, {column}": (p := popup(page)).get("Row, column") == at and p)
        assert found["heading"] == heading
        shares = rasters["change"][:, row, column] / 250
        assert found["no change"] == f"{100 * (1 - shares[0]):.1f} %"
        assert found[f"{CLASSES[0]} → {CLASSES[1]}"] == f"{100 * shares[1]:.1f} %"
        assert found[f"{CLASSES[1]} → {CLASSES[0]}"] == f"{100 * shares[2]:.1f} %"
        for side, date in (("before", "2020-06-12"), ("after", "2026-06-17")):
            assert found[date] == CLASSES[rasters[side][0, row, column]]
    for (column, row), heading in [
        ((COLUMNS - 2, ROWS - 2), "No answer: masked, or no data"),
        ((9, 13), "Unknown land"),
    ]:
        click(page, column, row)
        found = wait_for("the popup", lambda said=heading: (p := popup(page)).get("heading") == said and p)
        assert (found["2020-06-12"] == "no answer") == (heading != "Unknown land") and "no change" not in found


def test_unknown_land_is_striped_and_takes_no_colour_of_a_transition(page: Browser) -> None:
    assert colour(page, 9, 13, "after")[3] == 0
    stripes = """return [...document.querySelectorAll('.leaflet-marks-pane canvas')].some(tile =>
        tile.getContext('2d').getImageData(0, 0, tile.width, tile.height).data.some(value => value > 0))"""
    assert page.run(stripes)
    page.run("[...find('layers').querySelectorAll('label')].find(l => l.innerText.trim() === 'unknown land').click()")
    assert not page.run(stripes)


def test_everything_that_can_be_worked_has_a_name(page: Browser) -> None:
    named = page.accessible()
    for role in ("button", "link", "combobox", "checkbox", "slider", "table", "region"):
        names = [name for found, name in named if found == role]
        assert names and all(name.strip() for name in names), role
    assert ("slider", "Divider: 2020-06-12 left of it, 2026-06-17 right of it") in named


def test_without_a_script_the_numbers_are_there(page: Browser, folder: Path) -> None:
    page.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open((folder / "index.html").as_uri())
        names = {name for _, name in page.accessible()}
    finally:
        page.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert {"All changes", f"{CLASSES[0]} → {CLASSES[1]}", "Unknown land"} <= names
    assert any("needs JavaScript" in name for name in names)
