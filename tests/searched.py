"""What a search of the tests tries: a small network, tiles in memory, three settings."""

from pathlib import Path
from typing import Any

import small
import trained
import yaml

from landuse import params
from landuse.training.prepare import Prepared

SPACE = {
    "train.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "train.batch_size": {"low": 8, "high": 16},
    "train.freeze": {"choices": ["none", "layer2"]},
}
PHASES = [{"epochs": 3, "scheduler": "constant", "monitor": "val_loss"}]


def prepared(_: params.Params) -> Prepared:
    """What ``prepare`` gives, with a small network and tiles in memory."""
    train, val = small.tiles()
    return Prepared(small.network(), trained.spec(classes=["a", "b", "c"]), train, val)


def settle(space: Any = SPACE, **tune: Any) -> None:
    """Write the section `tune` of params.yaml."""
    content = yaml.load(Path("params.yaml").read_text(), yaml.CSafeLoader)
    content["tune"] |= {"trials": 3, "space": space, "pruning": {"startup_trials": 2, "warmup_epochs": 0}} | tune
    Path("params.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
