"""The page of a map as a reader meets it: in Chromium, on a desk and on a phone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapped
import numpy as np
import pytest
import rasterio
from browser import Browser, chromium, wait_for
from pages import choose, click, colour, drawn, key, popup, requested, rgba

from landuse.inference.view import write_page

pytestmark = [pytest.mark.browser, pytest.mark.long]

ROWS, COLUMNS = 24, 36
CLASSES = ["Farmland", "</script><b>City", "Forest"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A map with cells masked, unsure, and unlike the training tiles."""
    folder = tmp_path_factory.mktemp("map")
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet([0.3, 0.3, 0.3], (ROWS, COLUMNS)).transpose(2, 0, 1)
    probabilities[:, -4:, -6:] = np.nan
    mapped.write_map(folder, probabilities, rng.uniform(0.1, 6, (ROWS, COLUMNS)), classes=CLASSES)
    write_page(folder)
    return folder


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
    wait_for("the map", lambda: drawn(browser))
    return browser


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_asked_for_nothing_fails_and_nothing_sticks_out(page: Browser, folder: Path, width: int) -> None:
    page.look(width)
    page.open((folder / "index.html").as_uri())
    wait_for("the map", lambda: drawn(page))
    assert set(requested(page)) == {(folder / "index.html").as_uri()}
    assert page.log("browser") == []
    assert page.run("return document.documentElement.scrollWidth") <= width
    assert page.run("return find('fault').hidden")


def test_a_click_shows_the_numbers_of_its_cell(page: Browser, folder: Path) -> None:
    with rasterio.open(folder / "scores.tif") as scores, rasterio.open(folder / "classes.tif") as classes:
        values, shown, transform = scores.read().astype(float), classes.read(1), classes.transform
    for column, row in [(20, 15), (0, 23), (35, 3), (17, 11)]:
        click(page, column, row)
        found = wait_for("the popup", lambda at=f"{row}, {column}": (p := popup(page)).get("Row, column") == at and p)
        assert found["heading"] == CLASSES[shown[row, column]]
        for i, name in enumerate(CLASSES):
            assert found[name] == f"{100 * values[i, row, column] / 250:.1f} %"
        assert found["Doubt (entropy)"] == f"{values[3, row, column] / 250:.2f}"
        assert found["Unsure"].startswith("yes" if values[4, row, column] else "no")
        score = values[5, row, column] / 50
        expected = "5.1 or more" if score > 5.07 else f"{score:.2f}" + (": a stranger" if score > 1 else "")
        assert found["Strangeness (OOD)"] == expected
        x, y = transform @ (column + 0.5, row + 0.5)
        assert found["EPSG:32632"] == f"{x:.0f}, {y:.0f}"
    assert page.run("return document.querySelectorAll('.leaflet-overlay-pane path').length") == 1  # round that cell


def test_a_masked_cell_says_so(page: Browser) -> None:
    click(page, COLUMNS - 2, ROWS - 2)
    found = wait_for("the popup", lambda: popup(page))
    assert found["heading"] == "No answer: masked, or no data" and CLASSES[0] not in found
    assert colour(page, COLUMNS - 2, ROWS - 2)[3] == 0


def test_enter_reads_the_cell_in_the_middle_and_escape_closes_it(page: Browser) -> None:
    page.run("find('map').focus()")
    key(page, "Enter", 13, "\r")
    found = wait_for("the popup", lambda: popup(page))
    row, column = map(int, found["Row, column"].split(", "))
    assert abs(row + 0.5 - ROWS / 2) <= 1 and abs(column + 0.5 - COLUMNS / 2) <= 1
    assert page.run("return find('said').textContent").startswith(found["heading"])
    key(page, "Escape", 27)
    wait_for("its end", lambda: not popup(page))
    assert page.run("return document.querySelectorAll('.leaflet-overlay-pane path').length") == 0


def test_cells_take_the_colours_of_what_is_chosen(page: Browser, folder: Path) -> None:
    with rasterio.open(folder / "scores.tif") as scores, rasterio.open(folder / "classes.tif") as classes:
        values, shown = scores.read(), classes.read(1)
    cells = [(4, 3), (30, 12), (10, 20), (19, 8)]
    for column, row in cells:
        assert colour(page, column, row) == rgba(mapped.COLOURS[shown[row, column]])
    choose(page, f"probability of {CLASSES[2]}")
    for column, row in cells:
        share = values[2, row, column] / 250
        ends = zip(rgba("#f4f4f4"), rgba(mapped.COLOURS[2]), strict=True)
        mixed = [low + (high - low) * share for low, high in ends]
        assert np.abs(np.subtract(colour(page, column, row), mixed)).max() <= 1
    assert page.shows("0 %", "100 %")
    choose(page, "strangeness (OOD score)")
    for column, row in cells:
        red, _, blue, _ = colour(page, column, row)
        assert (red > blue) == (values[5, row, column] > 50)


