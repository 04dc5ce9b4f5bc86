"""``landuse predict``: which files are answered, how they are decoded, and what is said of those that cannot be."""

import csv
import io
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from affine import Affine
from exported import write_model
from PIL import Image

from landuse import cli, sensors
from landuse.inference import Model, registry
from landuse.inference.predict import decoding, run
from landuse.pictures import BadTile
from landuse.pictures import decode as decode_picture


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of two models of tiles of 16 pixels: one of EuroSAT's RGB, one of digital numbers in 13 bands."""
    folder = tmp_path_factory.mktemp("models")
    write_model(folder / "rgb", size=16)
    write_model(folder / "numbers", sensors.BANDS, "uint16", 16)
    return folder


@pytest.fixture
def tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures, dark, bright and in between, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, level in {"b/dark.png": 40, "b/bright.jpg": 220, "a.tif": 230, "b/c/between.png": 128}.items():
        picture(Path("tiles", name), level)
    Path("tiles", "notes.txt").write_text("no picture")
    Path("tiles", ".hidden.png").write_text("no picture")
    return tmp_path / "tiles"


EXPECTED = [("a.tif", "City"), ("b/bright.jpg", "City"), ("b/dark.png", "Farmland"), ("b/c/between.png", "City")]


def picture(file: Path, level: int, size: tuple[int, int] = (16, 16)) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(file)


def geotiff(file: Path, pixels: np.ndarray, names: tuple[str | None, ...] = (), **profile: Any) -> Path:
    """Write (H, W, C) pixels at 10 m in UTM zone 32, north-west corner at 500 km east and 5,400 km north."""
    height, width, count = pixels.shape
    place = {"crs": "EPSG:32632", "transform": Affine(10, 0, 500_000, 0, -10, 5_400_000)}
    form = {"driver": "GTiff", "height": height, "width": width, "count": count, "dtype": pixels.dtype}
    with rasterio.open(file, "w", **(form | place | profile)) as image:
        image.write(pixels.transpose(2, 0, 1))
        image.descriptions = names or (None,) * count
    return file


def numbers(levels: np.ndarray | int = 900) -> np.ndarray:
    """(16, 16, 13) digital numbers of a level for each band, in the order of ``sensors.BANDS``."""
    noise = np.random.default_rng(0).uniform(0.3, 1.7, (16, 16, 1))
    return (noise * np.broadcast_to(levels, 13)).astype(np.uint16)


