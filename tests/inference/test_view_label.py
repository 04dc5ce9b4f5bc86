"""The page on which people label a sample of cells."""

import base64
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made_scenes
import mapped
import numpy as np
import pyogrio
import pytest
from affine import Affine
from browser import Browser, chromium, wait_for
from PIL import Image

from landuse.cli import main
from landuse.core.errors import UserError
from landuse.inference.scene import SceneOptions
from landuse.inference.view.label import write_label_page

CLASSES = ["Farmland", 'City, "dense"', "Forest"]


def labelled(folder: Path, sample: Path, *scene: str) -> Path:
    return write_label_page(folder, sample, scene, SceneOptions(offset=0), out=None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mapped.write_map(tmp_path / "map", classes=CLASSES)
    return tmp_path / "map"


def test_the_command_writes_a_page_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapped.write_sample(folder / "sample.gpkg", folder)
    main(["view", str(folder), "--sample", str(folder / "sample.gpkg")])
    assert capsys.readouterr().out == f"wrote {folder / 'label.html'}: open it in a browser\n"


def test_the_page_takes_the_sample_that_the_command_draws(folder: Path) -> None:
    main(["sample", str(folder), "--out", str(folder / "sample.gpkg"), "--size", "40"])
    text = labelled(folder, folder / "sample.gpkg").read_text()
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    cells = json.loads(found[1])["sample"]["cells"]
    assert len(cells) == 40 and {mapped for *_, mapped in cells} == {*CLASSES, "unknown"}


def test_a_sample_of_another_map_is_refused(folder: Path, tmp_path: Path) -> None:
    farmland = np.broadcast_to(np.array([0.9, 0.05, 0.05])[:, None, None], (3, 12, 20))
    mapped.write_map(tmp_path / "other", farmland, np.zeros((12, 20)), classes=CLASSES)
    mapped.write_sample(tmp_path / "sample.gpkg", tmp_path / "other")
    with pytest.raises(UserError, match=r"sample\.gpkg is of another map \(cell \d+ is not Farmland here\)"):
        labelled(folder, tmp_path / "sample.gpkg")


@pytest.mark.parametrize("row", [12, -1])
def test_a_cell_beyond_the_map_is_refused(folder: Path, row: int) -> None:
    write_rows(folder / "sample.gpkg", [7], [row], [0], ["Farmland"])
    with pytest.raises(UserError, match="is of another map"):
        labelled(folder, folder / "sample.gpkg")


def test_a_cell_twice_is_refused(folder: Path) -> None:
    write_rows(folder / "sample.gpkg", [7, 7], [5, 5], [0, 0], ["Farmland", "Farmland"])
    with pytest.raises(UserError, match="twice: leave one of its rows"):
        labelled(folder, folder / "sample.gpkg")


def test_a_cell_without_a_row_is_refused(folder: Path) -> None:
    write_rows(folder / "sample.gpkg", [7], [float("nan")], [0], ["Farmland"])
    with pytest.raises(UserError, match="without a number, row or column"):
        labelled(folder, folder / "sample.gpkg")


def test_a_file_that_is_no_sample_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"no .*nowhere\.gpkg"):
        labelled(folder, folder / "nowhere.gpkg")
    with pytest.raises(UserError, match="is no GeoPackage"):
        labelled(folder, folder / "summary.json")
    pyogrio.raw.write(folder / "bare.gpkg", np.array([None], dtype=object), [np.array([1])], ["cell"], driver="GPKG",
                      geometry_type="Point", crs="EPSG:32632")  # fmt: skip
    with pytest.raises(UserError, match="has no column row: a sample has cell, row, col, mapped"):
        labelled(folder, folder / "bare.gpkg")
    assert not (folder / "label.html").exists()


