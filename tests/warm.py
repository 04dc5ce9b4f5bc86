"""Processes that start at once: forks of one that has loaded the libraries of training, which takes seconds."""

import multiprocessing
import os
import resource
import runpy
import signal
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from multiprocessing.util import Finalize
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["landuse.training.stage", "mlflow.store.tracking.sqlalchemy_store", "sklearn.metrics"])


@dataclass(frozen=True)
class Started:
    """A process of its own, which a signal may kill."""

    process: ForkServerProcess
    said: Path

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return (self.said / "out.txt").read_text()

    @property
    def err(self) -> str:
        return (self.said / "err.txt").read_text()

    @property
    def seconds(self) -> float:
        """Of processor time, until its good end."""
        return float((self.said / "seconds.txt").read_text())

    def send(self, number: int) -> None:
        assert self.process.pid
        os.kill(self.process.pid, number)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait for something that comes before its end."""
        while not ready():
            assert self.process.is_alive(), f"it ended too early: {self.out}{self.err}"
            time.sleep(0.02)

    def end(self) -> int:
        """Wait for its end; return its exit code: of a signal, the negative number."""
        from conftest import PATIENCE  # not above: the process itself loads this module

        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, "it does not end"
        return self.process.exitcode


def script(
    file: str,
    cwd: Path,
    environment: dict[str, str],
    said: Path,
    seconds: float = 0,
    largest_file: int = resource.RLIM_INFINITY,
) -> Started:
    """Run a script in a process of its own.

    said: folder for what it prints. seconds: of processor time after which the kernel kills it; 0: never. Like SIGKILL,
    SIGPROF ends it wherever it is. Time of the clock would be another moment on a loaded machine. largest_file: bytes
    that a file may have, as if the disk were full.
    """
    said.mkdir(parents=True, exist_ok=True)
    for name in ("out.txt", "err.txt"):
        (said / name).write_text("")
    process = _FORKS.Process(target=_run, args=(file, cwd, environment, said, seconds, largest_file))
    process.start()
    return Started(process, said)


def code(text: str, cwd: Path, said: Path, **environment: str) -> Started:
    """Run code in a process of its own, with more environment variables; it may import the tests' helpers."""
    said.mkdir(parents=True)
    (said / "code.py").write_text(textwrap.dedent(text))
    return script(str(said / "code.py"), cwd, os.environ | environment, said)


def _run(file: str, cwd: Path, environment: dict[str, str], said: Path, seconds: float, largest_file: int) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for stream, name in ((1, "out.txt"), (2, "err.txt")):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_APPEND), stream)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    # also where the script ends the process
    Finalize(None, lambda: (said / "seconds.txt").write_text(str(time.process_time())), exitpriority=0)
    runpy.run_path(file, run_name="__main__")
