"""The commands ``sample`` and ``area`` on maps that are there."""

import csv
import json
from pathlib import Path
from typing import Any

import mapped
import numpy as np
import pyogrio
import pytest
import shapely

from landuse.cli import main
from landuse.inference.area import corrected_hectares
from landuse.inference.area.drawing import allocated
from landuse.inference.folder import MapFolder
from landuse.inference.sample import read_sample, strata

HECTARES = 10.24
CITY = np.kron(np.random.default_rng(5).random((10, 12)) < 0.3, np.ones((3, 3)))  # (30, 36), in clumps


def write(folder: Path, **summary: Any) -> Path:
    """A map that is right in 9 of 10 cells, unsure of some, a stranger to others, and masked in a corner."""
    rng = np.random.default_rng(4)
    right = np.where(rng.random(CITY.shape) < 0.9, rng.uniform(0.55, 0.99, CITY.shape), rng.uniform(0.1, 0.45))
    city = np.where(CITY == 1, right, 1 - right)
    probabilities = np.stack([1 - city, city])
    probabilities[:, :4, :5] = np.nan
    mapped.write_map(folder, probabilities, rng.uniform(0.1, 1.1, CITY.shape), **summary)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("maps") / "map")


@pytest.fixture(scope="module")
def sample(folder: Path) -> Path:
    main(["sample", str(folder), "--out", str(folder.parent / "sample.gpkg")])
    return folder.parent / "sample.gpkg"


def columns(path: Path) -> dict[str, list[Any]]:
    known, _, _, values = pyogrio.raw.read(path)
    return dict(zip(known["fields"], (part.tolist() for part in values), strict=True))


def rows_of(sample: Path) -> list[list[Any]]:
    """Rows of labels.csv, right but for a lake."""
    found = columns(sample)
    return [
        [cell, row, col, name, "other" if row > 27 else ("Farmland", "City")[int(CITY[row, col])]]
        for cell, row, col, name in zip(*(found[name] for name in ("cell", "row", "col", "mapped")), strict=True)
    ]


def write_labels(path: Path, rows: list[list[Any]], head: str = "cell,row,col,mapped,label") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head.split(","), *rows])
    return path


def test_without_labels_hectares_are_corrected_and_unknown_land_is_a_row(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["area", str(folder), "--out", str(tmp_path / "area.json")])
    shown = capsys.readouterr().out
    found = MapFolder.read(folder)
    content = json.loads((tmp_path / "area.json").read_text())
    rows = {row["class"]: row for row in content["rows"]}
    assert list(rows) == ["Farmland", "City", "unknown"]
    assert rows["unknown"]["sure"] == pytest.approx(found.unknown.sum() * HECTARES) and found.unknown.sum() > 50
    assert rows["unknown"]["corrected"] is None
    for number, name in enumerate(("Farmland", "City")):
        assert rows[name]["mapped"] == pytest.approx((found.classes == number).sum() * HECTARES)
        assert rows[name]["sure"] == pytest.approx(((found.classes == number) & ~found.unknown).sum() * HECTARES)
        assert rows[name]["low"] < rows[name]["corrected"] < rows[name]["high"]
    assert rows["City"]["corrected"] + rows["Farmland"]["corrected"] == pytest.approx(
        rows["City"]["sure"] + rows["Farmland"]["sure"], abs=0.001
    )
    assert "P(image | class) is unchanged" in shown and "errors are known from test tiles: 100 of Farmland" in shown
    assert max(map(len, shown.splitlines()[:4])) < 100


def test_it_agrees_with_what_a_map_has_in_its_summary(folder: Path, tmp_path: Path) -> None:
    main(["area", str(folder), "--out", str(tmp_path / "area.json")])
    found = MapFolder.read(folder)
    confusion = found.summary["confusion_sure"]
    assert confusion is not None
    expected = corrected_hectares(found.classes, found.unknown, found.summary["classes"], confusion, HECTARES, 32)
    for row in json.loads((tmp_path / "area.json").read_text())["rows"][:2]:
        area = expected[row["class"]]
        assert (row["corrected"], row["low"], row["high"]) == (area["hectares"], area["low"], area["high"])


def test_a_sample_is_drawn_from_each_stratum_and_outlines_its_cells(folder: Path, sample: Path) -> None:
    found = MapFolder.read(folder)
    names, shown = strata(found)
    cells = read_sample(sample, folder)
    assert len(cells) == 200
    sizes = np.bincount(shown[found.valid], minlength=3)
    drawn = [sum(mapped_as == name for *_, mapped_as in cells) for name in names]
    assert drawn == allocated(sizes, 200).tolist() and min(drawn) >= 50
    meta, _, geometry, _ = pyogrio.raw.read(sample)
    boxes = shapely.bounds(shapely.from_wkb(geometry))
    rows, cols = np.array([(row, col) for _, row, col, _ in cells]).T
    assert meta["crs"] == "EPSG:32632" and meta["geometry_type"] == "Polygon"
    assert boxes[:, 0] == pytest.approx(mapped.WEST + 320 * cols) and boxes[:, 3] == pytest.approx(
        mapped.NORTH - 320 * rows
    )
    assert shapely.area(shapely.from_wkb(geometry)) == pytest.approx(320**2)
    assert columns(sample)["label"] == [None] * 200


