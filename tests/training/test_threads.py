"""Threads: shared between the workers of one DVC queue, left alone elsewhere."""

import subprocess
import time
from collections.abc import Iterator
from types import SimpleNamespace

import psutil
import pytest
import torch

from landuse.training import threads


@pytest.fixture
def workers() -> Iterator[list[psutil.Process]]:
    """Three processes whose command lines are those of queue workers: two of one repository, one of another."""
    names = ("dvc-exp-feed00-1@localhost", "dvc-exp-feed00-2@localhost", "dvc-exp-beef00-1@localhost")
    running = [subprocess.Popen(["sh", "-c", "sleep 60; true", "dvc", "exp", "queue-worker", name]) for name in names]
    found = [psutil.Process(process.pid) for process in running]
    while not all("queue-worker" in process.cmdline() for process in found):  # empty for a moment after the start
        time.sleep(0.01)
    yield found
    for process in running:
        for child in psutil.Process(process.pid).children():
            child.kill()
        process.kill()
        process.wait()


def threads_of_a_child(parents: list[psutil.Process], monkeypatch: pytest.MonkeyPatch, cores: int = 8) -> int:
    """How many threads a process with these ancestors takes."""
    chosen = [cores]
    real, child = psutil.Process, SimpleNamespace(parents=lambda: parents)
    monkeypatch.setattr(psutil, "Process", lambda pid=None: real(pid) if pid else child)
    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    threads.share_cores()
    monkeypatch.undo()
    return chosen[-1]


def test_workers_of_one_queue_share_the_cores(workers: list[psutil.Process], monkeypatch: pytest.MonkeyPatch) -> None:
    shell = psutil.Process()
    for worker, cores, expected in ((0, 8, 4), (1, 8, 4), (2, 8, 8), (0, 5, 2), (0, 1, 1)):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        assert threads_of_a_child([shell, workers[worker]], monkeypatch, cores) == expected


def test_a_number_that_was_chosen_stays(workers: list[psutil.Process], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_of_a_child(workers[:1], monkeypatch) == 8


@pytest.mark.usefixtures("workers")
def test_outside_a_queue_torch_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads_of_a_child([psutil.Process()], monkeypatch) == 8
