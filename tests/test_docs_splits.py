"""The commands of docs/splits.md are ones that DVC and params.yaml take."""

import shlex
from itertools import pairwise

import pytest
import yaml
from conftest import DEFAULTS, ROOT
from dvc.utils.hydra import get_hydra_sweeps

from landuse import params

COMMANDS = [
    shlex.split(line, comments=True)
    for line in (ROOT / "docs/splits.md").read_text().splitlines()
    if line.startswith("    dvc exp run ")
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_value_that_a_command_sets_is_allowed(command: list[str]) -> None:
    overrides = [word for flag, word in pairwise(command) if flag == "-S"]
    assert len(overrides) == command.count("-S") > 0
    sweep = [combination["params.yaml"] for combination in get_hydra_sweeps({"params.yaml": overrides})]
    for combination in sweep:
        changes = {key: yaml.safe_load(value) for key, value in (word.split("=", 1) for word in combination)}
        params.read(DEFAULTS / "params.yaml", changes)
    assert (len(sweep) > 1) == ("--queue" in command)


def test_the_folds_of_the_sweep_are_all_of_them() -> None:
    (sweep,) = (command for command in COMMANDS if "split.method=kfold" in command)
    combinations = get_hydra_sweeps({"params.yaml": [sweep[-1]]})
    assert [combination["params.yaml"] for combination in combinations] == [[f"split.fold={i}"] for i in range(5)]