def predict(model: Path, *arguments: object, code: int = 0) -> list[dict[str, str]]:
    """Run the command, of which ``code`` is expected; return the rows of ``out.csv``."""
    out = ["--out", "out.csv"]
    if code:
        with pytest.raises(SystemExit) as caught:
            cli.main(["predict", *map(str, arguments), "--model", str(model), *out])
        assert caught.value.code == code
    else:
        cli.main(["predict", *map(str, arguments), "--model", str(model), *out])
    with Path("out.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run the command, which is to end with one line; return that."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.main(["predict", *map(str, arguments)])
    shown = capsys.readouterr()
    assert caught.value.code == 2
    assert shown.out == "" and len(shown.err.splitlines()) == 1
    return shown.err


def test_a_row_says_all_that_the_model_says(models: Path, tiles: Path) -> None:
    (row,) = predict(models / "rgb", tiles / "b/c/between.png")
    answers = Model.load(models / "rgb").predict(np.full((1, 16, 16, 3), 128, np.uint8))
    assert row["label"] == "City" and row["runner_up"] == "Farmland"
    assert float(row["probability"]) == pytest.approx(answers.probabilities.max(), rel=1e-5)
    assert float(row["runner_up_probability"]) == pytest.approx(answers.probabilities.min(), rel=1e-5)
    assert float(row["entropy"]) == pytest.approx(answers.entropy[0], rel=1e-5)
    assert float(row["ood"]) == pytest.approx(answers.ood[0], rel=1e-5)
    assert (row["abstained"], row["set"], row["error"]) == ("true", "Farmland;City", "")


def test_folders_patterns_zips_and_lists_give_the_same_rows(
    models: Path, tiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile("tiles.zip", "w") as archive:
        for file in sorted(tiles.rglob("*"), reverse=True):
            if file.is_file():
                archive.write(file, file.relative_to(tiles.parent))
    listed = "\n".join(f"tiles/{name}" for name, _ in EXPECTED)
    for path, prefix in {"tiles": "tiles/", "tiles.zip": "tiles.zip/tiles/", "t*les": "tiles/", "-": "tiles/"}.items():
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{listed}\n\n"))
        rows = predict(models / "rgb", path)
        assert [(row["file"], row["label"]) for row in rows] == [(prefix + name, label) for name, label in EXPECTED]
    rows = predict(models / "rgb", "tiles/b/c", "tiles/**/*.jpg", "tiles/a.tif")
    assert [Path(row["file"]).name for row in rows] == ["between.png", "bright.jpg", "a.tif"]


def test_a_model_of_mlflow_is_fetched(models: Path, tiles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "local_folder", lambda uri: models / {"models:/land-use@best": "rgb"}[uri])
    assert len(predict(Path("models:/land-use@best"), tiles)) == len(EXPECTED)


def test_without_out_the_table_goes_to_standard_output(
    models: Path, tiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["predict", str(tiles), "--model", str(models / "rgb")])
    shown = capsys.readouterr()
    assert [row["label"] for row in csv.DictReader(io.StringIO(shown.out))] == [label for _, label in EXPECTED]
    assert shown.err == ""


def test_files_that_cannot_be_answered_are_rows_with_the_reason(
    models: Path, tiles: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiles / "b/broken.jpg").write_bytes((tiles / "b/bright.jpg").read_bytes()[:300])
    (tiles / "b/empty.png").touch()
    picture(tiles / "b/large.png", 100, (100, 80))
    picture(tiles / "b/night.png", 0)
    (tiles / "b/text.png").write_text("no picture")
    (tiles / "b/link.png").symlink_to("nowhere")
    (tiles / "b/damaged.tif").write_bytes((tiles / "a.tif").read_bytes()[:200])
    Image.new("RGBA", (16, 16), (9, 9, 9, 0)).save(tiles / "b/transparent.png")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"tiles/absent.png\n{'x' * 300}\n"))
    rows = predict(models / "rgb", tiles, "-", code=1)
    told = {Path(row["file"]).name: row["error"] for row in rows}
    assert len(rows) == len(EXPECTED) + 10
    assert [name for name, error in told.items() if not error] == ["a.tif", "bright.jpg", "dark.png", "between.png"]
    assert all(not row["label"] and not row["probability"] for row in rows if row["error"])
    for name, reason in {
        "broken.jpg": "broken image", "empty.png": "broken, or not an image",
        "large.png": "100 x 80 pixels: this model takes tiles of 16 x 16", "night.png": "no data",
        "text.png": "not an image", "link.png": "leads nowhere", "damaged.tif": "broken", "absent.png": "no tiles",
        "transparent.png": "transparent",
    }.items():  # fmt: skip
        assert reason in told[name], name
    assert "files without an answer: 10" in capsys.readouterr().err


def test_pictures_are_scaled_only_where_the_training_tiles_were(models: Path, tiles: Path) -> None:
    spec = Model.load(models / "rgb").spec.model_copy(update={"source": "folder"})
    picture(tiles / "large.png", 100, (100, 80))
    assert decoding.decode((tiles / "large.png").read_bytes(), spec).pixels.shape == (16, 16, 3)


def test_bands_are_taken_by_their_descriptions_whatever_their_order(models: Path, tmp_path: Path) -> None:
    pixels, spec = numbers(np.arange(500, 1800, 100)), Model.load(models / "numbers").spec
    names = tuple(f"{name}, a description" for name in sensors.BANDS)
    file = geotiff(tmp_path / "t.tif", pixels[..., ::-1], names[::-1])
    found = decoding.decode(file.read_bytes(), spec)
    assert np.array_equal(found.pixels, pixels) and found.note is None


