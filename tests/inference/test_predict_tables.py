"""The formats of ``landuse predict``: the same rows in each; a file is whole or not there."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import shapely
from pyarrow import parquet

from landuse.core.errors import UserError
from landuse.inference.predict import tables
from landuse.inference.predict.tables import COLUMNS, Place, Row, table

ROWS = [
    Row("a,b.png", "City", 0.75, "Farmland", 0.25, 0.8112781, False, ("City",), 0.5),
    Row('ü "x".png', "Farmland", 0.5, "City", 0.5, 1.0, True, ("Farmland", "City"), None),
    Row("bad.png", error="broken"),
]
PLACES: list[Place | None] = [(9.0, 48.7), None, None]


def written(out: Path, times: int = 1) -> Path:
    with table(out) as write:
        for _ in range(times):
            write(ROWS, PLACES)
    return out


def test_csv_has_blanks_where_there_is_no_answer(tmp_path: Path) -> None:
    head, *rows = csv.reader(written(tmp_path / "t.csv").open(encoding="utf-8", newline=""))
    assert tuple(head) == COLUMNS
    assert rows[0] == ["a,b.png", "City", "0.75", "Farmland", "0.25", "0.811278", "false", "City", "0.5", ""]
    assert rows[1] == ['ü "x".png', "Farmland", "0.5", "City", "0.5", "1", "true", "Farmland;City", "", ""]
    assert rows[2] == ["bad.png", *[""] * 8, "broken"]


def test_json_lines_have_null(tmp_path: Path) -> None:
    lines = written(tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()
    first, second, third = map(json.loads, lines)
    assert tuple(first) == COLUMNS
    assert second["set"] == ["Farmland", "City"] and second["abstained"] is True and second["ood"] is None
    assert third == dict.fromkeys(COLUMNS) | {"file": "bad.png", "error": "broken"}


def test_parquet_has_lists_and_nulls(tmp_path: Path) -> None:
    found = parquet.read_table(written(tmp_path / "t.parquet", 2000)).to_pylist()
    assert len(found) == 6000
    assert found[4]["set"] == ["Farmland", "City"] and found[4]["ood"] is None and found[3]["probability"] == 0.75
    assert found[5] == dict.fromkeys(COLUMNS) | {"file": "bad.png", "error": "broken"}


def test_a_geopackage_has_points_where_there_are_places(tmp_path: Path) -> None:
    meta, _, points, fields = pyogrio.raw.read(written(tmp_path / "t.gpkg", 2000))
    assert len(points) == 6000 and meta["crs"] == "EPSG:4326" and tuple(meta["fields"]) == COLUMNS
    assert shapely.from_wkb(points[5997]).coords[0] == (9.0, 48.7)
    assert points[5998] is None and points[5999] is None
    column = dict(zip(COLUMNS, fields, strict=True))
    assert column["set"][4] == "Farmland;City" and np.isnan(column["ood"][4]) and column["label"][5] is None
    assert column["abstained"][3] == 0 and column["abstained"][4] == 1 and column["error"][5] == "broken"


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "gpkg"])
def test_no_rows_are_an_empty_table(tmp_path: Path, suffix: str) -> None:
    with table(tmp_path / f"t.{suffix}"):
        pass
    assert [file.name for file in tmp_path.iterdir()] == [f"t.{suffix}"]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "gpkg"])
def test_what_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"t.{suffix}"
    out.write_text("old")
    with pytest.raises(KeyboardInterrupt), table(out) as write:
        for _ in range(tables._PIECE):
            write(ROWS, PLACES)
        raise KeyboardInterrupt
    assert [file.name for file in tmp_path.iterdir()] == [out.name] and out.read_text() == "old"


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install 'landuse\[parquet\]'"):
        table(tmp_path / "t.parquet")
