"""EuroSAT in both forms: the real tiles, the official content, and GeoTIFFs that cannot be used."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from landuse import params
from landuse.core.errors import UserError
from landuse.data import writer
from landuse.data.sources import eurosat, open_source
from landuse.data.sources.fetch import Address
from landuse.pictures import BadTile
from landuse.tiles.store import open_store

MakeData = Callable[..., params.Data]
RANDOM = np.random.default_rng(3)
MS_469_DIGEST = "c0e54a4d79761421f38ed33e3758b3b85ac1988423ac61a23f1e2b839cbd3649"


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path


@pytest.mark.real
def test_469_real_geotiffs_with_bands_and_coordinates(
    real_data: Path, tmp_path: Path, data: MakeData, capfd: pytest.CaptureFixture[str]
) -> None:
    section = data(source="eurosat_ms", url=str(real_data / "EuroSAT_MS_469.zip"), bands="all")
    writer.write(tmp_path / "store", open_source(section))
    store = open_store(tmp_path / "store")
    assert (store.images.shape, store.images.dtype) == ((469, 64, 64, 13), np.uint16)
    assert store.info["bands"] == [*(f"B{n:02}" for n in range(1, 13)), "B8A"]
    assert (store.info["digest"], store.info["official"]) == (MS_469_DIGEST, False)
    assert capfd.readouterr().err.count("\n") == 1  # the note that these are not all, and nothing of GDAL's
    table = pd.read_csv(real_data / "splits" / "ms_469_geo.csv")
    table.index = pd.Index(table["class"] + "/" + table["file"])
    table = table.loc[store.index["file"]]
    assert list(store.index["epsg"]) == list(table["epsg"])
    for edge in ("left", "bottom", "right", "top"):
        assert np.allclose(store.index[edge], table[edge], rtol=0, atol=0.01)  # metres
    assert np.allclose(store.index["latitude"], table["lat"], rtol=0, atol=2e-6)
    assert np.allclose(store.index["longitude"], table["lon"], rtol=0, atol=2e-6)
    # the last band is B8A (865 nm): like B08 (842 nm), unlike B12 (2190 nm)
    means = dict(zip(store.info["bands"], store.images.reshape(469, -1, 13).mean(1).T, strict=True))
    assert np.corrcoef(means["B8A"], means["B08"])[0, 1] > 0.98 > np.corrcoef(means["B12"], means["B08"])[0, 1]


@pytest.mark.real
def test_rgb_of_the_geotiffs_is_what_eurosat_made_of_them(real_data: Path, data: MakeData) -> None:
    ms = open_source(data(source="eurosat_ms", url=str(real_data / "EuroSAT_MS_469.zip"), bands="rgb"))
    rgb = open_source(data(source="eurosat_rgb", url=str(real_data / "EuroSAT_RGB.zip")))
    assert (ms.dtype, ms.bands) == (np.uint8, rgb.bands)
    for name in ms.names[::40]:
        ours, theirs = ms.read(name).pixels, rgb.read(name.replace(".tif", ".jpg")).pixels
        assert ours.shape == (64, 64, 3)
        assert np.abs(ours.astype(int) - theirs).mean() < 4  # what JPEG changes


@pytest.mark.real
def test_some_bands_of_the_real_tiles_are_those_of_all_also_as_a_folder(real_data: Path, data: MakeData) -> None:
    url, asked = str(real_data / "EuroSAT_MS_469.zip"), ["B8A", "B02", "NDVI", "B11"]
    every = open_source(data(source="eurosat_ms", url=url, bands="all"))
    stored = ("B8A", "B02", "B11", "B08", "B04")
    for source in ("eurosat_ms", "folder"):
        some = open_source(data(source=source, url=url, bands=asked))
        assert (some.bands, some.dtype, some.ground_resolution) == (stored, np.uint16, pytest.approx(10, abs=0.03))
        assert some.names == every.names
        for name in every.names[::50]:
            whole, tile = every.read(name), some.read(name)
            assert np.array_equal(tile.pixels, whole.pixels[..., [every.bands.index(band) for band in stored]])
            assert (tile.georef, tile.sha256) == (whole.georef, whole.sha256)


def test_one_content_in_every_layout_has_one_digest(tmp_path: Path, data: MakeData) -> None:
    files = {f"{label}/{label}_{n}.jpg": jpeg() for label in ("Forest", "River") for n in (1, 2, 10)}
    layouts = ["", "2750/", "EuroSAT_RGB/", "ds/images/remote_sensing/otherDatasets/sentinel_2/tif/"]
    urls = [
        write_zip(tmp_path / f"{n}.zip", {root + name: content for name, content in files.items()})
        for n, root in enumerate(layouts)
    ]
    with zipfile.ZipFile(urls[1]) as archive:
        archive.extractall(tmp_path / "folder")
    digests = set()
    for url in [*urls, tmp_path / "folder", tmp_path / "folder" / "2750"]:
        writer.write(tmp_path / "store", open_source(data(source="eurosat_rgb", url=str(url))))
        digests.add(open_store(tmp_path / "store").info["digest"])
    lines = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    assert digests == {hashlib.sha256(lines.encode()).hexdigest()}


def test_the_official_address_must_give_the_official_content(
    server: Any, tmp_path: Path, data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write_zip(tmp_path / "made.zip", {"2750/Forest/Forest_1.jpg": jpeg(), "2750/River/River_1.jpg": jpeg()})
    server.content = made.read_bytes()
    checksum = f"sha256:{hashlib.sha256(server.content).hexdigest()}"
    monkeypatch.setattr(eurosat, "RGB_ADDRESSES", (server.address("md5:" + "0" * 32), server.address(checksum)))
    collection = open_source(data(source="eurosat_rgb"))  # the first mirror's container is wrong
    assert len(server.asked) == 2
    with pytest.raises(UserError, match="2 tiles of eurosat_rgb are not the official ones"):
        writer.write(tmp_path / "store", collection)
    assert not (tmp_path / "store").exists()


def test_offline_the_error_names_both_remedies(data: MakeData, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server.server_close()
    monkeypatch.setattr(eurosat, "MS_ADDRESSES", (Address("http://no-such-host.invalid/a.zip"), server.address()))
    with pytest.raises(UserError, match=r"offline.*no connection.*-S data.url=PATH.*-S data.source=sample"):
        open_source(data(source="eurosat_ms"))


def test_only_eurosats_own_files_are_tiles(tmp_path: Path, data: MakeData, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["Forest/Forest_1.jpg", "Forest/River_1.jpg", "Forest/Forest_1.tif", "Forest/Forest_1.jpg.aux.xml", "a.jpg"]
    url = str(write_zip(tmp_path / "made.zip", {name: jpeg() for name in names}))
    assert open_source(data(source="eurosat_rgb", url=url)).names == names[:1]
    assert "4 files that are not tiles" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "files", "told"),
    [
        ("eurosat_ms", ".jpg", r"holds 2 files <Class>_<number>.jpg of EuroSAT, .*use -S data.source=eurosat_rgb"),
        ("eurosat_rgb", ".tif", r"holds 2 files <Class>_<number>.tif of EuroSAT, .*use -S data.source=eurosat_ms"),
        ("eurosat_rgb", ".png", r"no tile of EuroSAT .*<Class>_<number>.jpg; .*use -S data.source=folder"),
    ],
)
def test_the_other_form_of_eurosat_is_named(tmp_path: Path, data: MakeData, source: str, files: str, told: str) -> None:
    url = write_zip(tmp_path / "made.zip", {f"set/Forest/Forest_{n}{files}": b"x" for n in (1, 2)})
    with pytest.raises(UserError, match=told):
        open_source(data(source=source, url=str(url)))


def test_a_folder_of_thirteen_bands_names_the_source(tmp_path: Path, data: MakeData) -> None:
    content = b"II*\0" + bytes(200)  # Pillow knows no picture of 13 bands, nor this one
    url = write_zip(tmp_path / "made.zip", {"Forest/Forest_1.tif": content})
    with pytest.raises(BadTile, match=r"-S data\.source=eurosat_ms"):
        open_source(data(source="folder", url=str(url))).read("Forest/Forest_1.tif")


def test_swapped_coordinates_of_eurosat_are_refused(tmp_path: Path, data: MakeData) -> None:
    url = write_zip(tmp_path / "made.zip", {"Forest/Forest_1.jpg": jpeg()})
    (tmp_path / "where.csv").write_text("file,latitude,longitude\nForest_1,8.5,50\n")
    with pytest.raises(UserError, match="are latitude and longitude swapped"):
        open_source(data(source="eurosat_rgb", url=str(url), coordinates=str(tmp_path / "where.csv")))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": "eurosat_rgb", "bands": "all"}, "-S data.source=eurosat_ms"),
        ({"source": "eurosat_rgb", "bands": ["B04"]}, "-S data.source=eurosat_ms"),
        ({"source": "eurosat_ms", "bands": ["SR_B4"]}, "bands are of Landsat 8/9, EuroSAT is Sentinel-2's"),
        ({"source": "sample", "bands": ["SR_B4"]}, "bands are of Landsat 8/9, the sample is Sentinel-2's"),
        ({"source": "eurosat_rgb", "tile_size": 32}, "-S data.tile_size=64"),
        ({"source": "eurosat_ms", "tile_size": 128}, "-S data.tile_size=64"),
    ],
)
def test_settings_that_do_not_go_together(data: MakeData, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        open_source(data(**changes))