def test_a_seed_is_a_sample(folder: Path, sample: Path, tmp_path: Path) -> None:
    for name, seed in (("again", "0"), ("other", "1")):
        main(["sample", str(folder), "--out", str(tmp_path / f"{name}.gpkg"), "--seed", seed])
    assert (tmp_path / "again.gpkg").read_bytes() == sample.read_bytes()
    assert columns(tmp_path / "other.gpkg")["cell"] != columns(sample)["cell"]


@pytest.mark.parametrize(
    ("sizes", "total", "counts"),
    [
        ([1000, 20_000, 5000], 200, [50, 100, 50]),
        ([0, 20_000, 5], 200, [0, 195, 5]),
        ([20_000, 10_000, 10_000], 400, [200, 100, 100]),
        ([30, 30, 30], 90, [30, 30, 30]),
        ([1000] * 10, 205, [21] * 5 + [20] * 5),
        ([10, 10, 1000], 8, [2, 2, 4]),
    ],
)
def test_small_strata_get_fifty_and_large_ones_their_share(sizes: list[int], total: int, counts: list[int]) -> None:
    assert allocated(np.array(sizes), total).tolist() == counts


def test_labels_give_hectares_accuracy_and_a_narrower_interval(
    folder: Path, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = write_labels(tmp_path / "labels.csv", rows_of(sample))
    capsys.readouterr()
    main(["area", str(folder), "--labels", str(labels), "--out", str(tmp_path / "area.json")])
    shown = capsys.readouterr().out
    found = MapFolder.read(folder)
    content = json.loads((tmp_path / "area.json").read_text())
    rows = {row["class"]: row for row in content["rows"]}
    assert list(rows) == ["Farmland", "City", "other"]
    lake = np.arange(30)[:, None] > 27
    truth = {"City": (CITY == 1) & ~lake, "Farmland": (CITY == 0) & ~lake, "other": lake}
    for name, row in rows.items():
        cells = (truth[name] & found.valid).sum() * HECTARES
        assert row["low"] <= cells <= row["high"] and row["powered_low"] <= cells <= row["powered_high"]
        assert row["powered_error"] <= row["error"]
    assert rows["City"]["powered_error"] < 0.95 * rows["City"]["error"]
    assert sum(row["hectares"] for row in rows.values()) == pytest.approx(found.valid.sum() * HECTARES, abs=0.001)
    sure = (found.classes == 1) & ~found.unknown  # unknown land counts as missed
    found_of_city = (sure & truth["City"]).sum() / (truth["City"] & found.valid).sum()
    right_of_city = (sure & truth["City"]).sum() / sure.sum()
    for name, expected in (("producers", found_of_city), ("users", right_of_city)):
        off = rows["City"][f"{name}_accuracy"] - expected
        assert abs(off) < 3 * rows["City"][f"{name}_accuracy_error"] < 0.25
    assert rows["other"]["users_accuracy"] is None and 0.7 < content["overall_accuracy"] < 1
    assert [part["cells"] for part in content["strata"]] == np.bincount(strata(found)[1][found.valid]).tolist()
    assert "200 labelled cells" in shown and "overall accuracy where the model is sure" in shown


def test_a_geopackage_that_was_filled_in_is_as_good_as_the_pages_file(
    folder: Path, sample: Path, tmp_path: Path
) -> None:
    rows = rows_of(sample)[:150]
    meta, _, geometry, fields = pyogrio.raw.read(sample)
    fields[-1] = np.array([row[-1] for row in rows] + [None] * 30 + [""] * 20, dtype=object)
    pyogrio.raw.write(tmp_path / "filled.gpkg", geometry, fields, meta["fields"], crs=meta["crs"], driver="GPKG",
                      geometry_type="Polygon")  # fmt: skip
    write_labels(tmp_path / "labels.csv", rows)
    for name in ("filled.gpkg", "labels.csv"):
        main(["area", str(folder), "--labels", str(tmp_path / name), "--out", str(tmp_path / f"{name}.csv")])
    assert (tmp_path / "filled.gpkg.csv").read_bytes() == (tmp_path / "labels.csv.csv").read_bytes()
    with (tmp_path / "labels.csv.csv").open(newline="") as file:
        assert [row["class"] for row in csv.DictReader(file)] == ["Farmland", "City", "other"]


def changed(rows: list[list[Any]], column: int, value: Any) -> list[list[Any]]:
    first = [*rows[0]]
    first[column] = value
    return [first, *rows[1:]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: changed(rows, 0, 99_999), "is of another map (cell 99999 is not"),
        (lambda rows: changed(rows, 1, 400), "is of another map"),
        (lambda rows: changed(rows, 0, "first"), "a cell without a number, row or column"),
        (lambda rows: changed(rows, 3, "Forest"), "is not Forest here): name the map it was drawn from"),
        (lambda rows: changed(rows, 4, "city"), "is labelled 'city' (City?): labels are Farmland, City, other"),
        (lambda rows: [*rows, rows[0]], "twice: leave one of its rows"),
        (lambda rows: [[*row[:4], ""] for row in rows], "has no label: fill in its column label"),
        (lambda rows: rows[:0], "has no label: fill in its column label"),
        (
            lambda rows: [row for row in rows if row[3] != "City"],
            "labels of 0 of the 284 cells mapped as City, which is too few to tell of them: label 2 or more",
        ),
        (lambda rows: [row for row in rows if row[3] != "unknown"], "cells of unknown land, which is too few"),
    ],
)
def test_labels_that_are_no_sample_of_this_map_are_refused(
    folder: Path, sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, said: str
) -> None:
    labels = write_labels(tmp_path / "labels.csv", change(rows_of(sample)))
    refused(capsys, said, "area", folder, "--labels", labels, "--out", tmp_path / "area.json")
    assert not (tmp_path / "area.json").exists()


