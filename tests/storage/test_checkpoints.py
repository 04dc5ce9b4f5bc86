"""Resumable state on disk: whole or not at all, checked, pruned, held by one process."""

import errno
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import PATIENCE

from landuse.core.errors import Interrupted, user_errors
from landuse.storage import checkpoints
from landuse.storage.checkpoints import Checkpointer, checkpointing

FACTS = {"train.lr": 0.001, "data": "d"}


@pytest.fixture
def checkpointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkpointer]:
    monkeypatch.chdir(tmp_path)
    with checkpointing(tmp_path, "me", 10, FACTS) as kept:
        yield kept


def content(number: int) -> dict[str, Any]:
    return {"epoch": number, "weights": {"w": torch.full((3,), float(number))}, "none": None, "list": [1.5, "a"]}


def test_the_newest_of_two_states_comes_back(checkpointer: Checkpointer) -> None:
    assert checkpointer.latest() is None
    for number in range(5):
        checkpointer.save(content(number))
    found = checkpointer.latest()
    assert found is not None
    assert found["epoch"] == 4
    assert torch.equal(found["weights"]["w"], torch.full((3,), 4.0))
    assert [file.name for file in sorted(checkpointer.folder.glob("*.state"))] == ["00000004.state", "00000005.state"]


def test_epochs_of_seconds_are_saved_as_often_as_takes_a_fiftieth_of_the_time(
    checkpointer: Checkpointer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, took, saved_at = time.monotonic(), 0.5, []

    def written(*_: object) -> None:
        nonlocal clock
        clock += took

    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock)
    monkeypatch.setattr(torch, "save", written)
    start = clock
    for _ in range(20):  # epochs
        clock += 7.0
        if checkpointer.cheap():
            saved_at.append(round(clock - start, 1))
            checkpointer.save({})
    assert saved_at == [56.0, 84.5, 113.0, 141.5]


@pytest.mark.parametrize("damage", ["truncated", "one bit", "empty"])
def test_a_damaged_state_gives_way_to_the_one_before(
    checkpointer: Checkpointer, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpointer.save(content(1))
    checkpointer.save(content(2))
    newest = max(checkpointer.folder.glob("*.state"))
    whole = newest.read_bytes()
    bent = bytearray(whole)
    bent[len(whole) // 2] ^= 1
    newest.write_bytes({"truncated": whole[:-9], "one bit": bytes(bent), "empty": b""}[damage])
    found = checkpointer.latest()
    assert found is not None
    assert found["epoch"] == 1
    assert "damaged" in capsys.readouterr().out
    checkpointer.save(content(3))
    assert checkpointer.latest()["epoch"] == 3  # type: ignore[index]


def test_a_full_disk_leaves_the_last_good_state(checkpointer: Checkpointer, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpointer.save(content(1))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "x.state")

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    with pytest.raises(SystemExit, match="2"), user_errors():
        checkpointer.save(content(2))
    assert checkpointer.latest()["epoch"] == 1  # type: ignore[index]


def test_a_state_is_due_by_the_clock_and_by_a_signal(tmp_path: Path) -> None:
    assert Checkpointer(tmp_path, minutes=1e-9).due()
    patient = Checkpointer(tmp_path, minutes=10)
    assert not patient.due()
    patient.signal = signal.SIGTERM
    assert patient.due()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_ends_in_one_line_later(
    checkpointer: Checkpointer, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    os.kill(os.getpid(), number)
    assert checkpointer.signal == number
    with pytest.raises(SystemExit) as end, user_errors():
        raise Interrupted("stopped, state saved: the same command goes on", checkpointer.signal)
    assert end.value.code == 128 + number
    assert "landuse: stopped, state saved: the same command goes on" in capsys.readouterr().err


@pytest.mark.usefixtures("checkpointer")
def test_a_second_signal_stops_at_once() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as end:
        os.kill(os.getpid(), signal.SIGINT)
    assert not isinstance(end.value, Interrupted)


def test_changed_settings_start_anew_and_say_what_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with checkpointing(tmp_path, "before", 10, FACTS) as kept:
        kept.save(content(1))
    with checkpointing(tmp_path, "after", 10, FACTS | {"train.lr": 0.1}) as kept:
        assert kept.latest() is None
    said = capsys.readouterr().out
    assert "starting anew" in said
    assert "train.lr: 0.001 -> 0.1" in said
    with checkpointing(tmp_path, "code", 10, FACTS):
        assert "other code" in capsys.readouterr().out
    with checkpointing(tmp_path, "before", 10, FACTS) as kept:
        assert kept.latest()["epoch"] == 1  # type: ignore[index]
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_text("{")])
def test_what_changed_is_not_known_where_the_facts_are_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    with checkpointing(tmp_path, "before", 10, FACTS) as kept:
        kept.save(content(1))
    damage(kept.folder / "facts.json")
    with checkpointing(tmp_path, "after", 10, FACTS):
        assert "starting anew" in capsys.readouterr().out


def test_a_finished_training_is_done_again_only_after_dvc_took_its_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with checkpointing(tmp_path, "me", 10, FACTS) as kept:
        kept.save(content(1))
        kept.finish()
    with checkpointing(tmp_path, "me", 10, FACTS) as kept:  # killed before DVC wrote dvc.lock
        assert kept.latest() is not None
    (tmp_path / "dvc.lock").touch()
    os.utime(tmp_path / "dvc.lock", (2e9, 2e9))
    with checkpointing(tmp_path, "me", 10, FACTS) as kept:
        assert kept.latest() is None
        assert not kept.finished


def test_what_is_over_and_what_is_long_abandoned_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        with checkpointing(tmp_path, f"old{number}", 10, FACTS) as kept:
            kept.save(content(number))
            if number == 5:
                kept.finish()
        os.utime(kept.folder, (1e9 + number, 1e9 + number))
    with checkpointing(tmp_path, "me", 10, FACTS):
        folders = {folder.name for folder in (tmp_path / ".landuse/state").iterdir() if folder.is_dir()}
    assert folders == {"old2", "old3", "old4", "me"}


def _wait_for_turn(root: str, said: Any) -> None:
    os.chdir(root)
    with checkpointing(Path(root), "me", 10, FACTS) as kept:
        said.put(kept.latest()["epoch"])  # type: ignore[index]


def test_two_processes_of_the_same_training_take_turns(checkpointer: Checkpointer, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    said = context.Queue()
    second = context.Process(target=_wait_for_turn, args=(str(tmp_path), said))
    checkpointer.save(content(1))
    second.start()
    second.join(1)
    assert second.is_alive()
    checkpointer.save(content(2))
    second.kill()
    second.join()
    assert said.empty()


def test_the_second_process_goes_on_when_the_first_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    context = multiprocessing.get_context("fork")
    said = context.Queue()
    second = context.Process(target=_wait_for_turn, args=(str(tmp_path), said))
    with checkpointing(tmp_path, "me", 10, FACTS) as kept:
        second.start()
        second.join(0.5)
        kept.save(content(7))
    assert said.get(timeout=PATIENCE) == 7
    second.join()
    facts = json.loads((tmp_path / ".landuse/state/me/facts.json").read_text())
    assert facts == FACTS


def _start_often(root: str, number: int) -> None:
    os.chdir(root)
    for turn in range(25):
        with checkpointing(Path(root), f"{number}-{turn}", 10, FACTS) as kept:
            kept.save(content(turn))
            if turn % 2:
                kept.finish()


def test_trainings_that_start_together_do_not_trip_over_what_others_clear_away(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=_start_often, args=(str(tmp_path), number)) for number in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 4
