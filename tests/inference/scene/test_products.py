"""Products: SAFE folders around metadata, made and real, and STAC items."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_scenes import (
    ALL_BANDS_MODEL,
    METRES,
    RGB_MODEL,
    SIDE,
    numbers,
    write_item,
    write_jp2,
    write_raster,
    write_safe,
)

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene import Scene, SceneOptions, open_scene
from landuse.inference.scene.masks import RasterMask

NAMES = ("B02", "B03", "B04")
L2A = SceneOptions(accept_level="l2a")


def offsets(scene: Scene) -> set[float]:
    return {band.offset for band in scene.bands}


@pytest.mark.parametrize(("offset", "told"), [(-1000, "RADIO_ADD_OFFSET"), (None, "by the product's metadata")])
def test_a_safe_folder_names_bands_and_offsets(tmp_path: Path, offset: int | None, told: str) -> None:
    truth = write_safe(tmp_path / "a.SAFE", "L1C", offset)
    scene = open_scene([str(tmp_path / "a.SAFE")], RGB_MODEL, SceneOptions())
    pixels, valid = scene.read(0, 0, SIDE, SIDE)
    assert np.array_equal(pixels, sensors.to_rgb(np.stack([truth[b] for b in sensors.RGB], axis=-1))) and valid.all()
    assert scene.date == "2024-01-01T10:24:31.024Z" and any(told in line for line in scene.decisions)


def test_the_metadata_file_stands_for_its_product(tmp_path: Path) -> None:
    write_safe(tmp_path / "a.SAFE", "L1C", -1000)
    paths = (tmp_path / "a.SAFE", tmp_path / "a.SAFE" / "MTD_MSIL1C.xml")
    folder, file = (open_scene([str(path)], RGB_MODEL, SceneOptions()) for path in paths)
    assert folder.digest == file.digest


def test_l2a_is_refused_unless_accepted_with_what_that_means(tmp_path: Path) -> None:
    truth = write_safe(tmp_path / "a.SAFE", "L2A", -1000)
    path = str(tmp_path / "a.SAFE")
    with pytest.raises(UserError, match=r"is L2A .* learned from L1C .* --accept-level l2a"):
        open_scene([path], RGB_MODEL, SceneOptions())
    scene = open_scene([path], RGB_MODEL, L2A)
    assert np.array_equal(scene.read(0, 0, SIDE, SIDE)[0][..., 0], sensors.to_rgb(truth["B04"]))
    assert any("--accept-level" in line and "haze" in line for line in scene.decisions)


def test_of_a_band_at_several_resolutions_the_finest_is_read(tmp_path: Path) -> None:
    write_safe(tmp_path / "a.SAFE", "L2A", None)
    fine = next(tmp_path.rglob("*_B04_10m.jp2"))
    write_jp2(fine.parents[1] / "R20m" / fine.name.replace("10m", "20m"), numbers(1, SIDE // 2), 20)
    assert open_scene([str(tmp_path)], RGB_MODEL, L2A).bands[0].path.endswith("_B04_10m.jp2")


def test_the_clouds_of_a_product_are_masked(tmp_path: Path) -> None:
    write_safe(tmp_path / "a.SAFE", "L1C", -1000)
    clouds = np.zeros((3, SIDE // 6, SIDE // 6), dtype=np.uint8)  # opaque, cirrus, snow
    clouds[0, 5, 5] = clouds[1, 5, 15] = clouds[2, 15, 15] = 1
    write_jp2(next((tmp_path / "a.SAFE" / "GRANULE").iterdir()) / "QI_DATA" / "MSK_CLASSI_B00.jp2", clouds, 60)
    scene = open_scene([str(tmp_path / "a.SAFE")], RGB_MODEL, SceneOptions(dilate=2))
    _, valid = scene.read(0, 0, SIDE, SIDE)
    expected = np.ones((SIDE, SIDE), dtype=bool)
    expected[28:38, 28:38] = expected[28:38, 88:98] = False
    assert np.array_equal(valid, expected)


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "date", "offset"),
    [
        ("L1C_N0209", "2020-07-17", 0), ("L1C_N0301", "2021-09-08", 0), ("L1C_N0510", "2024-01-01", -1000),
        ("L2A_N0212", "2019-02-12", 0), ("L2A_N0400", "2022-04-13", -1000),
    ],
)  # fmt: skip
def test_real_metadata_of_five_baselines(real_data: Path, tmp_path: Path, name: str, date: str, offset: int) -> None:
    level = name[:3]
    metadata = (real_data / "s2_metadata" / f"{name}_MTD_MSI{level}.xml").read_bytes()
    truth = write_safe(tmp_path / "a.SAFE", level, None, shift=offset, metadata=metadata)
    bands = [name for name in sensors.BANDS if name in truth]
    model = ALL_BANDS_MODEL.model_copy(update={"bands": bands})
    scene = open_scene([str(tmp_path / "a.SAFE")], model, L2A)
    pixels, _ = scene.read(0, 0, SIDE, SIDE)
    fine = [i for i, band in enumerate(bands) if METRES[band] == 10]
    assert all(np.array_equal(pixels[..., i], truth[bands[i]]) for i in fine)
    assert offsets(scene) == {offset} and scene.date is not None and scene.date.startswith(date)


@pytest.mark.parametrize(("content", "line"), [(b"<a", "is damaged"), (b"<a/>", "is damaged")])
def test_damaged_metadata_are_refused(tmp_path: Path, content: bytes, line: str) -> None:
    write_safe(tmp_path / "a.SAFE", "L1C", -1000, metadata=content)
    with pytest.raises(UserError, match=line):
        open_scene([str(tmp_path / "a.SAFE")], RGB_MODEL, SceneOptions())


def test_a_folder_of_two_products_is_refused(tmp_path: Path) -> None:
    for name in ("a.SAFE", "b.SAFE"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "MTD_MSIL1C.xml").write_text("<a/>")
    with pytest.raises(UserError, match="holds 2 products"):
        open_scene([str(tmp_path)], RGB_MODEL, SceneOptions())


def assets(folder: Path, pixels: np.ndarray, **about: Any) -> dict[str, Any]:
    """Files of three bands beside an item, in Earth Search's manner: keys are common names."""
    keys = {"blue": "B02", "green": "B03", "red": "B04"}
    for i, name in enumerate(keys.values()):
        write_raster(folder / f"{name}.tif", pixels[i : i + 1])
    made = {key: {"href": f"./{name}.tif", "eo:bands": [{"name": key, "common_name": key}]} | about
            for key, name in keys.items()}  # fmt: skip
    visual = {"href": "./TCI.tif", "roles": ["visual"], "eo:bands": [{"name": "red"}, {"name": "green"}]}
    return made | {"visual": visual, "thumbnail": {"href": "preview.jpg"}}


