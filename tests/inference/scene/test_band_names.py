"""Which band is which: by what people, descriptions, files and colours say, never by place alone without a word."""

import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from made_scenes import ALL_BANDS_MODEL, RGB_MODEL, numbers, write_raster

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene import Scene, SceneOptions, open_scene


def indexes(scene: Scene) -> list[int]:
    return [band.index for band in scene.bands]


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("B4", "B04"), ("B04 (665 nm)", "B04"), ("T32UMU_20210908T042701_B8A_20m", "B8A"), ("b08a", "B8A"),
        ("Red", "B04"), ("swir16", "B11"), ("B10, central wavelength 1375 nm", "B10"), ("B02 B03", None),
        ("rededge", None), ("S2B_MSIL1C_20220413", None), ("B13", None), ("", None),
    ],
)  # fmt: skip
def test_a_band_goes_by_many_names(text: str, band: str | None) -> None:
    assert sensors.band(text) == band


@pytest.mark.parametrize(
    "names", [("B02", "B03", "B04"), ("blue", "green", "red"), ("B2", "B3", "B4, central wavelength 665 nm")]
)
def test_descriptions_name_bands(tmp_path: Path, names: tuple[str, ...]) -> None:
    scene = open_scene([write_raster(tmp_path / "a.tif", numbers(), names)], RGB_MODEL, SceneOptions())
    assert indexes(scene) == [3, 2, 1]
    assert f"B04 is band 3 of a.tif, by its description {names[2]!r}" in scene.decisions


def test_files_of_one_band_are_named_by_their_names(tmp_path: Path) -> None:
    for name in ("B02", "B03", "B04", "B08"):
        write_raster(tmp_path / f"T32TNR_20210908T042701_{name}.tif", numbers(1))
    files = sorted(map(str, tmp_path.iterdir()))
    one, other = (open_scene(paths, RGB_MODEL, SceneOptions()) for paths in (files[::-1], [str(tmp_path)]))
    assert one.bands == other.bands and [Path(b.path).stem[-3:] for b in one.bands] == ["B04", "B03", "B02"]
    assert one.date == "2021-09-08T04:27:01Z"


@pytest.mark.parametrize(
    ("domain", "tag", "date"),
    [
        ("IMAGERY", {"ACQUISITIONDATETIME": "2023-08-29 10:30:00"}, "2023-08-29T10:30:00Z"),
        ("IMAGERY", {"ACQUISITIONDATETIME": "in summer"}, None),
        (None, {"TIFFTAG_DATETIME": "2023:08:29 10:30:00"}, None),  # when the file was written
    ],
)
def test_a_geotiff_may_say_its_date(tmp_path: Path, domain: str | None, tag: dict[str, str], date: str | None) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(), sensors.RGB)
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns=domain, **tag)
    assert open_scene([path], RGB_MODEL, SceneOptions()).date == date


@pytest.mark.parametrize("told", [("B02", "B03", "B04"), ("B04=3", "B03=2", "B02=1")])
def test_people_name_bands(tmp_path: Path, told: tuple[str, ...]) -> None:
    path = write_raster(tmp_path / "a.tif", numbers())
    assert indexes(open_scene([path], RGB_MODEL, SceneOptions(bands=told))) == [3, 2, 1]


def test_what_people_say_outranks_a_description_and_is_noted(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(), ("B02", "B03", "B04"))
    scene = open_scene([path], RGB_MODEL, SceneOptions(bands=("B04", "B03", "B02")))
    assert indexes(scene) == [1, 2, 3]
    assert "--bands makes band 1 B04; it is B02 by its description 'B02'" in scene.decisions


def test_colours_name_the_bands_of_a_picture(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", (numbers(4) // 11).astype(np.uint8), photometric="RGB", alpha="YES")
    assert indexes(open_scene([path], RGB_MODEL, SceneOptions())) == [1, 2, 3]


def test_the_place_among_thirteen_counts_where_both_usual_orders_agree(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(13))
    scene = open_scene([path], RGB_MODEL, SceneOptions())
    assert indexes(scene) == [4, 3, 2] and any("by place" in line for line in scene.decisions)
    with pytest.raises(
        UserError, match=r"5 of 13 bands .* have no names: say which are B09, B10, B11, B12, B8A"
    ) as told:
        open_scene([path], ALL_BANDS_MODEL, SceneOptions())
    eurosat, by_wavelength = re.findall(r"--bands (B01,\S+,B\w+)", str(told.value))
    assert indexes(open_scene([path], ALL_BANDS_MODEL, SceneOptions(bands=eurosat.split(",")))) == [*range(1, 14)]
    scene = open_scene([path], ALL_BANDS_MODEL, SceneOptions(bands=by_wavelength.split(",")))
    assert indexes(scene) == [*range(1, 9), 10, 11, 12, 13, 9]


@pytest.mark.parametrize(
    ("names", "told", "line"),
    [
        (("B02", "B03"), (), "no band B04 among B02, B03"),
        ((), (), "3 of 3 bands .* have no names: say which are B04, B03, B02"),
        (("B02", "B03", "B04", "B4"), (), "B04 is there twice, as band 3 of .* and as band 4"),
        ((), ("B04", "B03"), "the files have 3 bands, give 3 names"),
        ((), ("B04=4", "B03=2", "B02=1"), "numbers of 1 to 3"),
        ((), ("B04=1", "B03=1", "B02=2"), "each once"),
    ],
)
def test_missing_nameless_and_double_bands_are_refused(
    tmp_path: Path, names: tuple[str, ...], told: tuple[str, ...], line: str
) -> None:
    path = write_raster(tmp_path / "a.tif", numbers(len(names) or 3), names)
    with pytest.raises(UserError, match=line):
        open_scene([path], RGB_MODEL, SceneOptions(bands=told))


def test_a_file_whose_name_and_description_differ_is_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "B04.tif", numbers(1), ("B02",))
    with pytest.raises(UserError, match="is B04 by its name and B02 by its description"):
        open_scene([str(tmp_path)], RGB_MODEL, SceneOptions())
