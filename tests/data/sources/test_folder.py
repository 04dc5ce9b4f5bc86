"""A user's own images: what is converted, what is refused and why, and where the class folders lie."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rasterio import Affine
from rasterio.io import MemoryFile

from landuse import params
from landuse.core.errors import UserError
from landuse.data import writer
from landuse.data.sources import open_source
from landuse.pictures import BadTile, decode, square
from landuse.tiles.store import open_store

MakeData = Callable[..., params.Data]
NOISE = np.random.default_rng(1)


def picture(width: int = 80, height: int = 64, mode: str = "RGB") -> Image.Image:
    image = Image.fromarray(NOISE.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return image.resize((width // 8 or 1, height // 8 or 1)).resize((width, height)).convert(mode)


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def png16(colour_type: int, channels: int) -> bytes:
    """A 16-bit PNG, which Pillow itself cannot write in colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + NOISE.bytes(16 * channels * 2) for _ in range(16))
    head = struct.pack(">IIBBBBB", 16, 16, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff16() -> bytes:
    """A 16-bit RGB TIFF, as GIS programs write it."""
    form = {"driver": "GTiff", "count": 3, "dtype": "uint16", "photometric": "RGB"}
    with MemoryFile() as file:
        with file.open(width=16, height=16, transform=Affine(10, 0, 0, 0, -10, 0), **form) as image:
            image.write(NOISE.integers(0, 60000, (3, 16, 16), dtype=np.uint16))
        return bytes(file.read())


def bomb() -> bytes:
    """A small PNG that promises 40,000 x 40,000 pixels."""
    content = bytearray(encode(picture(), "PNG"))
    content[16:24] = struct.pack(">II", 40_000, 40_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def test_any_format_and_size_becomes_one_store(tmp_path: Path, data: MakeData) -> None:
    sizes = [(64, 64), (100, 64), (64, 300), (20, 33), (640, 480), (65, 65), (16, 16)]
    names = ["a.jpg", "b.JPEG", "c.png", "d.tif", "e.TIFF", "f.bmp", "g.WebP"]
    for label in ("Forest", "River"):
        for name, (width, height) in zip(names, sizes, strict=True):
            save(picture(width, height), tmp_path / "own" / label / name)
    writer.write(tmp_path / "store", open_source(data(source="folder", url=str(tmp_path / "own"), tile_size=32)))
    store = open_store(tmp_path / "store")
    assert store.images.shape == (14, 32, 32, 3)
    assert store.images.dtype == np.uint8
    assert store.info["classes"] == {"Forest": 7, "River": 7}
    assert store.info["official"] is None


@pytest.mark.parametrize(("width", "height"), [(300, 100), (100, 300), (30, 10), (60, 120)])
def test_the_shorter_side_is_resized_and_the_centre_cut_out(width: int, height: int) -> None:
    image, scale = picture(width, height), 50 / min(width, height)
    resized = image.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    left, top = (resized.width - 50) // 2, (resized.height - 50) // 2
    expected = np.asarray(resized.crop((left, top, left + 50, top + 50)), np.int16)
    assert np.abs(square(image, 50) - expected).max() <= 2  # rounding


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    image = picture(64, 64)
    assert np.array_equal(square(decode(encode(image, "PNG")), 64), np.asarray(image))


def test_a_long_narrow_picture_costs_no_memory() -> None:
    assert square(picture(60_000, 8), 1024).shape == (1024, 1024, 3)


def test_exif_orientation_is_applied() -> None:
    image = picture(64, 32)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 270 degrees to see it upright
    upright = decode(encode(image, "PNG", exif=exif))
    assert np.array_equal(np.asarray(upright), np.rot90(np.asarray(image), -1))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
def test_what_means_the_same_in_rgb_is_converted(mode: str) -> None:
    image = picture(mode=mode)  # alpha: opaque everywhere
    assert np.array_equal(np.asarray(decode(encode(image, "PNG"))), np.asarray(image.convert("RGB")))


def transparent() -> bytes:
    image = picture(mode="RGBA")
    image.putpixel((3, 3), (1, 2, 3, 0))
    return encode(image, "PNG")


def animated() -> bytes:
    return encode(picture(), "GIF", save_all=True, append_images=[picture(), picture()])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encode(picture(mode="CMYK"), "JPEG"), "CMYK colours: save it as 8-bit RGB"),
        (encode(picture(mode="CMYK"), "TIFF"), "CMYK"),
        (encode(picture(mode="I;16"), "PNG"), "more than 8 bits.*gdal_translate"),
        (encode(picture(mode="F"), "TIFF"), "more than 8 bits"),
        (png16(2, 3), "more than 8 bits"),  # Pillow opens these as plain RGB
        (png16(6, 4), "more than 8 bits"),
        (tiff16(), "more than 8 bits|broken, or not an image"),
        (encode(picture(1, 1), "PNG"), "1 x 1 pixels: too small"),
        (encode(picture(500, 4), "PNG"), "500 x 4 pixels: too small"),
        (encode(picture(), "JPEG")[:-400], "broken image: .*[Tt]runcated"),
        (encode(picture(), "PNG")[:-400], "broken image"),
        (encode(picture(), "TIFF")[:-400], "broken image"),
        (encode(picture(), "WEBP")[:-400], "broken"),
        (b"\xff\xd8\xff" + bytes(500), "broken"),
        (b"", "broken, or not an image"),
        (b"hello", "broken, or not an image"),
        (bomb(), "pixels: cut it into tiles first"),
        (transparent(), "transparent pixels"),
        (animated(), "3 frames"),
    ],
)
def test_what_cannot_be_used_says_why(content: bytes, reason: str, recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(BadTile, match=reason) as error:
        decode(content)
    assert "\n" not in str(error.value)
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore:::PIL")  # as the writer does
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP"])
def test_random_damage_gives_a_picture_or_a_reason_never_a_traceback(form: str) -> None:
    whole = encode(picture(), form)
    for _ in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[NOISE.integers(0, min(len(damaged), 400), 4)] = NOISE.integers(0, 256, 4)
        try:
            decode(damaged.tobytes())
        except BadTile as error:
            assert str(error) != "broken image: "


def test_other_files_are_left_out_and_counted(
    tmp_path: Path, data: MakeData, capsys: pytest.CaptureFixture[str]
) -> None:
    save(picture(), tmp_path / "Forest" / "a.png")
    save(picture(), tmp_path / "River" / "a.png")
    save(picture(), tmp_path / "overview.png")  # beside the class folders
    save(picture(), tmp_path / "Forest" / "._a.png")
    save(picture(), tmp_path / ".thumbnails" / "Forest" / "a.png")
    (tmp_path / "Forest" / "notes.txt").write_text("x")
    assert open_source(data(source="folder", url=str(tmp_path))).names == ["Forest/a.png", "River/a.png"]
    assert "4 files that are not tiles were left out" in capsys.readouterr().err


def test_a_folder_above_the_class_folders_a_link_and_a_zip_are_the_same(tmp_path: Path, data: MakeData) -> None:
    for label in ("Forest", "River"):
        save(picture(), tmp_path / "up" / "data" / label / "a b.png")
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as made:
        for path in (tmp_path / "up").rglob("*.png"):
            made.write(path, path.relative_to(tmp_path).as_posix())
        made.writestr("__MACOSX/up/data/Forest/._a b.png", b"x")
    (tmp_path / "links").mkdir()
    for label in ("Forest", "River"):
        (tmp_path / "links" / label).symlink_to(tmp_path / "up" / "data" / label)
    (tmp_path / "links" / "circle").symlink_to(tmp_path / "links")
    addresses = [str(tmp_path / "up"), (tmp_path / "up" / "data").as_uri(), str(tmp_path / "links")]
    stores = [tiles_of(open_source(data(source="folder", url=url))) for url in [*addresses, str(tmp_path / "up.zip")]]
    assert list(stores[0]) == ["Forest/a b.png", "River/a b.png"]
    assert all(store == stores[0] for store in stores)


def tiles_of(collection: object) -> dict[str, str]:
    return {name: collection.read(name).sha256 for name in collection.names}  # type: ignore[attr-defined]


def test_a_relative_path_is_found_from_the_copy_of_an_experiment(
    tmp_path: Path, data: MakeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(picture(), tmp_path / "own" / "Forest" / "a.png")
    (tmp_path / "copy").mkdir()
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert open_source(data(source="folder", url="own")).names == ["Forest/a.png"]


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], "no tiles as <Class>/<image>"),
        (["a.png", "b.png"], "no tiles as <Class>/<image>"),
        (["Forest/readme.txt"], "no tiles as <Class>/<image>"),
        (["train/Forest/a.png", "val/Forest/b.png"], r"class folders in 2 places of .* \(train, val\)"),
        (["Forest/a\nb.png"], "rename it"),
    ],
)
def test_a_folder_without_a_clear_place_for_the_classes(
    tmp_path: Path, data: MakeData, files: list[str], reason: str
) -> None:
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with pytest.raises(UserError, match=reason):
        open_source(data(source="folder", url=str(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"url": None}, "-S data.url=PATH"),
        ({"url": "/no/such/folder"}, "does not exist"),
        ({"url": "s3://bucket/tiles"}, "fetch others yourself"),
        ({"url": "file://host/tiles"}, "three slashes"),
        ({"url": __file__}, "not a whole zip"),
    ],
)
def test_wrong_settings_name_the_remedy(data: MakeData, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        open_source(data(**({"source": "folder", "url": "/tmp"} | changes)))


def test_a_damaged_member_and_a_locked_zip(tmp_path: Path, data: MakeData) -> None:
    path = tmp_path / "own.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("Forest/a.png", encode(picture(), "PNG"))
        made.writestr("Forest/b.png", encode(picture(), "PNG"))
    content = bytearray(path.read_bytes())
    content[200] ^= 255  # inside the first picture
    path.write_bytes(content)
    collection = open_source(data(source="folder", url=str(path)))
    with pytest.raises(BadTile, match="cannot be read from the zip: Bad CRC-32"):
        collection.read("Forest/a.png")
    assert collection.read("Forest/b.png")
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):  # set the bit that says encrypted in both headers
        at = content.index(mark)
        content[at + (6 if mark.endswith(b"\x04") else 8)] |= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="encrypted"):
        open_source(data(source="folder", url=str(path)))


