"""The page of a change as a file, and folders that are none."""

import base64
import json
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mapped
import numpy as np
import pytest
import rasterio

from landuse.cli import main
from landuse.core.errors import UserError
from landuse.inference import change_folder
from landuse.inference.change_folder import ChangeFolder
from landuse.inference.view import write_page

HOSTILE = ["</script><b>", "\"&'amp;", "Äcker 🌾 $title"]


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def rows_of(page: Path) -> dict[str, list[str]]:
    """Texts of the rows of all tables, by the first."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.read_text(), re.DOTALL)
    texts = [[re.sub("<[^>]*>", " ", cell).split() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]
    return {" ".join(first): [" ".join(words) for words in rest] for first, *rest in texts}


def test_the_page_holds_the_cells_as_the_rasters_have_them(tmp_path: Path) -> None:
    change = mapped.write_change(tmp_path)
    content = data_of(write_page(tmp_path))
    (data,) = content["maps"]
    values = np.frombuffer(zlib.decompress(base64.b64decode(data["values"])), np.uint8).reshape(-1, 12, 20)
    planes = []
    for name in ("before", "after", "transitions", "change"):
        with rasterio.open(tmp_path / f"{name}.tif") as file:
            planes.append(file.read())
    assert (values == np.concatenate(planes)).all()
    assert data["bands"] == ["before", "after", "transition", "probability of change",
                             "probability Farmland to City", "probability City to Farmland"]  # fmt: skip
    assert len(data["pictures"]) == 2 and len({*data["pictures"]}) == 2
    assert content["change"]["dates"] == ["2020-06-12", "2026-06-17"]
    assert content["change"]["transitions"][1] == ["Farmland", "City", "#2540c0"]  # as the raster is painted
    assert len(change["transitions"]) == len(content["change"]["transitions"])


@pytest.mark.long
def test_a_folder_that_the_command_change_makes_has_all_that_a_page_needs(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    city = rng.random((30, 40)) < 0.4
    for name, date in (("old", "2020-06-12"), ("new", "2026-06-17")):
        share = np.clip(np.where(city, 0.9, 0.1) + rng.normal(0, 0.05, city.shape), 0.01, 0.99)
        strange = np.where(rng.random(city.shape) < 0.1, 1.2, 0.5)
        mapped.write_map(tmp_path / name, np.stack([1 - share, share]), strange, date=date, level="L1C")
        city[5:12, 8:15] = True
    main(["change", str(tmp_path / "old"), str(tmp_path / "new"), "--out", str(tmp_path / "change")])
    table = json.loads((tmp_path / "change" / "change.json").read_text())
    content = data_of(write_page(tmp_path / "change"))
    assert content["change"]["dates"] == ["2020-06-12", "2026-06-17"] and content["maps"][0]["shape"] == [30, 40]
    rows = rows_of(tmp_path / "change" / "index.html")
    assert float(rows["Farmland → City"][0].split()[0]) == pytest.approx(table["transitions"][1]["hectares"], rel=0.01)
    assert float(rows["Unknown land"][0].replace(",", "")) == pytest.approx(table["unknown_hectares"], rel=0.01)


def test_hectares_come_with_their_interval_beside_what_labels_would_say(tmp_path: Path) -> None:
    area = {"hectares": 1234.5, "low": 1100.0, "high": 1400.2}
    change = mapped.write_change(tmp_path, changed_hectares=area, unknown_hectares=12.34)
    page = write_page(tmp_path)
    rows = rows_of(page)
    for part in change["transitions"]:
        same = part["from"] == part["to"]
        name = f"{part['from']}, unchanged" if same else f"{part['from']} → {part['to']}"
        assert float(rows[name][0].split()[0].replace(",", "")) == pytest.approx(part["hectares"], rel=0.01)
        assert float(rows[name][1].replace(",", "")) == pytest.approx(part["compared_hectares"], rel=0.01)
    assert rows["All changes"][0] == "1,234 1,100 to 1,400"
    assert rows["Unknown land"][0] == "12.3"
    assert "+2.5 m to the right and -1.2 m above" in page.read_text()
    assert float(rows["0.5"][0].replace(",", "")) == pytest.approx(
        change["sensitivity"][2]["changed_hectares"], rel=0.01
    )
    assert rows["0.21, as found"] == ["1,234"]


def test_a_shift_that_is_not_known_is_said_to_be_so(tmp_path: Path) -> None:
    mapped.write_change(tmp_path, shift=None)
    assert "How far the dates lie apart is not known." in write_page(tmp_path).read_text()


def test_the_largest_transitions_stand_first_and_many_are_folded_away(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    joint = rng.dirichlet([0.1] * 25, (6, 7)).transpose(2, 0, 1).reshape(5, 5, 6, 7)
    change = mapped.write_change(tmp_path, joint, classes=[*"ABCDE"], colours=dict.fromkeys("ABCDE", "#123456"))
    text = write_page(tmp_path).read_text()
    moved = sorted((p for p in change["transitions"] if p["from"] != p["to"]), key=lambda p: -p["hectares"])
    at = [text.index(f"{part['from']} → {part['to']}</th>") for part in moved]
    assert at == sorted(at)
    assert "<summary>10 smaller transitions</summary>" in text and at[9] < text.index("10 smaller") < at[10]


def test_a_date_that_is_not_known_is_the_name_of_its_map(tmp_path: Path) -> None:
    mapped.write_change(tmp_path, before={"name": "spring", "date": None, "valid_cells": 3})
    assert data_of(write_page(tmp_path))["change"]["dates"] == ["spring", "2026-06-17"]


def test_the_same_change_gives_the_same_page(tmp_path: Path) -> None:
    mapped.write_change(tmp_path / "change")
    first, second = (write_page(tmp_path / "change", tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()


def test_names_of_classes_stay_text(tmp_path: Path) -> None:
    mapped.write_change(tmp_path, classes=HOSTILE, joint=np.full((3, 3, 4, 5), 1 / 9), decisions=["<i>shift</i>"])
    page = write_page(tmp_path)
    assert data_of(page)["maps"][0]["classes"] == HOSTILE
    assert "<b>" not in page.read_text().replace("<td><b>", "") and "<i>" not in page.read_text()
    assert "&lt;/script&gt;&lt;b&gt; → &quot;&amp;&#x27;amp;" in page.read_text()


def test_of_a_large_change_the_page_shows_some_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joint = np.random.default_rng(1).dirichlet([1, 1, 1, 1], (20, 300)).transpose(2, 0, 1).reshape(2, 2, 20, 300)
    mapped.write_change(tmp_path, joint)
    assert ChangeFolder.read(tmp_path, 2048).step == 1
    found = ChangeFolder.read(tmp_path, 150)
    with rasterio.open(tmp_path / "change.tif") as file:
        assert (found.change == file.read()[:, 1::2, 1::2]).all()
    assert found.before.shape == found.transitions.shape == (10, 150) and found.step == 2
    monkeypatch.setattr(change_folder, "_MOST", 6 * 100**2)  # bytes of six numbers a cell
    assert re.search(r"The page shows one cell in 2.86 each way", write_page(tmp_path).read_text())  # 7 rows of 20


def test_the_command_says_where_the_page_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapped.write_change(tmp_path)
    main(["view", str(tmp_path)])
    assert capsys.readouterr().out == f"wrote {tmp_path / 'index.html'}: open it in a browser\n"


def test_a_change_has_no_sample(tmp_path: Path) -> None:
    mapped.write_change(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["view", str(tmp_path), "--sample", "sample.gpkg"])
    assert end.value.code == 2


def edited(**change: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        file = folder / "change.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | change))

    return edit


def cut(name: str) -> Callable[[Path], None]:
    def shorten(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:300])

    return shorten


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def from_another(name: str, **other: Any) -> Callable[[Path], None]:
    def exchange(folder: Path) -> None:
        mapped.write_change(folder / "other", **other)
        shutil.move(folder / "other" / name, folder / name)

    return exchange


def unpainted(folder: Path) -> None:
    with rasterio.open(folder / "transitions.tif") as file:
        values, profile = file.read(), file.profile | {"photometric": "minisblack"}
    with rasterio.open(folder / "transitions.tif", "w", **profile) as file:
        file.write(values)


BAD = {
    **{
        f"no {name}": (removed(name), f"no .*{name}: name a folder that 'landuse change' made")
        for name in ("before.tif", "after.tif", "transitions.tif", "change.tif", "before.png", "after.png")
    },
    **{
        f"half of {name}": (cut(name), f"{name} is damaged .*make the change again with 'landuse change'")
        for name in ("change.json", "before.tif", "transitions.tif", "change.tif", "after.png")
    },
    "a list": (lambda folder: (folder / "change.json").write_text("[]"), "change.json is damaged"),
    "no number of a shift": (edited(shift={"cells": 0.1}), "change.json is damaged .*shift"),
    "no hectares": (edited(changed_hectares={"hectares": 1.0}), "change.json is damaged .*changed_hectares.low"),
    "transitions of one class": (edited(transitions=[]), "change.json is damaged .*transitions"),
    "a class without a colour": (edited(colours={"City": "#123456"}), "change.json is damaged .*no colour"),
    "a colour that is none": (edited(colours={"City": "red;", "Farmland": "#123456"}), "colours.City"),
    "another shape": (edited(shape=[12, 21]), "before.tif is of another change .*12 x 20 .*12 x 21"),
    "another place": (from_another("after.tif", origin=(0.0, 0.0)), "after.tif is of another change .*elsewhere"),
    "other classes": (
        from_another("change.tif", classes=["Land", "Sea"]),
        "change.tif is of another change .*probability Land to Sea",
    ),
    "too many transitions": (
        from_another("transitions.tif", joint=np.eye(9)[-1].reshape(3, 3, 1, 1) * np.ones((12, 20)),
                     classes=["Farmland", "City", "Sea"]),
        "transitions.tif is of another change .*a number that",
    ),
    "no palette": (unpainted, "transitions.tif is damaged"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("name", BAD)
def test_a_folder_that_is_no_change_is_refused(name: str, tmp_path: Path) -> None:
    spoil, message = BAD[name]
    mapped.write_change(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message):
        write_page(tmp_path)
    assert not (tmp_path / "index.html").exists()
