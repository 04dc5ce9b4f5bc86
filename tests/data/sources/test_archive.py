"""Zips and folders as they come: names in strange letters, twins, damage of every kind."""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from landuse.core.errors import UserError
from landuse.data.sources import archive
from landuse.data.sources.archive import Archive
from landuse.pictures import BadTile

RANDOM = np.random.default_rng(5)


def opened(path: Path | str) -> Archive:
    return archive.open_url(str(path), lambda name: name.endswith(".png"))


def zipped(path: Path, *names: str, encoding: str | None = None, method: int = zipfile.ZIP_STORED) -> Path:
    """A zip of these names; with an encoding, written in it without the mark of UTF-8, as old programs do."""
    with zipfile.ZipFile(path, "w", method) as made:
        for name in names:
            stored = name if encoding is None else name.encode(encoding).decode("latin-1").translate(STAND_IN)
            made.writestr(stored, name.encode() * 40)
    if encoding is not None:
        content = path.read_bytes()
        for name in names:
            code = name.encode(encoding)
            content = content.replace(code.decode("latin-1").translate(STAND_IN).encode(), code)
        path.write_bytes(content)
    return path


STAND_IN = {code: chr(code % 26 + ord("a")) for code in range(128, 256)}  # ASCII of the same length, without the mark


def folder(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(name.encode())
    return path


def test_names_without_a_mark_are_read_as_utf8(tmp_path: Path) -> None:
    names = ["Dörfer/Straße 1.png", "森林/a.png"]
    made = zipped(tmp_path / "own.zip", *names, encoding="utf-8")
    with zipfile.ZipFile(made) as plain:
        assert "D├╢rfer/Stra├ƒe 1.png" in plain.namelist()  # what they would become
    tiles = opened(made)
    assert tiles.names == names
    assert tiles.read("森林/a.png") == "森林/a.png".encode() * 40


def test_names_in_another_encoding_are_refused_with_the_remedy(tmp_path: Path) -> None:
    made = zipped(tmp_path / "own.zip", "Dörfer/a.png", "Wald/a.png", encoding="cp850")
    with pytest.raises(UserError, match=r"not in UTF-8, and nothing says.*make it anew, or unpack it yourself"):
        opened(made)


def test_accents_of_macos_are_spelt_as_everywhere(tmp_path: Path) -> None:
    decomposed = "Do\u0308rfer/a.png"
    tiles = opened(folder(tmp_path / "own", decomposed))
    assert tiles.names == ["Dörfer/a.png"]
    assert tiles.read("Dörfer/a.png") == decomposed.encode()


TWINS = {
    ("Forest/a.png", "Forest/A.png"): "'Forest/A.png' and 'Forest/a.png' in .* differ in upper and lower case only",
    ("Forest/a.png", "forest/b.png"): "'Forest' and 'forest' in .* differ in upper and lower case only",
    ("set/Forest/a.png", "set/FOREST/a.png"): "'FOREST' and 'Forest' in .* differ in upper and lower case only",
    ("Dörfer/a.png", "Do\u0308rfer/a.png"): "'Dörfer/a.png' twice",
}


@pytest.mark.parametrize("make", [zipped, folder])
@pytest.mark.parametrize(("names", "told"), TWINS.items())
def test_twins_are_refused(tmp_path: Path, make: Callable[..., Path], names: tuple[str, ...], told: str) -> None:
    made = make(tmp_path / "own", *names)
    if make is folder and len(list(made.rglob("*.png"))) < len(names):
        pytest.skip("this file system takes the names for one")
    with pytest.raises(UserError, match=told):
        opened(made)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("Forest/a.png", "Forest/a.png"), ("Forest/a.png", "Forest\\a.png")])
def test_a_name_that_a_zip_has_twice_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=r"own.zip has 'Forest/a.png' twice: remove or rename"):
        opened(zipped(tmp_path / "own.zip", *names))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_twins_that_are_no_tiles_do_no_harm(tmp_path: Path) -> None:
    assert opened(zipped(tmp_path / "own.zip", "Forest/a.png", "readme", "readme", "README")).names == ["Forest/a.png"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_random_damage_gives_the_tiles_or_one_line_never_a_traceback(tmp_path: Path, method: int) -> None:
    whole = zipped(tmp_path / "whole.zip", "Forest/a.png", "Forest/ä.png", "River/a.png", method=method).read_bytes()
    reasons: set[str] = set()
    for attempt in range(150):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[RANDOM.integers(0, len(damaged), 3)] = RANDOM.integers(0, 256, 3)
        (tmp_path / "own.zip").write_bytes(damaged[: None if attempt % 5 else RANDOM.integers(len(damaged))].tobytes())
        try:
            tiles = opened(tmp_path / "own.zip")
        except UserError as error:
            reasons.add(str(error))
            continue
        for name in tiles.names:
            try:
                tiles.read(name)
            except BadTile as error:
                assert str(error).rstrip(": ") != "cannot be read from the zip"
                reasons.add(str(error))
    assert len(reasons) > 10


def test_what_is_no_regular_file_is_no_tile(tmp_path: Path) -> None:
    own = folder(tmp_path / "own", "Forest/a.png")
    (own / "Forest" / "b.png").symlink_to(own / "nowhere")
    if hasattr(os, "mkfifo"):
        os.mkfifo(own / "Forest" / "c.png")  # reading it would wait for ever
    tiles = opened(own)
    assert tiles.read("Forest/a.png")
    for name in tiles.names[1:]:
        with pytest.raises(BadTile, match="a link that leads nowhere"):
            tiles.read(name)


def fails(*_: object, **__: object) -> None:
    raise OSError(5, "Input/output error", "disk/Forest")


def test_a_disk_that_fails_is_no_fault_of_a_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = opened(folder(tmp_path / "own", "Forest/a.png"))
    monkeypatch.setattr(Path, "read_bytes", fails)
    with pytest.raises(UserError, match=r"Forest/a.png cannot be read \(Input/output error\)"):
        tiles.read("Forest/a.png")


def test_a_class_folder_that_cannot_be_read_is_not_left_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path / "own", "Forest/a.png", "River/a.png")
    monkeypatch.setattr(os, "scandir", fails)
    with pytest.raises(UserError, match="the folder disk/Forest cannot be read"):
        opened(tmp_path / "own")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://[::1/tiles.zip", "no address"),
        ("file://", "three slashes"),
        ("a" * 5000, "File name too long"),
        ("file:///" + "a" * 5000, "File name too long"),
        ("~nobody-of-this-name/tiles", "mend the path"),
        ("/dev/null", "is neither of these"),
        ("tiles\0.zip", "does not exist"),
    ],
)
def test_addresses_that_lead_nowhere(url: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        opened(url)


def test_a_zip_inside_a_zip_and_other_archives_say_what_to_do(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as inner:
        inner.writestr("Forest/a.png", b"x")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        outer.writestr("tiles.zip", buffer.getvalue())
    with pytest.raises(UserError, match="no tiles as <Class>/<image>"):
        opened(tmp_path / "outer.zip")
    (tmp_path / "tiles.tar.gz").write_bytes(b"\x1f\x8b" + bytes(500))
    with pytest.raises(UserError, match=r"not a whole zip .*unpack it yourself and give the folder"):
        opened(tmp_path / "tiles.tar.gz")