def test_thirteen_bands_without_names_are_taken_in_eurosats_order_and_that_is_said_once(
    models: Path, tiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "xyz":
        geotiff(tiles.parent / f"{name}.tif", numbers())
    rows = predict(models / "numbers", "x.tif", "y.tif", "z.tif")
    assert [row["label"] for row in rows] == ["Farmland"] * 3
    assert capsys.readouterr().err.splitlines() == [
        f"landuse: {', '.join(sensors.BANDS)} are named by place: 13 bands without names, in the order of "
        "EuroSAT's files",
        "landuse: tiles unlike the training tiles, whose labels are a guess: 3",
    ]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("names", [("B02", "B03", "B04"), ("blue", "green", "red")])
def test_three_bands_go_by_their_descriptions_not_their_place(
    models: Path, tmp_path: Path, names: tuple[str, ...], dtype: str
) -> None:
    pixels, spec = numbers(np.arange(500, 1800, 100))[..., [3, 2, 1]], Model.load(models / "rgb").spec
    stored = sensors.to_rgb(pixels) if dtype == "uint8" else pixels
    found = decoding.decode(geotiff(tmp_path / "t.tif", stored[..., ::-1], names).read_bytes(), spec)
    assert np.array_equal(found.pixels, sensors.to_rgb(pixels)) and found.note is None


def test_three_bands_without_names_are_taken_by_colours_or_not_at_all(models: Path, tmp_path: Path) -> None:
    pixels, spec = numbers(np.arange(500, 1800, 100))[..., [3, 2, 1]], Model.load(models / "rgb").spec
    found = decoding.decode(geotiff(tmp_path / "t.tif", pixels, photometric="RGB").read_bytes(), spec)
    assert np.array_equal(found.pixels, sensors.to_rgb(pixels)) and found.note is None
    with pytest.raises(BadTile, match="3 bands without names: this model takes B04, B03, B02"):
        decoding.decode(geotiff(tmp_path / "t.tif", pixels).read_bytes(), spec)


def test_a_picture_is_nothing_for_a_model_of_thirteen_bands(models: Path, tiles: Path) -> None:
    (row,) = predict(models / "numbers", tiles / "b/bright.jpg", code=1)
    assert row["error"].startswith(f"an 8-bit picture: this model takes a GeoTIFF of {sensors.UNITS}, bands B01, B02,")


def test_a_geopackage_has_the_centre_of_each_tile_that_has_a_place(models: Path, tiles: Path) -> None:
    for name, zone in {"x": 32632, "y": 32633}.items():
        geotiff(tiles.parent / f"{name}.tif", sensors.to_rgb(numbers()[..., :3]), crs=f"EPSG:{zone}")
    cli.main(["predict", "x.tif", "tiles/a.tif", "y.tif", "--model", str(models / "rgb"), "--out", "out.gpkg"])
    _, _, points, _ = pyogrio.raw.read("out.gpkg")
    first, second, third = (None if point is None else shapely.from_wkb(point) for point in points)
    # on the central meridian's 500 km, so that 80 m east are 80 / (111,320 cos(latitude)) degrees
    assert (first.x, first.y) == pytest.approx((9 + 80 / 111_320 / np.cos(np.radians(48.75)), 48.752), abs=1e-3)
    assert second is None and (third.x - first.x, third.y - first.y) == pytest.approx((6, 0), abs=1e-9)


def test_a_model_of_rgb_sees_digital_numbers_as_eurosat_made_its_pictures(models: Path, tmp_path: Path) -> None:
    pixels, spec = numbers(np.arange(500, 1800, 100)), Model.load(models / "rgb").spec
    found = decoding.decode(geotiff(tmp_path / "t.tif", pixels).read_bytes(), spec)
    assert np.array_equal(found.pixels, sensors.to_rgb(pixels[..., [3, 2, 1]]))
    assert found.note is not None and "EuroSAT's files" in found.note


@pytest.mark.parametrize(
    ("pixels", "names", "profile", "told"),
    [
        (numbers()[..., :5], (), {}, "5 bands without names: this model takes B01"),
        (numbers()[..., :12], sensors.BANDS[:12], {}, "band B8A is missing: the file has B01, B02"),
        (numbers(), ("B01", *sensors.BANDS[:12]), {}, "band B01 is there twice"),
        (numbers()[:8], sensors.BANDS, {}, "16 x 8 pixels: this model takes tiles of 16 x 16"),
        (numbers().astype(np.float32) / 10000, sensors.BANDS, {}, "13 bands of float32: this model takes"),
        (numbers().astype(np.uint8), sensors.BANDS, {}, "13 bands of uint8: this model takes"),
        (numbers()[..., [3, 2, 1]], sensors.RGB, {}, "band B01 is missing: the file has B04, B03, B02"),
        (sensors.to_rgb(numbers()[..., [3, 2, 1]]), sensors.RGB, {}, "3 bands of uint8: this model takes B01, B02"),
        (numbers() * (np.arange(16) > 3)[:, None, None], sensors.BANDS, {"nodata": 0}, "pixels without data"),
        (sensors.to_rgb(numbers()), sensors.BANDS, {}, "13 bands of uint8"),
        (sensors.to_rgb(numbers()).astype(np.uint16), sensors.BANDS, {}, "no pixel is above 255"),
    ],
)  # fmt: skip
def test_geotiffs_of_another_kind_say_what_the_model_takes(
    models: Path, tiles: Path, pixels: np.ndarray, names: tuple[str, ...], profile: dict[str, Any], told: str
) -> None:
    pixels = pixels.astype(np.uint16) if pixels.dtype.kind == "i" else pixels
    (row,) = predict(models / "numbers", geotiff(tiles / "t.tif", pixels, names, **profile), code=1)
    assert told in row["error"]


def test_random_damage_of_a_geotiff_gives_a_row_never_a_traceback(models: Path, tiles: Path) -> None:
    whole = geotiff(tiles / "t.tif", numbers(), compress="deflate").read_bytes()
    rng = np.random.default_rng(0)
    (tiles / "damaged").mkdir()
    for i in range(60):
        content = np.frombuffer(whole, np.uint8).copy()
        content[rng.integers(0, len(content) if i % 2 else 400, 4)] = rng.integers(0, 256, 4)
        (tiles / f"damaged/{i:02}.tif").write_bytes(content.tobytes())
    assert len(predict(models / "numbers", tiles / "damaged", "--any-values", code=1)) == 60


def test_a_folder_in_other_units_is_refused_before_anything_is_written(
    models: Path, tiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out.csv").write_text("old")
    (tiles / "n").mkdir()
    for i in range(8):
        geotiff(tiles / f"n/{i}.tif", numbers(2000) + np.uint16(1000), sensors.BANDS)
    said = refused(capsys, tiles / "n", "--model", models / "numbers", "--out", "out.csv")
    assert "offset of baseline 04.00" in said and "--any-values" in said
    assert Path("out.csv").read_text() == "old"
    assert len(predict(models / "numbers", tiles / "n", "--any-values")) == 8


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent.png"], "no absent.png: name files, folders"),
        (["*.jpeg"], "nothing fits *.jpeg"),
        (["x" * 300], "cannot be opened (File name too long)"),
        (["tiles/void"], "no picture in the folder tiles/void"),
        (["void.zip"], "no picture in void.zip"),
        (["broken.zip"], "broken.zip is no whole zip"),
        (["tiles", "--out", "table.xlsx"], "ends in .csv, .jsonl, .parquet, .gpkg"),
        (["tiles", "--out", "folder.csv"], "folder.csv is a folder"),
        (["tiles", "--model", "tiles"], "no tiles/model.json"),
        (["tiles", "--model", "models:/absent@none"], "models:/absent@none"),
    ],
)
def test_a_mistake_is_one_line(
    models: Path, tiles: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: list[str], told: str,
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "mlflow.artifacts", None)  # not installed
    (tiles / "void").mkdir()
    Path("folder.csv").mkdir()
    Path("broken.zip").write_bytes(b"PK broken")
    zipfile.ZipFile("void.zip", "w").close()
    assert told in refused(capsys, *arguments, *([] if "--model" in arguments else ["--model", models / "rgb"]))
    assert Path("folder.csv").is_dir()


def test_only_so_many_batches_are_in_memory_as_threads_can_use() -> None:
    taken, given = [], []

    def batches() -> Iterator[list[Any]]:
        for i in range(50):
            taken.append(i)
            yield [i]

    with ThreadPoolExecutor(2) as pool:
        for result in run._in_order(pool, lambda batch: batch[0], batches(), ahead=4):  # type: ignore[arg-type]
            given.append(result)
            assert len(taken) - len(given) <= 4
    assert given == list(range(50))


@pytest.mark.real
def test_real_pictures_are_decoded_as_the_training_tiles_are(models: Path, real_data: Path) -> None:
    spec = Model.load(models / "rgb").spec.model_copy(update={"tile_size": 64})
    with zipfile.ZipFile(real_data / "EuroSAT_RGB.zip") as archive:
        for name in [name for name in archive.namelist() if name.endswith(".jpg")][::2700]:
            content = archive.read(name)
            assert np.array_equal(decoding.decode(content, spec).pixels, np.asarray(decode_picture(content)))
