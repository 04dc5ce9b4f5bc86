"""Kill a real training again and again, then see whether what it ends with is what an unbroken one ends with.

    python killer.py RESUMPTIONS SEED       in a workspace that is ready to train

Prints a JSON object. The libraries are loaded once and every training is a fork of this process, so that a start takes
no seconds; each is the whole train stage, MLflow and all, and is killed at a random moment, until so many of them have
gone on from the state of another.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import sklearn.metrics  # noqa: F401

from landuse import params
from landuse.training import stage as training

OUTPUTS = (
    "models/model",
    "metrics/train.json",
    "reports/collapse.json",
    "plots/history.csv",
)


def digests() -> dict[str, str]:
    files = [f for out in map(Path, OUTPUTS) for f in (sorted(out.iterdir()) if out.is_dir() else [out])]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def start(limit: float = 0) -> int:
    """Start a training and return its process id. limit: seconds of processor time after which it is killed; 0: never.

    The kernel kills it, by SIGPROF: like SIGKILL it ends the process wherever it is, since nothing handles it. Time of
    the clock would hit an early import on a loaded machine, and the end on a quiet one.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        silence = os.open("training.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        signal.setitimer(signal.ITIMER_PROF, limit)
        training.run(params.load("train"))
        code = 0
    finally:
        os._exit(code)


def end(pid: int) -> tuple[bool, float]:
    """Wait for a training; return whether it was killed, and its seconds of processor time."""
    _, status, usage = os.wait4(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
    if status and not killed:
        sys.exit(f"training ended with {status}:\n{Path('training.log').read_text()[-4000:]}")
    return killed, usage.ru_utime + usage.ru_stime


def resumed() -> int:
    return Path("training.log").read_text().count("resuming:")


def forget() -> None:
    """Remove outputs and states: the next training starts anew."""
    shutil.rmtree(".landuse/state", ignore_errors=True)
    for out in map(Path, OUTPUTS):
        shutil.rmtree(out) if out.is_dir() else out.unlink()


def main(wanted: int, seed: int) -> None:
    moments = random.Random(seed)
    _, seconds = end(start())
    unbroken = digests()
    forget()
    kills = 0
    while resumed() < wanted and kills < 10 * wanted:
        killed, _ = end(start(moments.uniform(0, seconds / 3)))
        kills += killed
        if not killed:
            assert digests() == unbroken, "the outputs differ"
            forget()
    end(start())
    found = {"kills": kills, "resumed": resumed(), "same": digests() == unbroken, "files": len(unbroken)}
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