def write_scene(path: Path, sample: list[tuple[int, int, int, str]], bands: tuple[str, ...], **form: Any) -> str:
    """The scene of the map: cells of the sample are bright in the last band, and dark in the others."""
    pixels = np.full((len(bands), 12 * 32, 20 * 32), 1000, dtype=np.uint16)
    pixels += np.random.default_rng(0).integers(0, 50, pixels.shape).astype(np.uint16)
    for _, row, column, _ in sample:
        pixels[:, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 200
        pixels[-1, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32] = 2500
    place = Affine(10, 0, mapped.WEST, 0, -10, mapped.NORTH)
    return made_scenes.write_raster(path, pixels, bands, **({"transform": place} | form))


def colours_of(page: Path) -> list[list[np.ndarray[Any, Any]]]:
    """RGBA of the pictures of each cell."""
    found = re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    all_colours = [part["colours"] for part in json.loads(found[1])["sample"]["pictures"]]
    files = [[io.BytesIO(base64.b64decode(uri.split(",")[1])) for uri in colours] for colours in all_colours]
    return [[np.asarray(Image.open(file).convert("RGBA")) for file in colours] for colours in files]


@pytest.mark.parametrize("bands", [("B04", "B03", "B02", "B08"), ("SR_B4", "SR_B3", "SR_B2", "SR_B5")])
def test_pictures_show_the_cell_in_the_middle_in_true_and_in_false_colour(folder: Path, bands: tuple[str, ...]) -> None:
    sample = mapped.write_sample(folder / "sample.gpkg", folder, count=6)
    scene = write_scene(folder / "scene.tif", sample, bands)
    found = colours_of(labelled(folder, folder / "sample.gpkg", scene))
    for (_, row, column, _), (true, false) in zip(sample, found, strict=True):
        middle, edge = len(true) // 2, len(true) // 32
        assert true[middle, middle, :3].max() < 60  # dark in what the eye sees
        assert false[middle, middle, 0] > 220 and false[middle, middle, 1] < 60  # red: near infrared
        outside = {"left": column < 2, "right": column > 17, "top": row < 2, "bottom": row > 9}
        sides = {"left": true[middle, edge], "right": true[middle, -edge], "top": true[edge, middle],
                 "bottom": true[-edge, middle]}  # fmt: skip
        assert {side: bool(pixel[3] == 0) for side, pixel in sides.items()} == outside


def test_a_scene_without_near_infrared_has_true_colours_only(folder: Path) -> None:
    sample = mapped.write_sample(folder / "sample.gpkg", folder, count=3)
    scene = write_scene(folder / "scene.tif", sample, ("B04", "B03", "B02"))
    assert [len(part) for part in colours_of(labelled(folder, folder / "sample.gpkg", scene))] == [1, 1, 1]


@pytest.mark.parametrize("form", [{"crs": "EPSG:32633"}, {"transform": Affine(10, 0, 0, 0, -10, mapped.NORTH)}])
def test_another_scene_is_refused(folder: Path, form: dict[str, Any]) -> None:
    sample = mapped.write_sample(folder / "sample.gpkg", folder, count=3)
    scene = write_scene(folder / "scene.tif", sample, ("B04", "B03", "B02"), **form)
    with pytest.raises(UserError, match=r"scene\.tif is not the scene of this map"):
        labelled(folder, folder / "sample.gpkg", scene)


def test_a_scene_without_a_sample_is_refused(folder: Path) -> None:
    with pytest.raises(SystemExit):
        main(["view", str(folder), "--scene", "scene.tif"])


def write_rows(path: Path, *columns: list[Any]) -> None:
    values = [np.array(column, dtype=object if isinstance(column[0], str) else None) for column in columns]
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
    page = labelled(folder, folder / "sample.gpkg", write_scene(folder / "s.tif", sample, ("B04", "B03", "B02", "B08")))
    browser.look(1280)
    browser.log("browser")
    browser.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    browser.open(page.as_uri())
    said(browser, "Cell 1 of 20, not labelled. 0 labelled.")
    picture = "return document.querySelector('.leaflet-cells-pane img').src"
    before = browser.run(picture)
    press(browser, "f")
    wait_for("false colours", lambda: browser.run(picture) != before)
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
    main(["area", str(folder), "--labels", str(folder / "labels.csv"), "--out", str(folder / "area.json")])
    pressed = Counter((cell[3], names[key]) for cell, key in zip(sample, keys, strict=True))
    assert any(stratum == "unknown" for stratum, _ in pressed)
    for stratum in json.loads((folder / "area.json").read_text())["strata"]:
        assert stratum["labels"] == [pressed[stratum["stratum"], name] for name in (*CLASSES, "other")]


@pytest.mark.browser
@pytest.mark.long
def test_the_answer_of_the_map_is_not_shown_and_the_cell_lies_in_the_middle(browser: Browser, folder: Path) -> None:
    sample = mapped.write_sample(folder / "sample.gpkg", folder, count=5)
    browser.look(390)
    browser.open(labelled(folder, folder / "sample.gpkg").as_uri())
    said(browser, "Cell 1 of 5")
    for number, (_, row, column, _) in enumerate(sample, 1):
        said(browser, f"Cell {number} of 5")
        at = browser.run("""return started.then(({map, view}) => {
            const cell = map.cellAt(...place(view.getCenter()));
            return [Math.floor(cell / map.columns), cell % map.columns];
        })""")
        assert at == [row, column]
        press(browser, "n")
    assert browser.run("return [...document.querySelectorAll('#classes kbd')].map(k => k.innerText)") == [*"1230"]
    shown = browser.run(
        "return [...document.querySelectorAll('canvas, .legend, #look, table')].map(e => e.checkVisibility())"
    )
    assert shown and not any(shown)
    assert browser.run("return document.documentElement.scrollWidth") <= 390
