"""landuse speed: what it measures, what it recommends, and that it leaves nothing behind."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import small
import trained

from landuse import cli, params
from landuse.training.prepare import Prepared
from landuse.tuning import speed


def choice(precision: str, training: float, compiled: bool = False, warm_up: float = 1.0) -> speed.Choice:
    """A choice that has been measured."""
    made = speed.Choice.__new__(speed.Choice)
    made.stepper = SimpleNamespace(precision=precision)  # type: ignore[assignment]
    made.compiled, made.warm_up = compiled, warm_up
    made.training, made.inference = [training, 3 * training, training / 2], [5 * training]
    return made


def ready(tmp_path: Path, **recipe: object) -> tuple[params.Params, Prepared]:
    train, val = small.tiles()
    p = small.load(tmp_path, [{"epochs": 1}, {"epochs": 2, "freeze": "layer2", "scheduler": "onecycle"}], **recipe)
    return p, Prepared(small.network(), trained.spec(classes=["a", "b", "c"]), train, val)


def test_the_table_has_medians_and_marks_what_auto_takes() -> None:
    lines = speed.table([choice("fp32", 200), choice("bf16", 1300, compiled=True, warm_up=12.34)], "bf16").splitlines()
    assert lines[2].split() == ["fp32", "no", "200", "1,000", "1.0"]
    assert lines[3].split() == ["bf16", "(auto)", "yes", "1,300", "6,500", "12.3"]


def test_compiling_counts_against_a_short_training() -> None:
    plain, compiled = choice("fp32", 100), choice("fp32", 200, compiled=True, warm_up=30)
    assert plain.seconds(1000) < compiled.seconds(1000)
    assert plain.seconds(10_000) > compiled.seconds(10_000)


@pytest.mark.parametrize("recipe", [{}, {"augment": "mixup", "accumulate": 2, "ema": 0.9}])
def test_it_measures_the_longest_phase_and_prints_the_line_to_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], recipe: dict[str, object]
) -> None:
    p, prepared = ready(tmp_path, **recipe)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(speed, "prepare", lambda _: prepared)
    monkeypatch.setattr(speed, "_UNIT", 0.0)
    before = sorted(tmp_path.rglob("*"))
    speed.run(p, compiled=False, seconds=0.0)
    told = capsys.readouterr().out
    assert "phase p1 of recipe fast: test_resnet" in told
    assert "frozen: layer2, batches of 16, on cpu" in told
    assert told.count("(auto)") == 1
    assert "data path: " in told
    assert "fastest for 2 epochs" in told.splitlines()[-1]
    assert "dvc exp run -S train.precision=" in told.splitlines()[-1]
    assert "train.compile" not in told
    assert sorted(tmp_path.rglob("*")) == before


def test_all_choices_are_measured_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p, prepared = ready(tmp_path)
    turns = []
    original = speed.Choice.measure
    monkeypatch.setattr(speed, "_UNIT", 0.0)
    monkeypatch.setattr(speed.Choice, "measure", lambda self: (turns.append(self.precision), original(self)))
    measured = speed.measure(p, p.recipe.phases[0], prepared, compiled=False, seconds=0.0)
    words = [each.precision for each in measured]
    assert words[0] == "fp32"
    assert turns == 3 * words
    assert all(len(each.training) == len(each.inference) == 3 for each in measured)


def test_the_command_passes_its_options_on(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(speed, "run", lambda p, compiled: called.append((p.train.recipe, compiled)))
    cli.main(["speed", "--compile", "-S", "train.recipe=full"])
    assert called == [("full", True)]