def test_marks_lie_on_the_cells_that_they_are_about(page: Browser, folder: Path) -> None:
    with rasterio.open(folder / "scores.tif") as scores:
        unsure, ood = scores.read(5), scores.read(6)
    inputs = "[...find('layers').querySelectorAll('label')].find(l => l.innerText.trim() === '{}').click()"
    for name, marked in (("unsure cells", unsure == 1), ("strangers", (ood > 50) & (ood < 255))):
        page.run(inputs.format(name))
        wait_for("the marks", lambda: page.run("return document.querySelector('.leaflet-marks-pane canvas')"))
        legend = page.run("return document.querySelector('.legend').innerText")
        assert name in legend
        found = page.run("""return started.then(({map, view}) => {
            const tiles = [...document.querySelectorAll('.leaflet-marks-pane canvas')].map(tile => {
              const box = tile.getBoundingClientRect(), context = tile.getContext('2d');
              const {data, width} = context.getImageData(0, 0, tile.width, tile.height);
              return {box, scale: width / box.width, data, width};
            });
            const start = find('map').getBoundingClientRect(), rows = [];
            for (let cell = 0; cell < map.rows * map.columns; cell += 1) {
              const at = map.placeOf(cell % map.columns + .5, Math.floor(cell / map.columns) + .5);
              const {x, y} = view.latLngToContainerPoint(latlng(at));
              let seen = false;
              for (let d = -4; d < 4; d += 1) for (const {box, scale, data, width} of tiles) {
                const px = Math.floor((x + d + start.x - box.x) * scale);
                const py = Math.floor((y + start.y - box.y) * scale);
                if (px < 0 || py < 0 || px >= width || py >= width) continue;
                seen ||= data[4 * (py * width + px) + 3] > 0;
              }
              rows.push(seen);
            }
            return rows;
        })""")
        assert (np.reshape(found, (ROWS, COLUMNS)) == marked).all()
        page.run(inputs.format(name))


def test_opacity_and_layers_are_the_readers_choice(page: Browser) -> None:
    pane = "return document.querySelector('.leaflet-cells-pane .leaflet-layer')"
    assert page.run(f"{pane}.style.opacity") == "0.7"
    page.run("find('opacity').value = 25; find('opacity').dispatchEvent(new Event('input'))")
    assert page.run(f"{pane}.style.opacity") == "0.25"
    assert page.shows("25 %")
    page.run("find('layers').querySelectorAll('input').forEach(input => { if (input.checked) input.click(); })")
    assert page.run(pane) is None and page.run("return document.querySelector('.leaflet-picture-pane img')") is None


def test_the_map_is_moved_by_keys_and_shown_whole_again(page: Browser) -> None:
    bounds = "return started.then(({view}) => view.getBounds().toBBoxString())"
    before = page.run(bounds)
    page.run("find('map').focus()")
    key(page, "+", 187, "+")
    wait_for("the zoom", lambda: page.run(bounds) != before)
    wait_for("its end", lambda: page.run("return !document.querySelector('.leaflet-zoom-anim')"))
    page.run("find('whole').click()")
    wait_for("the whole map", lambda: page.run(bounds) == before)


def test_a_base_map_is_asked_for_once_it_is_wanted(page: Browser) -> None:
    requested(page)
    page.run("find('base').click()")
    asked: list[Any] = wait_for("requests", lambda: requested(page))
    assert all(url.startswith("https://tile.openstreetmap.org/") for url in asked)
    assert page.run("return find('base').getAttribute('aria-pressed')") == "true"
    assert page.shows("OpenStreetMap", "http.server")
    page.run("find('base').click()")
    assert page.run("return document.querySelector('img.leaflet-tile')") is None


def test_the_table_sums_to_the_valid_cells(page: Browser, folder: Path) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    cells = page.run(
        "return [...document.querySelectorAll('#panel tbody tr')].map(r => [...r.cells].map(c => c.innerText))"
    )
    assert [row[0] for row in cells] == CLASSES
    hectares = sum(float(row[1].split("\n")[0].replace(",", "")) for row in cells)
    assert hectares == pytest.approx(summary["valid_cells"] * mapped.METRES**2 / 10_000, abs=1.5)
    swatches = page.run("return [...document.querySelectorAll('.swatch rect')].map(r => r.getAttribute('fill'))")
    keys = page.run(
        "return [...document.querySelectorAll('.legend .key')].map(k => getComputedStyle(k).backgroundColor)"
    )
    assert swatches == mapped.COLOURS[:3]
    assert keys == [f"rgb({', '.join(map(str, rgba(code)[:3]))})" for code in swatches]


def test_everything_that_can_be_worked_has_a_name(page: Browser) -> None:
    named: dict[str, list[str]] = {}
    for role, name in page.accessible():
        named.setdefault(role, []).append(name)
    for role in ("button", "link", "combobox", "checkbox", "slider", "table", "region"):
        assert named.get(role) and all(name.strip() for name in named[role]), role
    assert len(named["checkbox"]) == 4


def test_by_night_the_page_is_dark(page: Browser) -> None:
    def background() -> str:
        return str(page.run("return getComputedStyle(document.body).backgroundColor"))

    day = background()
    page.look(1280, dark=True)
    assert background() != day


def test_without_a_script_the_numbers_are_there(page: Browser, folder: Path) -> None:
    page.devtools("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.open((folder / "index.html").as_uri())
        roles, names = zip(*page.accessible(), strict=True)
    finally:
        page.devtools("Emulation.setScriptExecutionDisabled", value=False)
    assert "table" in roles and "slider" not in roles
    assert any("needs JavaScript" in name for name in names)
