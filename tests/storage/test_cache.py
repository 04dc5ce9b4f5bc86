"""The limit of all kept sets, who goes first, and the landuse cache command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from landuse import cli
from landuse.storage.cache import Cache, Entries, NoRoom, alone, folder_of

ENTRY = 64 * 64 * 4  # bytes: whole blocks of the disk
GB = 1e9


def fill(shelf: Path, key: str, rows: int, used: int) -> Entries:
    """A set with one entry a row, last used so many seconds after another one."""
    entries = Entries(shelf / key, rows, 1, (64, 64), "int32", {"backbone": key, "freeze": "layer3"})
    entries.put(np.arange(rows), np.zeros(rows, np.int64), np.ones((rows, 64, 64), np.int32))
    os.utime(shelf / key / "facts.json", (used, used))
    return entries


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    shelf = folder_of(Path())
    with alone(shelf):
        fill(shelf, "middle", 40, 2000)
        fill(shelf, "oldest", 40, 1000)
        fill(shelf, "newest", 40, 3000)
    return shelf


def make_room(shelf: Path, key: str, more: int, limit_gb: float) -> str | None:
    """Why there is no room, or None."""
    try:
        Cache(shelf, "digest", limit_gb).make_room(key, more)
    except NoRoom as refusal:
        return str(refusal)
    return None


def there(shelf: Path) -> list[str]:
    return sorted(each.name for each in shelf.iterdir())


@pytest.mark.parametrize(
    ("limit", "left"),
    [
        (200, ["middle", "newest", "oldest"]),
        (150, ["middle", "newest"]),
        (110, ["newest"]),
        (60, []),
    ],
)
def test_what_was_not_used_for_longest_goes_first(shelf: Path, limit: int, left: list[str]) -> None:
    assert make_room(shelf, "own", 50 * ENTRY, limit * ENTRY / GB) is None
    assert there(shelf) == left


def test_opening_a_set_is_using_it(shelf: Path) -> None:
    Entries(shelf / "oldest", 40, 1, (64, 64), "int32", {})
    assert make_room(shelf, "own", 50 * ENTRY, 110 * ENTRY / GB) is None
    assert there(shelf) == ["oldest"]


def test_what_a_set_has_already_counts(shelf: Path) -> None:
    """The others stay as long as it and what it lacks fit beside them."""
    assert make_room(shelf, "newest", 10 * ENTRY, 135 * ENTRY / GB) is None
    assert there(shelf) == ["middle", "newest", "oldest"]
    assert make_room(shelf, "newest", 10 * ENTRY, 100 * ENTRY / GB) is None
    assert there(shelf) == ["middle", "newest"]
    refusal = make_room(shelf, "newest", 10 * ENTRY, 45 * ENTRY / GB)
    assert refusal is not None
    assert "runtime.cache_gb is 0.00073728" in refusal
    assert there(shelf) == ["middle", "newest"]


def test_a_disk_without_room_is_a_refusal(shelf: Path) -> None:
    refusal = make_room(shelf, "own", 10**18, 1e12)
    assert refusal is not None
    assert "the disk has" in refusal


def test_a_set_that_is_removed_can_be_used_on(shelf: Path) -> None:
    entries = Entries(shelf / "oldest", 40, 1, (64, 64), "int32", {})
    make_room(shelf, "own", 0, 0)
    assert there(shelf) == []
    assert not entries.missing(np.arange(40), np.zeros(40, np.int64)).any()
    assert (entries.get(np.arange(40), np.zeros(40, np.int64)) == 1).all()


def test_what_a_killed_process_was_making_or_removing_goes(shelf: Path) -> None:
    for name in (".own.part", ".older"):
        (shelf / name).mkdir()
        (shelf / name / "values.bin").write_bytes(b"x" * 10_000)
    assert make_room(shelf, "own", 0, 1) is None
    assert there(shelf) == ["middle", "newest", "oldest"]


REMOVER = """
import sys
from pathlib import Path
from landuse.storage.cache import Cache, Entries, alone
folder = Path(sys.argv[1])
print("open", flush=True)
while True:
    with alone(folder):
        for key in ("a", "b"):
            Entries(folder / key, 400, 8, (8,), "int16", {})
        Cache(folder, "digest", 0).make_room("a", 0)
"""


def test_sets_are_whole_whenever_a_process_that_makes_and_removes_them_is_killed(tmp_path: Path) -> None:
    shelf = tmp_path / "features"
    for wait in (0.0, 0.01, 0.02, 0.05):
        process = subprocess.Popen([sys.executable, "-c", REMOVER, str(shelf)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with alone(shelf):
            for key in ("a", "b"):
                entries = Entries(shelf / key, 400, 8, (8,), "int16", {})
                entries.put(np.array([1]), np.array([1]), np.ones((1, 8), np.int16))
            assert make_room(shelf, "a", 0, 1) is None
        assert there(shelf) == ["a", "b"]


@pytest.mark.usefixtures("shelf")
def test_the_command_lists_and_prunes(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["cache"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert "0.00 GB" in lines[0]
    assert "middle  backbone middle, freeze layer3" in lines[0]
    cli.main(["cache", "--prune"])
    assert capsys.readouterr().out == "freed 0.00 GB\n"
    assert not folder_of(Path()).exists()
    for arguments in (["cache"], ["cache", "--prune"]):
        cli.main(arguments)
        assert capsys.readouterr().out == "nothing is kept\n"


def test_where_nothing_was_ever_kept_the_command_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").touch()
    cli.main(["cache"])
    cli.main(["cache", "--prune"])
    assert capsys.readouterr().out == "nothing is kept\n" * 2
    assert [file.name for file in tmp_path.iterdir()] == ["dvc.yaml"]


def test_damaged_sets_are_listed_pruned_and_go_first(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shelf / "newest/facts.json").write_text("{")
    (shelf / "middle/facts.json").unlink()
    (shelf / "stray").touch()
    cli.main(["cache"])
    assert [line.split(maxsplit=3)[2:] for line in capsys.readouterr().out.splitlines()] == [
        ["middle", "damaged"],
        ["newest", "damaged"],
        ["oldest", "backbone oldest, freeze layer3"],
    ]
    assert make_room(shelf, "own", 50 * ENTRY, 150 * ENTRY / GB) is None
    assert "middle" not in there(shelf)
    cli.main(["cache", "--prune"])
    assert not shelf.exists()


@pytest.mark.usefixtures("shelf")
def test_the_command_works_in_a_subfolder_and_says_so_outside_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    cli.main(["cache"])
    assert len(capsys.readouterr().out.splitlines()) == 3
    (tmp_path / "dvc.yaml").unlink()
    monkeypatch.chdir(tmp_path / "docs")
    with pytest.raises(SystemExit):
        cli.main(["cache"])
    assert "no dvc.yaml here or above: run from inside the repository" in capsys.readouterr().err