def refused(capsys: pytest.CaptureFixture[str], said: str, *arguments: Any) -> None:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    told = capsys.readouterr()
    assert ended.value.code == 2 and told.out == ""
    assert said in told.err and len(told.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("confusion.json", '{"confusion": [[98, 2], [2, 98]]}\n'),
        ("predictions.csv", "file,label,probability\na.png,City,0.9\n"),
    ],
)
def test_the_models_own_test_is_refused_as_labels(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    said = "is no labelled sample of this map (it has no column cell): hectares need cells drawn at random"
    refused(capsys, said, "area", folder, "--labels", tmp_path / name)


def test_files_and_numbers_that_do_not_fit_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.gpkg").write_bytes(b"no")
    (tmp_path / "latin.csv").write_bytes(b"cell,row,col,mapped,label\n1,1,1,City,\xe9\n")
    out = tmp_path / "out.gpkg"
    for said, *arguments in [
        ("give a file that ends in .json or .csv", "area", folder, "--out", tmp_path / "area.png"),
        ("give a file that ends in .gpkg", "sample", folder, "--out", tmp_path / "sample.csv"),
        ("--size 2000: the map has 1,060 cells with an answer", "sample", folder, "--out", out, "--size", 2000),
        ("--size 5: a variance takes two cells of each stratum: give 6", "sample", folder, "--out", out, "--size", 5),
        ("name labels.csv of the labelling page", "area", folder, "--labels", tmp_path / "absent.csv"),
        ("no GeoPackage, or damaged", "area", folder, "--labels", tmp_path / "broken.gpkg"),
        ("no CSV file in UTF-8", "area", folder, "--labels", tmp_path / "latin.csv"),
        ("name a folder that 'landuse map' made", "area", tmp_path),
    ]:
        refused(capsys, said, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.gpkg", "latin.csv"]


def test_maps_that_tell_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masked = np.full((2, 4, 5), np.nan)
    mapped.write_map(tmp_path / "masked", masked)
    write(tmp_path / "old", confusion_sure=None)
    write(tmp_path / "half", confusion_sure=[[9, 1], [0, 0]])
    mapped.write_map(tmp_path / "unsure", np.full((2, 4, 5), 0.5))
    mapped.write_map(tmp_path / "named", np.full((2, 4, 5), 0.5), classes=["City", "unknown"])
    for name, said in [
        ("masked", "masked has no valid cell"),
        ("old", "run 'dvc repro export' and make the map again, or label a sample of it"),
        ("half", "the model's test tiles lack a class"),
        ("unsure", "no valid cell of which the model is sure"),
        ("named", "has a class called 'unknown'"),
    ]:
        refused(capsys, said, "area", tmp_path / name)
    refused(capsys, "masked has no valid cell", "sample", tmp_path / "masked", "--out", tmp_path / "s.gpkg")
    main(["sample", str(tmp_path / "unsure"), "--out", str(tmp_path / "s.gpkg"), "--size", "10"])
    assert columns(tmp_path / "s.gpkg")["mapped"] == ["unknown"] * 10
