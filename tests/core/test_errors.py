"""Every end of a program that is no bug is one line and the right exit code: mistakes, machines, signals, pipes."""

import ast
import errno
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
import weakref
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from landuse import params
from landuse.core import files
from landuse.core.errors import Interrupted, UserError, user_errors

ROOMS = {
    "download": "data.writer",
    "map_to_binary": "data.labels",
    "split": "data.splits.stage",
    "train": "training.stage",
    "evaluate": "prediction.stage",  # its first half
    "export": "export.stage",
    "report": "report.stage",
}
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """What handled signals before, which must be back after each test."""
    before = [signal.getsignal(number) for number in SIGNALS]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.default_int_handler, signal.SIG_DFL]
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def ended(work: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """The exit code and the one line with which some work ends."""
    with pytest.raises(SystemExit) as end, user_errors():
        work()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) <= 1, shown.err
    return end.value.code, shown.err


def raising(error: BaseException, cause: BaseException | None = None) -> Callable[[], None]:
    def work() -> None:
        raise error from cause

    return work


def full_database() -> None:
    """Fill a database as far as it may grow; SQLAlchemy's error hides SQLite's."""
    from sqlalchemy import create_engine, text  # each worker of pytest would load it, for this test alone

    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("PRAGMA max_page_count = 2"))
        connection.execute(text("CREATE TABLE a (b)"))
        for _ in range(9):
            connection.execute(text("INSERT INTO a VALUES (zeroblob(3000))"))


@pytest.mark.parametrize(
    ("work", "told"),
    [
        (raising(UserError("no\n  such thing")), "no such thing"),
        (raising(OSError(errno.ENOSPC, "No space left on device", "a/b")), "No space left on device: a/b; free some"),
        (raising(RuntimeError("x"), OSError(errno.ENOSPC, "No space left on device")), "No space left on device"),
        (raising(UserError("MLflow cannot"), OSError(errno.EDQUOT, "Disk quota exceeded")), "Disk quota exceeded"),
        (raising(OSError(errno.EMFILE, "Too many open files")), "ulimit -n"),
        (full_database, "No space left on device: while writing a database"),
        (raising(MemoryError()), "not enough memory: end other programs"),
        (raising(MemoryError("Unable to allocate 9 TiB")), "not enough memory (Unable to allocate 9 TiB)"),
        (lambda: torch.empty(2**50), "not enough memory ("),
    ],
)
def test_a_mistake_and_a_machine_that_lacks_something_are_one_line(
    work: Callable[[], None], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = ended(work, capsys)
    assert code == 2
    assert line.startswith("landuse: error: ")
    assert told in line


@pytest.mark.parametrize("bug", [KeyError("x"), FileNotFoundError(errno.ENOENT, "x"), sqlite3.OperationalError("x")])
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)), user_errors():
        raise bug


def test_a_full_disk_says_which_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with files.atomic(tmp_path / "out.csv"):
            raise OSError(errno.ENOSPC, "No space left on device")

    assert "out.csv; free some space" in ended(work, capsys)[1]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("stage", ROOMS)
def test_a_signal_ends_each_stage_in_one_line_with_nothing_half_written(
    stage: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: object) -> None:
        with files.atomic(tmp_path / "folder") as part:
            part.mkdir()
            (part / "half").write_text("x")
            os.kill(os.getpid(), number)

    monkeypatch.setattr(params, "load", lambda _: None)
    monkeypatch.setattr(import_module(f"landuse.{ROOMS[stage]}"), "run", run)
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / f"stages/{stage}.py"), run_name="__main__")
    assert end.value.code == 128 + number
    line = capsys.readouterr().err
    assert len(line.splitlines()) == 1
    assert "run the same command again" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ROOMS)
def test_a_stage_loads_what_is_heavy_where_a_signal_is_caught(stage: str) -> None:
    body = ast.parse((ROOT / f"stages/{stage}.py").read_text()).body
    imports = [node.module for node in body if isinstance(node, ast.ImportFrom)]
    assert imports == ["landuse.core.errors"]
    assert not any(isinstance(node, ast.Import) for node in body)


def test_a_program_ends_at_once_but_not_before_what_is_to_come_last() -> None:
    code = """
        import atexit
        from landuse.core.errors import program
        class Kept:
            def __del__(self): print("freed")
        with program():
            kept = Kept()
            atexit.register(print, "said last")
            print("said first")
        print("never said")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n") == ["said first", "said last", ""]


def test_an_interruption_says_what_it_wants_to(capsys: pytest.CaptureFixture[str]) -> None:
    stop = Interrupted("stopped at batch 7", signal.SIGTERM)
    assert ended(raising(stop), capsys) == (143, "landuse: stopped at batch 7\n")
    assert ended(raising(KeyboardInterrupt()), capsys)[0] == 130


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_is_not_lost_where_python_drops_errors(capsys: pytest.CaptureFixture[str]) -> None:
    class Thing:
        pass

    def work() -> None:
        thing = Thing()
        kept = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.SIGTERM))
        del thing
        assert kept() is None
        time.sleep(30)

    assert ended(work, capsys)[0] == 143


def test_what_ignores_a_signal_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as nohup and the background of a shell have it
    try:
        with user_errors():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        signal.signal(signal.SIGINT, signal.default_int_handler)


CODE = "from landuse.core.errors import user_errors\nwith user_errors():\n    "


def python(code: str, stdout: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", CODE + code], stdout=stdout, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("code", ["print('x')", "print('x' * 99999)", "print('x'); raise SystemExit(0)"])
def test_a_reader_who_has_gone_is_no_error(code: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = python(code, writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (128 + 13, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_an_output_that_is_full_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = python("print('x')", full.fileno())
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "No space left" in done.stderr


def test_a_second_signal_ends_it_at_once() -> None:
    code = "import os, signal\n    try: os.kill(os.getpid(), 15)\n    finally: os.kill(os.getpid(), 15); print('x')"
    done = python(code, subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")


@pytest.mark.long
def test_threads_that_wait_sleep_soon_and_leave_the_cores_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from landuse.core.errors import user_errors\nwith user_errors():\n    import torch"
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    env = os.environ | {"OMP_DISPLAY_ENV": "verbose"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    if "OMP_WAIT_POLICY" not in done.stderr:
        pytest.skip("this torch has no OpenMP")
    assert "GOMP_SPINCOUNT = '2000'" in done.stderr
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")  # whoever says so may have it otherwise
    with user_errors():
        assert "GOMP_SPINCOUNT" not in os.environ
