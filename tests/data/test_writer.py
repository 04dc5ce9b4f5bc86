"""The tile store: what is written, what is refused, and disks that do not take it."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import DEFAULTS, PATIENCE, ROOT
from PIL import Image

from landuse import params
from landuse.core.errors import UserError
from landuse.data import writer
from landuse.data.sources.collection import Collection, GeoRef, Tile
from landuse.pictures import BadTile
from landuse.tiles.store import content_digest, open_store

NAMES = [f"{label}/{label}_{n}" for label in ("2018", "Forest", "NA") for n in range(4)]
PIXELS = dict(zip(NAMES, np.random.default_rng(2).integers(0, 256, (len(NAMES), 8, 8, 3), dtype=np.uint8), strict=True))


def tile_of(name: str) -> Tile:
    return Tile(PIXELS[name], f"{NAMES.index(name):064}")


def collection(**changes: Any) -> Collection:
    """Twelve noise tiles of three classes, with some fields changed."""
    made = Collection(
        source="made",
        names=NAMES,
        read=tile_of,
        bands=("red", "green", "blue"),
        size=8,
        dtype=np.dtype(np.uint8),
        units="none",
        licence="none",
    )
    return replace(made, **changes)


def with_tile(name: str, tile: Tile | Exception) -> Collection:
    """The twelve, with one of them replaced by another, or by what reading it raises."""

    def read(asked: str) -> Tile:
        if asked != name:
            return tile_of(asked)
        if isinstance(tile, Exception):
            raise tile
        return tile

    return collection(read=read)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    writer.write(tmp_path / "store", collection())
    store = open_store(tmp_path / "store")
    assert isinstance(store.images, np.memmap)
    assert np.array_equal(store.images, np.stack(list(PIXELS.values())))
    assert list(store.index["file"]) == NAMES
    assert list(store.index["row"]) == list(range(12))
    assert store.index["class"].unique().tolist() == ["2018", "Forest", "NA"]  # neither a number nor missing
    assert store.index["sha256"][3] == f"{3:064}"
    assert (store.info["tiles"], store.info["classes"]) == (12, {"2018": 4, "Forest": 4, "NA": 4})
    assert sorted(content(tmp_path / "store")) == ["dataset.json", "images.npy", "index.csv", "quarantine.csv"]


def test_the_array_is_the_bytes_that_numpy_writes(tmp_path: Path) -> None:
    writer.write(tmp_path / "store", collection())
    buffer = io.BytesIO()
    np.save(buffer, np.stack(list(PIXELS.values())))
    assert (tmp_path / "store" / "images.npy").read_bytes() == buffer.getvalue()


def test_two_writes_give_the_same_bytes_whichever_thread_is_first(tmp_path: Path) -> None:
    writer.write(tmp_path / "one", collection())

    def slowly(name: str) -> Tile:
        time.sleep(0.002 * (len(NAMES) - NAMES.index(name)))  # the first one last
        return tile_of(name)

    writer.write(tmp_path / "two", collection(read=slowly))
    assert content(tmp_path / "one") == content(tmp_path / "two")


BAD = {
    "unreadable": (BadTile("its reason"), "its reason"),
    "size": (Tile(np.zeros((8, 9, 3), np.uint8), "a"), r"shape \(8, 9, 3\), expected \(8, 8, 3\)"),
    "channels": (Tile(np.zeros((8, 8, 1), np.uint8), "a"), r"shape \(8, 8, 1\)"),
    "dtype": (Tile(np.zeros((8, 8, 3), np.uint16), "a"), "dtype uint16, expected uint8"),
    "constant": (Tile(np.full((8, 8, 3), [0, 0, 255], np.uint8), "a"), r"constant: every pixel is \[0, 0, 255\]"),
    "same bytes": (Tile(PIXELS[NAMES[5]], f"{1:064}"), "same bytes as 2018/2018_1"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_tile_fails_the_stage_with_its_reason(tmp_path: Path, fault: str) -> None:
    tile, reason = BAD[fault]
    with pytest.raises(UserError, match=rf"1 of 12 tiles .*Forest/Forest_1: {reason}.*data.max_quarantined=1"):
        writer.write(tmp_path / "store", with_tile("Forest/Forest_1", tile))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_tile_that_is_allowed_is_left_out_and_listed(tmp_path: Path, fault: str) -> None:
    writer.write(tmp_path / "store", with_tile("Forest/Forest_1", BAD[fault][0]), max_quarantined=1)
    store = open_store(tmp_path / "store")
    kept = [name for name in NAMES if name != "Forest/Forest_1"]
    assert list(store.index["file"]) == kept
    assert list(store.index["row"]) == list(range(11))
    assert np.array_equal(store.images, np.stack([PIXELS[name] for name in kept]))
    assert pd.read_csv(tmp_path / "store" / "quarantine.csv")["file"].tolist() == ["Forest/Forest_1"]
    assert store.info["quarantined"] == 1


def test_nothing_usable_is_refused_whatever_is_allowed(tmp_path: Path) -> None:
    def read(_: str) -> Tile:
        raise BadTile("broken")

    with pytest.raises(UserError, match="none of the 12 tiles can be used"):
        writer.write(tmp_path / "store", collection(read=read), max_quarantined=100)


def test_a_bug_in_a_source_keeps_its_traceback_and_the_old_store(tmp_path: Path) -> None:
    writer.write(tmp_path / "store", collection())
    before = content(tmp_path / "store")
    with pytest.raises(ZeroDivisionError):
        writer.write(tmp_path / "store", with_tile("NA/NA_3", ZeroDivisionError()))
    assert content(tmp_path / "store") == before
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_store_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    writer.write(tmp_path / "store", collection())
    writer.write(tmp_path / "store", collection(names=NAMES[:5]))
    assert len(open_store(tmp_path / "store").images) == 5


def test_tiles_with_a_place_get_the_degrees_of_their_centre(tmp_path: Path) -> None:
    # the central meridian of zone 33 is 15 degrees east; 5,000,000 m north of the equator is 45.15 degrees
    placed = replace(tile_of("Forest/Forest_1"), georef=GeoRef(32633, 499_680, 4_999_680, 500_320, 5_000_320))
    writer.write(tmp_path / "store", with_tile("Forest/Forest_1", placed))
    index = open_store(tmp_path / "store").index.set_index("file")
    assert index.loc["Forest/Forest_1", "epsg"] == 32633
    assert index.loc["Forest/Forest_1", "longitude"] == pytest.approx(15, abs=1e-6)
    assert index.loc["Forest/Forest_1", "latitude"] == pytest.approx(45.15, abs=0.01)
    assert index["latitude"].isna().sum() == 11


def test_the_official_content_is_named_demanded_or_only_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = content_digest((tile_of(name).sha256, name) for name in NAMES)
    writer.write(tmp_path / "store", collection(digest=digest, official_only=True))
    assert open_store(tmp_path / "store").info["official"] is True
    assert "official" not in capsys.readouterr().err
    with pytest.raises(UserError, match="not the official ones"):
        writer.write(tmp_path / "store", collection(digest=digest, official_only=True, names=NAMES[1:]))
    writer.write(tmp_path / "store", collection(digest=digest, names=NAMES[1:]))
    assert open_store(tmp_path / "store").info["official"] is False
    assert "not the whole official set" in capsys.readouterr().err


def test_no_store_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dvc repro download"):
        open_store(tmp_path)


# The stage itself, in a repository of its own


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose params.yaml names a folder of 40 tiles, 480 kB once stored."""
    home = tmp_path / "repository"
    for n in range(40):
        path = home / "own" / ("Forest", "River")[n % 2] / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    shutil.copy(DEFAULTS / "dvc.yaml", home)
    sections = yaml.safe_load((DEFAULTS / "params.yaml").read_text())
    sections["data"] |= {"source": "folder", "url": "own"}
    (home / "params.yaml").write_text(yaml.safe_dump(sections))
    (home / "data").mkdir()
    return home


