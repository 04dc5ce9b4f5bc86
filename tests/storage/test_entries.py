"""Kept entries: what is there is right, and what is damaged, half-written or not written is missing."""

import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from landuse.storage.cache import Entries

SHAPE = (4, 4, 8)
ROWS, VIEWS = 40, 8
SIZE = 4 * 4 * 8 * 2

FILLER = f"""
import sys
from pathlib import Path
import numpy as np
from landuse.storage.cache import Entries
entries = Entries(Path(sys.argv[1]), {ROWS}, {VIEWS}, {SHAPE}, "int16", {{}})
everything = np.divmod(np.arange({ROWS * VIEWS}), {VIEWS})
print("open", flush=True)
while True:
    for rows, views in zip(*(np.array_split(of, 40) for of in everything)):
        values = (rows * {VIEWS} + views).astype(np.int16)[:, None, None, None] + np.zeros({SHAPE}, np.int16)
        entries.put(rows, views, values)
    if len(sys.argv) > 2:
        break
"""


def opened(folder: Path, dtype: str = "int16") -> Entries:
    return Entries(folder, ROWS, VIEWS, SHAPE, dtype, {"backbone": "resnet18"})


def everything() -> tuple[np.ndarray, np.ndarray]:
    rows, views = np.divmod(np.arange(ROWS * VIEWS), VIEWS)
    return rows, views


def values(rows: np.ndarray, views: np.ndarray, dtype: str = "int16") -> np.ndarray:
    """What the filling processes write: the place of the entry, in every element."""
    return (rows * VIEWS + views).astype(dtype)[:, None, None, None] + np.zeros(SHAPE, dtype)


