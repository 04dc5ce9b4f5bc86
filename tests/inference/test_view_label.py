"""The page on which people label a sample of cells."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mapped
import numpy as np
import pyogrio
import pytest
from browser import Browser, chromium, wait_for

from landuse.cli import main
from landuse.core.errors import UserError
from landuse.inference.view import write_page

CLASSES = ["Farmland", 'City, "dense"', "Forest"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mapped.write_map(tmp_path / "map", classes=CLASSES)
    return tmp_path / "map"


def test_the_command_writes_a_page_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapped.write_sample(folder / "sample.gpkg", folder)
    main(["view", str(folder), "--sample", str(folder / "sample.gpkg")])
    assert capsys.readouterr().out == f"wrote {folder / 'label.html'}: open it in a browser\n"


def test_a_sample_of_another_map_is_refused(folder: Path, tmp_path: Path) -> None:
    mapped.write_map(tmp_path / "other", np.full((3, 12, 20), 1 / 3), classes=CLASSES)
    mapped.write_sample(tmp_path / "sample.gpkg", tmp_path / "other")
    with pytest.raises(UserError, match=r"sample\.gpkg is of another map \(cell \d+ is not Farmland here\)"):
        write_page(folder, sample=tmp_path / "sample.gpkg")


@pytest.mark.parametrize("row", [12, -1])
def test_a_cell_beyond_the_map_is_refused(folder: Path, row: int) -> None:
    write_rows(folder / "sample.gpkg", [7], [row], [0], ["Farmland"])
    with pytest.raises(UserError, match="is of another map"):
        write_page(folder, sample=folder / "sample.gpkg")


def test_a_cell_twice_is_refused(folder: Path) -> None:
    write_rows(folder / "sample.gpkg", [7, 7], [5, 5], [0, 0], ["Farmland", "Farmland"])
    with pytest.raises(UserError, match="one of them twice"):
        write_page(folder, sample=folder / "sample.gpkg")


def test_a_file_that_is_no_sample_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"no .*nowhere\.gpkg"):
        write_page(folder, sample=folder / "nowhere.gpkg")
    with pytest.raises(UserError, match="is no GeoPackage"):
        write_page(folder, sample=folder / "summary.json")
    pyogrio.raw.write(folder / "bare.gpkg", np.array([None], dtype=object), [np.array([1])], ["cell"], driver="GPKG",
                      geometry_type="Point", crs="EPSG:32632")  # fmt: skip
    with pytest.raises(UserError, match="has no column row: a sample has cell, row, col, mapped"):
        write_page(folder, sample=folder / "bare.gpkg")
    assert not (folder / "label.html").exists()


def write_rows(path: Path, *columns: list[Any]) -> None:
    values = [np.array(column, dtype=object if isinstance(column[0], str) else np.int64) for column in columns]
    nowhere = np.array([None] * len(values[0]), dtype=object)
    pyogrio.raw.write(path, nowhere, values, ["cell", "row", "col", "mapped"], driver="GPKG", geometry_type="Point",
                      crs="EPSG:32632")  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


def press(browser: Browser, key: str) -> None:
    for kind in ("keyDown", "keyUp"):
        browser.devtools("Input.dispatchKeyEvent", type=kind, key=key, text=key)


def said(browser: Browser, words: str) -> None:
    wait_for(words, lambda: words in browser.run("return find('progress').textContent"))


@pytest.mark.browser
@pytest.mark.long
def test_twenty_cells_are_labelled_by_key_and_saved(browser: Browser, folder: Path) -> None:
    sample = mapped.write_sample(folder / "sample.gpkg", folder)
    page = write_page(folder, sample=folder / "sample.gpkg")
    browser.look(1280)
    browser.log("browser")
    browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.open(page.as_uri())
    said(browser, "Cell 1 of 20, not labelled. 0 labelled.")
    keys = [*"1230" * 5]
    for key in keys[:8]:
        press(browser, key)
    browser.open(page.as_uri())  # what was labelled is kept
    said(browser, "Cell 9 of 20, not labelled. 8 labelled.")
    press(browser, "p")
    said(browser, "Cell 8 of 20, other. 8 labelled.")
    pressed = "return find('classes').querySelector('[aria-pressed=true]').innerText"
    assert browser.run(pressed).endswith("other")
    press(browser, "n")
    for key in keys[8:]:
        press(browser, key)
    said(browser, "Cell 20 of 20, other. 20 labelled.")
    browser.run("find('save').click()")
    wait_for("the file", (folder / "labels.csv").exists)
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = [tuple(row.values()) for row in csv.DictReader(file)]
    names = dict(zip("1230", [*CLASSES, "other"], strict=True))
    assert rows == [(*map(str, cell), names[key]) for cell, key in zip(sample, keys, strict=True)]
    assert browser.log("browser") == []


@pytest.mark.browser
@pytest.mark.long
def test_the_answer_of_the_map_is_not_shown_and_the_cell_lies_in_the_middle(browser: Browser, folder: Path) -> None:
    sample = mapped.write_sample(folder / "sample.gpkg", folder, count=5)
    browser.look(390)
    browser.open(write_page(folder, sample=folder / "sample.gpkg").as_uri())
    said(browser, "Cell 1 of 5")
    for number, (_, row, column, _) in enumerate(sample, 1):
        said(browser, f"Cell {number} of 5")
        at = browser.run("""return started.then(({map, view}) => {
            const cell = map.cellAt(...place(view.getCenter()));
            return [Math.floor(cell / map.columns), cell % map.columns];
        })""")
        assert at == [row, column]
        press(browser, "n")
    shown = browser.run(
        "return [...document.querySelectorAll('canvas, .legend, #look, table')].map(e => e.checkVisibility())"
    )
    assert shown and not any(shown)
    assert browser.run("return document.documentElement.scrollWidth") <= 390
