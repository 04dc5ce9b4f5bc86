"""The space of a search: what is refused before any work, and how values are written."""

from pathlib import Path
from typing import Any

import pytest
from searched import settle

from landuse import cli, params
from landuse.tuning import report
from landuse.tuning.space import check


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({}, "tune.space in params.yaml is empty"),
        ({"train.lrr": {"low": 1, "high": 2}}, "no key 'train.lrr'; did you mean 'lr'?"),
        ({"train.lr": {"low": 1e-2, "high": 1e-3}}, "tune.space.train.lr: low is 0.01, high is 0.001: low must be"),
        ({"train.lr": {"low": 0, "high": 1, "log": True}}, "low is 0: a logarithmic range has positive ends"),
        ({"train.lr": {"low": 1e-3, "high": 99}}, "train.lr is 99.0: input should be less than or equal to 10"),
        ({"train.lr": {"low": 1e-3}}, "give a range by low and high, or a list of choices"),
        ({"train.lr": {"low": 1e-3, "high": 1, "choices": [1, 2]}}, "choices stand alone"),
        ({"train.lr": {"lo": 1e-3, "high": 1}}, "unknown key 'tune.space.train.lr.lo'; did you mean 'low'"),
        ({"train.freeze": {"choices": ["none", "layer9"]}}, "train.freeze is 'layer9', allowed: none, stem"),
        ({"train.freeze": {"choices": ["none"]}}, "tune.space.train.freeze.choices is ['none']"),
        ({"train.epochs": {"low": 1.5, "high": 3}}, "train.epochs is 1.5: input should be a valid integer"),
        ({"train.recipe": {"choices": ["fast", "ful"]}}, "train.recipe is 'ful', no such recipe; did you mean 'full'?"),
        (
            {"model.backbone": {"choices": ["resnet18", "resnet5O"]}},
            "'resnet5O', no such backbone; did you mean",
        ),
        ({"train.freeze": {"choices": ["none", True]}}, "train.freeze is True, allowed: none, stem"),
        ({"train.freeze": {"choices": ["none", ""]}}, "train.freeze is '', allowed: none, stem"),
        ({"train.lr": {"choices": [1e-3, 1e-300]}}, "train.lr: 1e-300 is beyond what 32 bits hold"),
        ({"train.batch_size": {"low": 8, "high": 10**12}}, "train.batch_size is 1000000000000: input should be less"),
        ({"split.seed": {"low": 1, "high": 5}}, "split.seed cannot be searched; keys of model, train, recipes"),
        ({"recipes.full.batch_size": {"low": 8, "high": 16}}, "recipes.full.batch_size changes nothing"),
    ],
)
def test_a_space_that_does_not_fit_is_refused_before_any_work(
    here: Path, space: Any, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(space)
    with pytest.raises(SystemExit):
        cli.main(["tune"])
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1
    assert not (here / ".landuse").exists()
    assert not (here / "mlflow.db").exists()


@pytest.mark.usefixtures("here")
def test_a_key_of_a_recipe_matters_where_the_recipe_is_a_choice() -> None:
    space = {"recipes.full.batch_size": {"low": 8, "high": 16}, "train.recipe": {"choices": ["fast", "full"]}}
    settle(space)
    assert check(params.read().tune.space, lambda changes: params.read(changes=changes)).whole == {
        "recipes.full.batch_size"
    }


@pytest.mark.parametrize(("trials", "told"), [("0", "0: give 1 to"), ("many", "'many' is no whole number: give 1 to")])
def test_trials_must_be_counted(trials: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["tune", "--trials", trials])
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "null"), (True, "true"), (1e-05, "1e-05"), (64, "64"), ("timm/a-b.c", "timm/a-b.c"), ("a b", '"a b"')],
)
def test_values_as_hydra_reads_them(value: Any, written: str) -> None:
    assert report.word(value) == written