def download(repository: Path, *wrapper: str) -> subprocess.CompletedProcess[str]:
    """Run the download stage under a wrapper such as ``unshare``."""
    command = [*wrapper, sys.executable, str(ROOT / "stages" / "download.py")]
    environment = {name: value for name, value in os.environ.items() if name != "DVC_ROOT"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, timeout=PATIENCE)


def assert_one_line(ran: subprocess.CompletedProcess[str], reason: str) -> None:
    assert ran.returncode == 2, ran.stderr
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert ran.stderr.startswith("landuse: error: ")
    assert reason in ran.stderr


def assert_next_run_succeeds(repository: Path) -> None:
    assert list((repository / "data").iterdir()) == []  # nothing half-written
    with contextlib.chdir(repository):
        writer.run(params.load("download"))
    assert json.loads((repository / "data" / "tiles" / "dataset.json").read_text())["tiles"] == 40


def mounted(options: str) -> list[str]:
    """Wrapper that runs a command with another file system at data/, in a mount namespace that ends with it."""
    script = f'mount -t tmpfs -o {options} tmpfs data && "$@"; code=$?; [ $code = 2 ] && ls -A data >&2; exit $code'
    wrapper = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*wrapper[:3], "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a file system of their own (unshare)")
    return wrapper


def test_a_full_disk_is_one_line(repository: Path) -> None:
    ran = download(repository, *mounted("size=200k"))  # ls adds a line for all that is left behind
    assert_one_line(ran, "No space left on device")
    assert "free some space" in ran.stderr
    assert_next_run_succeeds(repository)


def test_a_read_only_disk_is_one_line(repository: Path) -> None:
    assert_one_line(download(repository, *mounted("ro")), "read-only")
    assert_next_run_succeeds(repository)


def test_no_permission_is_one_line(repository: Path) -> None:
    wrapper = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.getuid() == 0 else []
    if wrapper and shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and there is no setpriv to give that up")
    (repository / "data").chmod(0o555)
    try:
        assert_one_line(download(repository, *wrapper), "Permission denied: ")
    finally:
        (repository / "data").chmod(0o755)
    assert_next_run_succeeds(repository)


def test_the_stage_loads_only_what_its_source_needs() -> None:
    code = "import sys, landuse.data.writer; print([m for m in ('torch', 'mlflow', 'rasterio') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
