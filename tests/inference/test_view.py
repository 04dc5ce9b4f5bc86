"""The page of a map as a file, and folders that are none."""

import base64
import json
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import exported
import land
import mapped
import numpy as np
import pytest
import rasterio
from PIL import Image

from landuse.cli import main
from landuse.core.errors import UserError
from landuse.inference.folder import MapFolder
from landuse.inference.view import write_page
from landuse.inference.view.page import LONGEST

HOSTILE = ["</script><b>", "\"&'amp;", "Äcker 🌾 $title"]


def data_of(page: str) -> dict[str, Any]:
    """The first map of the data that the page's script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])["maps"][0]
    return content


def test_the_page_holds_the_cells_as_the_rasters_have_them(tmp_path: Path) -> None:
    mapped.write_map(tmp_path)
    page = write_page(tmp_path)
    assert page == tmp_path / "index.html"
    data = data_of(page.read_text())
    values = np.frombuffer(zlib.decompress(base64.b64decode(data["values"])), np.uint8).reshape(-1, 12, 20)
    with rasterio.open(tmp_path / "classes.tif") as classes, rasterio.open(tmp_path / "scores.tif") as scores:
        assert (values == np.concatenate([classes.read(), scores.read()])).all()
        assert data["bands"] == ["class", *scores.descriptions]


def test_a_folder_that_the_command_map_makes_has_all_that_a_page_needs(tmp_path: Path) -> None:
    exported.write_model(tmp_path / "model", dtype="uint16")
    folder = land.made(tmp_path, tmp_path / "model", land.texture(192, 256))
    data = data_of(write_page(folder).read_text())
    assert data["shape"] == [6, 8] and data["classes"] == exported.CLASSES


def test_the_same_map_gives_the_same_page(tmp_path: Path) -> None:
    mapped.write_map(tmp_path / "map")
    first, second = (write_page(tmp_path / "map", tmp_path / name) for name in ("a.html", "b.htm"))
    assert first.read_bytes() == second.read_bytes()


def test_counted_hectares_are_said_to_be_counted(tmp_path: Path) -> None:
    counts = mapped.write_map(tmp_path)["counts"]
    page = write_page(tmp_path).read_text()
    assert "Hectares as counted" in page and "Corrected" not in page
    assert (
        f"<td>{counts['City']['hectares']:,.0f}<small>{100 * counts['City']['share']:.1f}\u00a0%</small></td>" in page
    )


def test_corrected_hectares_come_with_their_interval_and_land_that_the_model_does_not_know(tmp_path: Path) -> None:
    area = {
        "City": {"hectares": 1234.5, "low": 1100, "high": 1400.2},
        "Unknown": {"hectares": 3, "low": 0.0, "high": 9},
    }
    mapped.write_map(tmp_path, area=area)
    page = write_page(tmp_path).read_text()
    assert "<td><b>1,234</b><small>1,100 to 1,400</small></td>" in page
    assert re.search(r"Unknown</th><td><b>3.0</b><small>0.0 to 9.0</small></td><td></td><td></td></tr>", page)


def foot_of(page: str) -> str:
    found = re.search("<tfoot>(.*?)</tfoot>", page)
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", found[1])).strip() if found else ""


def test_unknown_land_is_a_row_of_its_own(tmp_path: Path) -> None:
    valid = mapped.write_map(tmp_path)["valid_cells"]
    unknown = int(MapFolder.read(tmp_path).unknown.sum())
    said = f"{unknown * mapped.METRES**2 / 10_000:,.0f} {100 * unknown / valid:.1f} %, in the rows above"
    assert foot_of(write_page(tmp_path).read_text()) == f"Unknown land {said}"
    area = {"City": {"hectares": 1234.5, "low": 1100, "high": 1400.2}}
    mapped.write_map(tmp_path, area=area | {"unknown": {"hectares": 1023.4, "low": 1023.4, "high": 1023.4}})
    assert foot_of(write_page(tmp_path).read_text()) == "Unknown land 1,023"


def test_of_a_model_without_a_reference_no_strangers_are_known(tmp_path: Path) -> None:
    mapped.write_map(tmp_path, strange_cells=None)
    assert "Strangers: not known." in write_page(tmp_path).read_text()


def test_names_of_classes_stay_text(tmp_path: Path) -> None:
    mapped.write_map(tmp_path, classes=HOSTILE, decisions=["<i>bands</i>"])
    page = write_page(tmp_path).read_text()
    assert data_of(page)["classes"] == HOSTILE
    assert "<b>" not in page and "<i>" not in page
    for shown in ("&lt;/script&gt;&lt;b&gt;", "&quot;&amp;&#x27;amp;", "Äcker 🌾 $title", "&lt;i&gt;bands&lt;/i&gt;"):
        assert shown in page


def test_of_a_large_map_the_page_shows_every_second_cell(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:40, :2100]
    city = (rows // 2 + columns // 2) % 251 / 250
    mapped.write_map(tmp_path, np.stack([1 - city, city]), ood=city)
    with rasterio.open(tmp_path / "scores.tif") as file:
        whole = file.read(2)
    found = MapFolder.read(tmp_path, LONGEST)
    assert found.classes.shape == (20, 1050) and found.step == 2
    assert (found.scores[1] == whole[1::2, 1::2]).all()
    assert found.transform.a == 2 * mapped.METRES
    page = write_page(tmp_path).read_text()
    assert "The page shows one cell in 2 each way." in page and "40 × 2,100 cells" in page


def test_a_page_is_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    picture = np.asarray(Image.effect_noise((1024, 1024), 60).convert("RGBA"))
    mapped.write_map(tmp_path, rng.dirichlet([1, 1], (171, 171)).transpose(2, 0, 1), picture=picture)
    assert write_page(tmp_path).stat().st_size < 2e6


def edited(**change: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "summary.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | change))

    return edit


def cut(name: str) -> Callable[[Path], None]:
    def shorten(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:700])

    return shorten


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def other_grid(folder: Path) -> None:
    mapped.write_map(folder / "other", origin=(0.0, 0.0))
    shutil.move(folder / "other" / "scores.tif", folder / "scores.tif")


def other_classes(folder: Path) -> None:
    mapped.write_map(folder / "other", classes=["Land", "Sea"])
    shutil.move(folder / "other" / "scores.tif", folder / "scores.tif")


def exchanged(folder: Path) -> None:
    shutil.copy(folder / "classes.tif", folder / "scores.tif")


BAD = {
    "no summary": (removed("summary.json"), "no .*summary.json: name a folder that 'landuse map' made"),
    "no classes": (removed("classes.tif"), "no .*classes.tif: name a folder"),
    "no scores": (removed("scores.tif"), "no .*scores.tif: name a folder"),
    "no picture": (removed("quicklook.png"), "no .*quicklook.png: name a folder"),
    "half a summary": (cut("summary.json"), "summary.json is damaged .*make the map again"),
    "half a raster": (cut("scores.tif"), "scores.tif is damaged .*make the map again"),
    "half a picture": (cut("quicklook.png"), "quicklook.png is damaged .*make the map again"),
    "another shape": (edited(shape=[12, 21]), "classes.tif is of another map .*12 x 20 .*12 x 21"),
    "no shape": (edited(shape=[]), "summary.json is damaged"),
    "another place": (other_grid, "scores.tif is of another map .*elsewhere"),
    "other classes": (other_classes, "scores.tif is of another map .*probability Land"),
    "classes for scores": (exchanged, "scores.tif is of another map .*its bands"),
    "a class too few": (edited(classes=["Farmland"]), "is of another map"),
    "a colour that is none": (edited(colours={"City": "red;", "Farmland": "#123456"}), "colours.City"),
    "a class without a colour": (edited(colours={"City": "#123456"}), "Farmland has no count or no colour"),
    "a list": (lambda folder: (folder / "summary.json").write_text("[]"), "summary.json is damaged"),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", BAD)
def test_a_folder_that_is_no_map_is_refused(name: str, tmp_path: Path) -> None:
    spoil, message = BAD[name]
    mapped.write_map(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message):
        write_page(tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_the_command_says_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapped.write_map(tmp_path)
    for _ in range(2):  # a page that is there is written anew
        main(["view", str(tmp_path), "--out", str(tmp_path / "new" / "page.html")])
        assert capsys.readouterr().out == f"wrote {tmp_path / 'new' / 'page.html'}: open it in a browser\n"


@pytest.mark.parametrize("out", ["", "classes.tif", "folder.html"])
def test_nothing_but_a_page_is_overwritten(out: str, tmp_path: Path) -> None:
    mapped.write_map(tmp_path)
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match=r"give a file that ends in \.html"):
        write_page(tmp_path, tmp_path / out)
    assert (tmp_path / "folder.html").is_dir() and (tmp_path / "classes.tif").stat().st_size > 100


@pytest.mark.parametrize("name", ["nowhere", "summary.json"])
def test_a_path_that_is_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    mapped.write_map(tmp_path)
    with pytest.raises(UserError, match="name a folder that 'landuse map' made"):
        write_page(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()
