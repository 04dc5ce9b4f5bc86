"""Kill a real training again and again, then see whether what it ends with is what an unbroken one ends with.

    python killer.py KILLS SEED       in a workspace that is ready to train

Prints a JSON object. The libraries are loaded once and every training is a fork of this process, so that a start takes
no seconds; each is the whole train stage, MLflow and all, and dies by SIGKILL at a random moment.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import sklearn.metrics  # noqa: F401

from landuse import params, training

OUTPUTS = (
    "models/model",
    "metrics/train.json",
    "reports/collapse.json",
    "plots/history.csv",
    "plots/training_curves.png",
)


def digests() -> dict[str, str]:
    files = [f for out in map(Path, OUTPUTS) for f in (sorted(out.iterdir()) if out.is_dir() else [out])]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def start() -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        silence = os.open("training.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        training.run(params.load("train"))
        code = 0
    finally:
        os._exit(code)


def finish() -> None:
    _, status = os.waitpid(start(), 0)
    if status:
        sys.exit(f"training ended with {status}:\n{Path('training.log').read_text()[-4000:]}")


def forget() -> None:
    """Remove outputs and states: the next training starts anew."""
    shutil.rmtree(".landuse/state", ignore_errors=True)
    for out in map(Path, OUTPUTS):
        shutil.rmtree(out) if out.is_dir() else out.unlink()


def main(kills: int, seed: int) -> None:
    moments = random.Random(seed)
    began = time.monotonic()
    finish()
    seconds = time.monotonic() - began
    unbroken = digests()
    forget()
    survived, ends = [], 0
    while len(survived) < kills:
        pid = start()
        time.sleep(moments.uniform(0, seconds / 3))
        done, status = os.waitpid(pid, os.WNOHANG)
        if not done:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            survived.append(sum(1 for _ in Path(".landuse/state").glob("*/*.state")))
        elif status:
            sys.exit(f"training ended with {status}:\n{Path('training.log').read_text()[-4000:]}")
        else:
            assert digests() == unbroken, "the outputs differ"
            ends += 1
            forget()
    finish()
    resumed = Path("training.log").read_text().count("resuming:")
    print(
        json.dumps(
            {
                "kills": kills,
                "ends": ends + 1,
                "resumed": resumed,
                "seconds": seconds,
                "same": digests() == unbroken,
                "files": len(unbroken),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