@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_what_was_put_is_got_in_any_order_now_and_after_opening_again(tmp_path: Path, dtype: str) -> None:
    entries = opened(tmp_path / "set", dtype)
    rows, views = everything()
    assert entries.missing(rows, views).all()
    content = np.random.default_rng(0).integers(-(2**15), 2**15, (len(rows), *SHAPE)).astype(dtype)
    entries.put(rows[::2], views[::2], content[::2])
    for each in (entries, opened(tmp_path / "set", dtype)):
        assert each.missing(rows, views).tolist() == [False, True] * (len(rows) // 2)
        order = np.random.default_rng(1).permutation(len(rows) // 2) * 2
        got = each.get(rows[order], views[order])
        assert got.dtype == dtype
        assert got.flags.writeable
        assert np.array_equal(got, content[order])


def test_all_zero_is_a_value_like_others(tmp_path: Path) -> None:
    entries = opened(tmp_path / "set")
    rows, views = np.array([3]), np.array([5])
    entries.put(rows, views, np.zeros((1, *SHAPE), np.int16))
    assert not opened(tmp_path / "set").missing(rows, views).any()
    assert opened(tmp_path / "set").missing(rows, views + 1).all()


def test_it_takes_the_disk_space_of_what_is_there(tmp_path: Path) -> None:
    entries = Entries(tmp_path / "set", 10_000, 8, (64, 64), "int16", {})
    assert sum(file.stat().st_blocks * 512 for file in (tmp_path / "set").iterdir()) < 100_000
    assert entries.absent(np.arange(100)) == 100 * 8 * 64 * 64 * 2
    entries.put(np.array([7, 7]), np.array([0, 3]), np.ones((2, 64, 64), np.int16))
    assert entries.absent(np.arange(100)) == 798 * 64 * 64 * 2
    assert entries.absent(np.array([7])) == 6 * 64 * 64 * 2


@pytest.mark.parametrize(("file", "at"), [("values.bin", 7 * SIZE + 11), ("checks.bin", 7 * 4)])
def test_a_damaged_entry_is_missing_and_can_be_put_again(tmp_path: Path, file: str, at: int) -> None:
    rows, views = everything()
    opened(tmp_path / "set").put(rows, views, values(rows, views))
    with (tmp_path / "set" / file).open("r+b") as content:
        content.seek(at)
        byte = content.read(1)[0]
        content.seek(at)
        content.write(bytes([byte ^ 1]))
    entries = opened(tmp_path / "set")
    assert np.flatnonzero(entries.missing(rows, views)).tolist() == [7]
    entries.put(rows[7:8], views[7:8], values(rows[7:8], views[7:8]))
    assert not opened(tmp_path / "set").missing(rows, views).any()


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", FILLER, str(folder), *more], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_killed_while_it_writes_what_is_there_is_right(tmp_path: Path) -> None:
    """At moments that differ: the set is opened and killed anew, on the same files."""
    rows, views = everything()
    for _ in range(4):
        process = start(tmp_path / "set")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        entries = opened(tmp_path / "set")
        there = ~entries.missing(rows, views)
        assert np.array_equal(entries.get(rows[there], views[there]), values(rows[there], views[there]))


def test_killed_between_a_value_and_its_checksum_the_entry_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, views = everything()
    pid = os.fork()
    if not pid:
        write = os.pwrite

        def dying(file: int, content: bytes, at: int) -> int:
            if at == 9 * SIZE:
                write(file, content[: SIZE // 2], at)
                os.kill(os.getpid(), signal.SIGKILL)
            return write(file, content, at)

        monkeypatch.setattr(os, "pwrite", dying)
        opened(tmp_path / "set").put(rows, views, values(rows, views))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert np.flatnonzero(~opened(tmp_path / "set").missing(rows, views)).tolist() == list(range(9))


def test_two_processes_fill_one_set_at_once(tmp_path: Path) -> None:
    rows, views = everything()
    opened(tmp_path / "set")
    processes = [start(tmp_path / "set", "once") for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    for process in processes:
        process.communicate()
    entries = opened(tmp_path / "set")
    assert not entries.missing(rows, views).any()
    assert np.array_equal(entries.get(rows, views), values(rows, views))


def test_what_another_process_puts_is_seen(tmp_path: Path) -> None:
    first, second = opened(tmp_path / "set"), opened(tmp_path / "set")
    rows, views = everything()
    assert second.missing(rows, views).all()
    first.put(rows, views, values(rows, views))
    assert not second.missing(rows, views).any()
    assert np.array_equal(second.get(rows, views), values(rows, views))


def test_a_removed_set_is_used_on_and_a_new_one_is_another(tmp_path: Path) -> None:
    entries = opened(tmp_path / "set")
    rows, views = everything()
    entries.put(rows[:9], views[:9], values(rows, views)[:9])
    shutil.rmtree(tmp_path / "set")
    entries.put(rows[9:], views[9:], values(rows, views)[9:])
    assert not entries.missing(rows, views).any()
    assert np.array_equal(entries.get(rows, views), values(rows, views))
    assert opened(tmp_path / "set").missing(rows, views).all()


def test_a_full_disk_is_an_error_and_harms_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, views = everything()
    entries = opened(tmp_path / "set")
    write, left = os.pwrite, 10 * SIZE + 10 * 4 + SIZE // 2  # ten entries and half of one

    def full(file: int, content: bytes, at: int) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(file, content[:left], at)
        left -= done
        return done

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        entries.put(rows, views, values(rows, views))
    for each in (entries, opened(tmp_path / "set")):
        assert np.flatnonzero(~each.missing(rows, views)).tolist() == list(range(10))


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, at: write(file, content[:100], at))
    rows, views = everything()
    opened(tmp_path / "set").put(rows, views, values(rows, views))
    assert not opened(tmp_path / "set").missing(rows, views).any()


@pytest.mark.long
def test_many_sets_one_after_the_other_leave_no_file_open(tmp_path: Path) -> None:
    """A search in one process opens hundreds."""
    gc.collect()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        opened(tmp_path / str(number))
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def _gone(file: Path) -> None:
    file.unlink()


def _a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("name", ["values.bin", "checks.bin", "facts.json"])
@pytest.mark.parametrize(
    "damage",
    [_gone, _a_folder, lambda file: os.truncate(file, 0), lambda file: os.truncate(file, file.stat().st_size // 2)],
)
def test_a_set_with_a_damaged_file_is_dropped_and_filled_anew(tmp_path: Path, name: str, damage) -> None:
    rows, views = everything()
    opened(tmp_path / "set").put(rows, views, values(rows, views))
    damage(tmp_path / "set" / name)
    entries = opened(tmp_path / "set")
    assert entries.missing(rows, views).all()
    entries.put(rows, views, values(rows, views))
    assert not opened(tmp_path / "set").missing(rows, views).any()
