"""One contender under the clock: when its lines come, how much memory it and its workers have at most. Linux only."""

import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import psutil

_READY = re.compile(r"(ready$|recipe )")  # a peer's line, and the stage train's
_EPOCH = re.compile(r"epoch +\d+ .*\bacc(?:uracy)? ([01]\.\d+)")  # the last one of the line: on the validation tiles
_WAIT = re.compile(r"compiled in ([\d.]+) s$")  # of torch.compile
_EVERY = 0.5  # seconds between two looks at the memory


@dataclass
class Run:
    """What was measured.

    ready: seconds from the start until training began. wait: seconds that torch.compile took. epochs: seconds of each,
    with its validation, without that wait. accuracy: after each, on the validation tiles. wall: seconds until it ended,
    or was ended. peak, held: the most MiB, a page that several processes share counted once; held leaves out what the
    system can drop, pages of files. ended: "well", "failed", "enough" (the accuracy asked for is reached) or "late"
    (stopped at the time limit).
    """

    ready: float = 0.0
    wait: float = 0.0
    epochs: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    wall: float = 0.0
    peak: float = 0.0
    held: float = 0.0
    ended: str = "well"


def measure(
    commands: Sequence[Sequence[str]],
    folder: Path,
    env: Mapping[str, str],
    until: float = 2.0,
    limit: float = float("inf"),
) -> Run:
    """Run commands one after the other, as one contender.

    Args:
        commands: program and arguments of each.
        folder: to run them in; what they say goes to ``contender.log`` there.
        env: the environment.
        until: end the contender once its accuracy is so high.
        limit: end it after so many seconds.
    """
    run, begun = Run(), time.monotonic()
    with (folder / "contender.log").open("w", encoding="utf-8") as log:
        for command in commands:
            enough = threading.Event()
            process = psutil.Popen(
                command, cwd=folder, env=dict(env), stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
            )
            reader = threading.Thread(target=_read, args=(process, run, begun, until, enough, log))
            reader.start()
            while reader.is_alive() and not enough.is_set() and time.monotonic() - begun < limit:
                _look(process, run)
                reader.join(_EVERY)
            stopped = reader.is_alive()
            if stopped:
                run.ended = "enough" if enough.is_set() else "late"
                _end(process)
            reader.join()
            if process.wait() != 0 and not stopped:
                run.ended = "failed"
            if run.ended != "well":
                break
    run.wall = time.monotonic() - begun
    return run


def _read(process: psutil.Popen, run: Run, begun: float, until: float, enough: threading.Event, log: TextIO) -> None:
    """Note when the contender says that it is ready, and that an epoch is done."""
    last = begun
    for line in process.stdout:
        now = time.monotonic()
        log.write(line)
        if _READY.match(line):
            run.ready = now - begun
            last = now
        elif found := _WAIT.match(line):
            run.wait += float(found[1])
            last += float(found[1])
        elif found := _EPOCH.match(line):
            run.epochs.append(now - last)
            run.accuracy.append(float(found[1]))
            last = now
            if run.accuracy[-1] >= until:
                enough.set()


def _look(process: psutil.Popen, run: Run) -> None:
    """Note the memory of a process and its descendants, in proportional shares (PSS), if it is the most so far."""
    peak = held = 0
    for one in _tree(process):
        try:
            rollup = Path(f"/proc/{one.pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:  # it has just ended
            continue
        kib = {name: int(size) for name, size in re.findall(r"^(Pss\w*): +(\d+) kB", rollup, re.MULTILINE)}
        peak += kib["Pss"]
        held += kib["Pss_Anon"] + kib["Pss_Shmem"]
    run.peak, run.held = max(run.peak, peak / 1024), max(run.held, held / 1024)


def _tree(process: psutil.Popen) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _end(process: psutil.Popen) -> None:
    everyone = _tree(process)
    for one in everyone:
        try:
            one.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(everyone, timeout=10)
    for one in alive:
        one.kill()
