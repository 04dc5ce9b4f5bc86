"""Tables of places that are wrong in ways a reader would see at once."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from landuse.core.errors import UserError
from landuse.data.sources.collection import Collection, Tile
from landuse.data.sources.coordinates import with_coordinates

EUROPE = (27.0, 72.0, -32.0, 46.0)
HEAD = "file,latitude,longitude\n"


def collection(*names: str, area: tuple[float, float, float, float] | None = None) -> Collection:
    pixels = np.zeros((8, 8, 3), np.uint8)
    return Collection(
        "made", list(names), lambda _: Tile(pixels, ""), ("r", "g", "b"), 8, pixels.dtype, "", "", area=area
    )


def placed(tmp_path: Path, table: str | bytes, tiles: Collection) -> list[tuple[float | None, float | None]]:
    (tmp_path / "where.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    found = with_coordinates(tiles, str(tmp_path / "where.csv"))
    return [(tile.latitude, tile.longitude) for tile in map(found.read, found.names)]


TILES = ("River/a.png", "River/b.png")


def test_swapped_out_of_range_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"line 3 of .* no latitude in .*: are latitude and longitude swapped\?"):
        placed(tmp_path, HEAD + "a,50,8\nb,139.7,35.7\n", collection(*TILES))
    with pytest.raises(UserError, match="mend it"):  # no order of the two makes sense of this
        placed(tmp_path, HEAD + "a,139.7,35.7\nb,200,35.7\n", collection(*TILES))


def test_swapped_out_of_europe_is_asked_about(tmp_path: Path) -> None:
    told = r"places River/b.png at latitude 8.5, longitude 50, but tiles of made lie between 27 and 72, .* swapped\?"
    with pytest.raises(UserError, match=told):
        placed(tmp_path, HEAD + "a,30,40\nb,8.5,50\n", collection(*TILES, area=EUROPE))


@pytest.mark.parametrize(
    ("table", "area"),
    [
        ("a,8.5,50\nb,-34,151\n", None),  # Somalia and Sydney: nobody knows better
        ("a,30,40\nb,40,30\n", EUROPE),  # in Europe's box either way
        ("a,8.5,50\nb,-34,151\n", EUROPE),  # elsewhere, but swapping is no better: the user's own tiles
        ("a,0,0\nb,-90,180\n", None),
    ],
)
def test_no_false_alarm(tmp_path: Path, table: str, area: tuple[float, float, float, float] | None) -> None:
    expected = [tuple(map(float, line.split(",")[1:])) for line in table.splitlines()]
    assert placed(tmp_path, HEAD + table, collection(*TILES, area=area)) == expected


@pytest.mark.real
def test_the_real_table_fits_and_swapped_it_does_not(real_data: Path, tmp_path: Path) -> None:
    table = pd.read_csv(real_data / "splits" / "eurosat_coords.csv").iloc[::50]
    tiles = collection(*(table["class"] + "/" + table["file"]), area=EUROPE)
    assert len(placed(tmp_path, table.to_csv(index=False), tiles)) == 540
    swapped = table.rename(columns={"latitude": "longitude", "longitude": "latitude"})
    with pytest.raises(UserError, match="swapped"):
        placed(tmp_path, swapped.to_csv(index=False), tiles)


@pytest.mark.parametrize("table", [HEAD + "River\\a.tif,1,2\n", HEAD.encode("utf-8-sig") + b"a.png,1,2\n"])
def test_tables_of_windows_are_read(tmp_path: Path, table: str | bytes) -> None:
    assert placed(tmp_path, table, collection("River/a.png")) == [(1.0, 2.0)]


def test_accents_of_macos_are_the_same_letters(tmp_path: Path) -> None:
    assert placed(tmp_path, HEAD + "Do\u0308rfer/a,1,2\n", collection("Dörfer/a.png")) == [(1.0, 2.0)]


@pytest.mark.parametrize(
    "table",
    [
        HEAD.encode("utf-16") + "a,1,2\n".encode("utf-16-le"),
        gzip.compress(HEAD.encode(), mtime=0),
        HEAD + '"a,1,2\n',
        HEAD + "a,1,2\nb,1,2,3,4\n",
        "file;latitude;longitude\na;1,5;2\n",
        HEAD + ",1,2\n",
        HEAD + ".,1,2\n",
        HEAD + "/,1,2\n",
        HEAD + "a,1e999,2\n",
        HEAD + "a,1\n",
        HEAD,
        b"\0" * 100,
        np.random.default_rng(0).bytes(5000),
    ],
    ids=lambda _: "table",
)
def test_a_damaged_table_is_one_line(tmp_path: Path, table: str | bytes) -> None:
    with pytest.raises(UserError, match=r"data.coordinates: .*where\.csv"):
        placed(tmp_path, table, collection(*TILES))


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file"):
        with_coordinates(collection(*TILES), str(tmp_path))
