"""Threads of a training: all cores, or this process's share of them beside other workers of a DVC queue."""

import os
import re

import psutil
import torch

_WORKER = re.compile(r"(dvc-exp-\w+)-\d+@")  # a queue worker's name: of its repository, and its number


def share_cores() -> None:
    """Divide torch's own choice of threads by the number of queue workers of this repository, in one of them.

    Nothing is changed outside a queue (``dvc queue start``), nor where OMP_NUM_THREADS is set.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        repositories = [_repository(process) for process in psutil.Process().parents()]
        mine = next(filter(None, repositories), None)
        if mine:
            workers = sum(_repository(process) == mine for process in psutil.process_iter())
            torch.set_num_threads(max(1, torch.get_num_threads() // workers))


def _repository(process: psutil.Process) -> str | None:
    """Return what DVC calls the repository that a process is a queue worker of, or None.

    Its command line is ``dvc exp queue-worker dvc-exp-e25d09-1@localhost``.
    """
    try:
        command = process.cmdline()
    except psutil.Error:  # gone, or another user's
        return None
    found = _WORKER.match(command[command.index("queue-worker") + 1]) if "queue-worker" in command[:-1] else None
    return found[1] if found else None