@pytest.mark.parametrize(
    ("about", "properties", "shift", "told"),
    [
        ({"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, {}, 1000, "raster:bands"),
        ({"raster:scale": 1e-4, "raster:offset": -0.1}, {}, 1000, "raster:bands"),
        ({"raster:bands": [{"scale": 1e-4, "offset": -0.1}]}, {"earthsearch:boa_offset_applied": True}, 0, "applied"),
        ({}, {"s2:processing_baseline": "04.00"}, 1000, "processing baseline 04.00"),
        ({}, {"s2:processing_baseline": "02.14"}, 0, "processing baseline 02.14"),
        ({}, {}, 0, "the pixels"),
    ],
)
def test_an_item_tells_the_offset(
    tmp_path: Path, about: dict[str, Any], properties: dict[str, Any], shift: int, told: str
) -> None:
    pixels = numbers() + np.uint16(shift)
    scene = open_scene([write_item(tmp_path / "a.json", assets(tmp_path, pixels, **about), **properties)],
                       RGB_MODEL, SceneOptions())  # fmt: skip
    assert offsets(scene) == {-float(shift)} and any(told in line for line in scene.decisions)
    assert np.array_equal(scene.read(0, 0, SIDE, SIDE)[0], sensors.to_rgb(np.moveaxis(numbers()[::-1], 0, -1)))
    assert scene.date == "2024-01-01T10:24:31Z"


def test_an_item_that_is_wrong_about_its_offset_stops(tmp_path: Path) -> None:
    item = write_item(tmp_path / "a.json", assets(tmp_path, numbers()), **{"s2:processing_baseline": "05.10"})
    with pytest.raises(UserError, match=r"by processing baseline 05.10, .* as if it had been applied: --offset"):
        open_scene([item], RGB_MODEL, SceneOptions())


def test_an_item_whose_names_contradict_each_other_is_refused(tmp_path: Path) -> None:
    made = assets(tmp_path, numbers())
    made["red"]["eo:bands"] = [{"name": "B02"}]
    with pytest.raises(UserError, match="the asset 'red' is B04 by its key and B02 by its name"):
        open_scene([write_item(tmp_path / "a.json", made)], RGB_MODEL, SceneOptions())


def test_an_item_of_l2a_brings_its_classification(tmp_path: Path) -> None:
    layer = np.full((1, SIDE // 2, SIDE // 2), 4, dtype=np.uint8)
    write_raster(tmp_path / "SCL.tif", layer)
    made = assets(tmp_path, numbers()) | {"scl": {"href": "SCL.tif", "roles": ["data"]}}
    scene = open_scene([write_item(tmp_path / "a.json", made, collection="sentinel-2-l2a")], RGB_MODEL, L2A)
    assert [Path(m.path).name for m in scene.masks if isinstance(m, RasterMask)] == ["SCL.tif"]


def test_of_the_same_band_in_two_formats_the_geotiff_is_read(tmp_path: Path) -> None:
    made = assets(tmp_path, numbers())
    made = {"red-jp2": {"href": "nowhere.jp2", "eo:bands": [{"name": "red"}]}} | made
    scene = open_scene([write_item(tmp_path / "a.json", made)], RGB_MODEL, SceneOptions())
    assert scene.bands[0].path.endswith("B04.tif")


@pytest.mark.parametrize("content", ["{", "[]", '{"type": "Catalog"}', '{"type": "Feature"}'])
def test_what_is_no_item_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UserError, match="STAC item"):
        open_scene([str(tmp_path / "a.json")], RGB_MODEL, SceneOptions())


class _Server(http.server.SimpleHTTPRequestHandler):
    """Python's own knows no ranges, without which GDAL reads nothing."""

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(first) : int(last) + 1 if last else None]
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a server of tmp_path."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0),
        lambda *args: _Server(*args, directory=str(tmp_path)),  # type: ignore[arg-type]
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_rasters_and_items_are_read_from_a_server(tmp_path: Path, address: str) -> None:
    write_raster(tmp_path / "scene.tif", numbers(), NAMES)
    write_item(tmp_path / "item", assets(tmp_path, numbers()))
    scenes = [open_scene([f"{address}/{name}"], RGB_MODEL, SceneOptions()) for name in ("scene.tif", "item")]
    for scene in scenes:
        assert np.array_equal(scene.read(0, 0, SIDE, SIDE)[0], sensors.to_rgb(np.moveaxis(numbers()[::-1], 0, -1)))