COORDINATES = {
    "by class and name": "file,latitude,longitude\nForest/a.png,50.5,8.25\nRiver/a.png,51,9\n",
    "with a class column": "file,class,latitude,longitude\na.jpg,Forest,50.5,8.25\na.jpg,River,51,9\n",
    "with a root": "file,latitude,longitude\nset/Forest/a,50.5,8.25\nset/River/a,51,9\n",
}


@pytest.mark.parametrize("form", COORDINATES)
def test_a_table_places_the_tiles(tmp_path: Path, data: MakeData, form: str) -> None:
    for label in ("Forest", "River"):
        save(picture(), tmp_path / "own" / label / "a.png")
    (tmp_path / "where.csv").write_text(COORDINATES[form])
    section = data(source="folder", url=str(tmp_path / "own"), coordinates=str(tmp_path / "where.csv"))
    writer.write(tmp_path / "store", open_source(section))
    index = open_store(tmp_path / "store").index
    assert list(zip(index["file"], index["latitude"], index["longitude"], strict=True)) == [
        ("Forest/a.png", 50.5, 8.25),
        ("River/a.png", 51.0, 9.0),
    ]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (None, "no file"),
        ("", "not a CSV"),
        ("name,lat,lon\na,1,2\n", "lacks the column file, latitude, longitude"),
        ("file,latitude,longitude\na,1,2\nb,91,2\n", "line 3 of .* no latitude in -90..90"),
        ("file,latitude,longitude\na,1,east\n", "line 2"),
        ("file,latitude,longitude\na,,2\n", "line 2"),
        ("file,latitude,longitude\na.png,1,2\na.tif,1,3\n", "'a' twice"),
        ("file,latitude,longitude\na,1,2\n", "'a', the name of several tiles"),
        ("file,latitude,longitude\nother,1,2\n", "none of the tiles, such as Forest/a.png"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, data: MakeData, table: str | None, reason: str) -> None:
    for label in ("Forest", "River"):
        save(picture(), tmp_path / "own" / label / "a.png")
    if table is not None:
        (tmp_path / "where.csv").write_text(table)
    with pytest.raises(UserError, match=reason):
        open_source(data(source="folder", url=str(tmp_path / "own"), coordinates=str(tmp_path / "where.csv")))
