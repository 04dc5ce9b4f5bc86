"""Small trainings that one process or several can run.

    python ranks.py FOLDER

Two processes run the first case. Three run the second one. Three run the last one; then again, where rank 0 is killed;
then they go on with that.
Each leaves a JSON file FOLDER/{unbroken,killed,resumed}/<case>.json with the history and digests of what was learnt, or
none. The processes are forks of this one, started by what torchrun itself calls, so that the libraries are loaded once.
"""

import json
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from small import load, network, tiles
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from landuse.storage.checkpoints import Checkpointer
from landuse.training import distributed, loop
from landuse.training.identity import digest

ALL = {"freeze": "none", "lr": 3e-3, "monitor": "val_loss"}
CASES: dict[str, dict[str, Any]] = {
    "sam_swa_and_uneven_shares": {
        "batch_size": 15,
        "swa": 0.5,
        "loss": {"name": "focal", "class_weights": False, "label_smoothing": 0.0},
        "phases": [ALL | {"optimizer": "sam", "epochs": 3}],
    },
    "accumulated_and_weighted": {
        "batch_size": 16,
        "accumulate": 3,
        "clip_norm": 0.5,
        "ema": 0.8,
        "loss": {"class_weights": True, "label_smoothing": 0.1},
        "phases": [
            ALL | {"freeze": "backbone", "epochs": 1, "lr": 1e-2},
            ALL | {"epochs": 4, "scheduler": "plateau", "patience": 2},
        ],
    },
    "batchnorm": {
        "batch_size": 16,
        "accumulate": 3,
        "ema": 0.8,
        "phases": [ALL | {"freeze": "backbone", "bn": "adapt", "epochs": 1, "lr": 1e-2}, ALL | {"epochs": 2}],
    },
}
AS_ONE = [case for case in CASES if case != "batchnorm"]  # on CPUs, each process has BatchNorm of its own


def train(case: str, folder: Path, die: int = 0) -> dict[str, Any]:
    """Train, or go on with, a case whose state is kept in the folder. die: SIGKILL at this batch."""
    scratch = folder / f"{case}-{os.environ.get('RANK', 'alone')}"
    scratch.mkdir(exist_ok=True)
    settings = dict(CASES[case])
    p = load(scratch, settings.pop("phases"), {"train.optimizers.sam.base": "adamw"}, **settings)
    model = network() if case == "batchnorm" else network(backbone="cnn_54k")
    model.head[0].p = 0.0  # each rank draws its own dropout
    distributed.share_statistics(model)
    learnt, judged = tiles(180)
    # labels of very different numbers, so that the two halves of a batch have different weights
    kept = [i for i, target in enumerate(learnt.targets) if target == 0 or i % 4 == 0 or i < 24]
    learnt = replace(learnt, rows=learnt.rows[kept], targets=learnt.targets[kept], batch_size=p.recipe.batch_size)
    (folder / case).mkdir(exist_ok=True)
    checkpointer = Checkpointer(folder / case, 1e-9) if distributed.rank() == 0 else None
    training = loop.Loop(model, learnt, judged, p, lambda *_: None, checkpointer)
    if die and distributed.rank() == 0:
        _die_at(training, die)
    history, best = training.run()
    weights = {name: value.double().sum().item() for name, value in model.state_dict().items()}
    return {"history": history, "best": best.epoch, "weights": digest(weights)}


def _die_at(training: loop.Loop, batch: int) -> None:
    count = training._count
    seen = iter(range(1, batch + 1))

    def counting(*given: Any) -> None:
        count(*given)
        if next(seen) == batch:
            os.kill(os.getpid(), signal.SIGKILL)

    training._count = counting  # type: ignore[method-assign]


@distributed.group()
def work(case: str, folder: Path, die: int) -> None:
    """What each process does."""
    found = train(case, folder, die)
    if distributed.rank() == 0:
        (folder / f"{case}.json").write_text(json.dumps(found))


def start(processes: int, case: str, folder: Path, die: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    endpoint = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "rdzv_configs": {"is_host": True}}
    config = LaunchConfig(1, 1, processes, run_id=folder.name, max_restarts=0, start_method="fork", **endpoint)
    elastic_launch(config, work)(case, folder, die)


def main(folder: Path) -> None:
    torch.use_deterministic_algorithms(True)
    first, second, last = CASES
    start(2, first, folder / "unbroken")
    start(3, second, folder / "unbroken")
    start(3, last, folder / "unbroken")
    with suppress(ChildFailedError):
        start(3, last, folder / "killed", die=8)
    shutil.copytree(folder / "killed", folder / "resumed")
    start(3, last, folder / "resumed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
