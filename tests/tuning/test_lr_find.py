"""The learning-rate range test: its formulas on curves with a known answer, and the test itself on a small network."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
import trained
from matplotlib.image import imread

from landuse import cli, params
from landuse.core.errors import UserError
from landuse.training.prepare import Prepared
from landuse.tuning import lr_find

LRS = np.geomspace(lr_find.LOWEST, lr_find.HIGHEST, lr_find.STEPS)


def curve(loss: np.ndarray) -> pd.DataFrame:
    return lr_find.smoothed(pd.DataFrame({"lr": LRS[: len(loss)], "loss": loss}))


def falling(centre: float, width: float = 0.5) -> np.ndarray:
    """A loss that falls from 2 to 0.5, steepest at a learning rate; width in decades."""
    return 0.5 + 1.5 / (1 + np.exp((np.log10(LRS) - np.log10(centre)) / width))


def ready(tmp_path: Path, **recipe: object) -> tuple[params.Params, Prepared]:
    train, val = small.tiles()
    p = small.load(tmp_path, [{}], **recipe)
    return p, Prepared(small.network(), trained.spec(classes=["a", "b", "c"]), train, val)


def test_smoothing_is_the_bias_corrected_mean() -> None:
    assert lr_find.smooth(np.full(5, 3.0)) == pytest.approx(np.full(5, 3.0))
    first, second = lr_find.smooth(np.array([1.0, 2.0]))
    assert first == pytest.approx(1)
    assert second == pytest.approx((0.9 * 1 + 2) / 1.9)


def test_a_smoothed_line_stays_on_the_line() -> None:
    line = curve(5 - 0.3 * np.log10(LRS))
    assert line["smoothed_loss"].to_numpy() == pytest.approx(5 - 0.3 * np.log10(line["smoothed_lr"].to_numpy()))


@pytest.mark.parametrize("centre", [1e-5, 1e-3, 3e-2])
def test_the_suggestion_is_the_steepest_descent(centre: float) -> None:
    found = lr_find.suggestion(curve(falling(centre)))
    assert found is not None
    assert -0.3 < np.log10(found / centre) <= 0  # the smoothing is one-sided: low by up to a factor of two


def test_noise_and_an_explosion_move_it_by_little() -> None:
    rng = np.random.default_rng(0)
    loss = falling(1e-3) + rng.normal(0, 0.05, len(LRS)) + (LRS / 0.5) ** 2
    found = lr_find.suggestion(curve(loss[:90]))
    assert found is not None
    assert abs(np.log10(found / 1e-3)) < 0.5


@pytest.mark.parametrize("loss", [np.full(100, 0.69), np.linspace(0.69, 3, 100), np.linspace(0.69, 0.68, 100)])
def test_no_suggestion_where_the_loss_does_not_fall(loss: np.ndarray) -> None:
    assert lr_find.suggestion(curve(loss)) is None


@pytest.mark.long
def test_a_network_is_swept_until_its_loss_explodes(tmp_path: Path) -> None:
    p, prepared = ready(tmp_path)
    table = lr_find.sweep(p, p.recipe.phases[0], prepared)
    assert table["lr"].iloc[0] == pytest.approx(1e-7)
    assert np.diff(np.log(table["lr"])) == pytest.approx(np.full(len(table) - 1, np.log(1e8) / 99))
    assert table["smoothed_loss"].min() < 0.8 * table["loss"].iloc[0]
    assert np.isfinite(table.to_numpy()).all()
    again = lr_find.sweep(*[(q := ready(tmp_path))[0], q[0].recipe.phases[0], q[1]])
    pd.testing.assert_frame_equal(table, again, check_exact=True)


def test_stages_keep_their_ratios_and_batches_are_accumulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[float]] = []

    class Watched(lr_find.Stepper):
        def batch(self, *given: object, **named: object) -> object:
            seen.append([group["lr"] for group in self.opt.param_groups])
            return super().batch(*given, **named)

    monkeypatch.setattr(lr_find, "Stepper", Watched)
    monkeypatch.setattr(lr_find, "STEPS", 25)
    p, prepared = ready(tmp_path, accumulate=2)
    phase = p.recipe.phases[0].model_copy(update={"lr_factors": {"backbone": 0.1}, "scheduler": "onecycle"})
    table = lr_find.sweep(p, phase, prepared)
    assert len(seen) == 2 * len(table)
    assert seen[0] == seen[1]
    for rates, lr in zip(seen[::2], table["lr"], strict=True):
        assert set(np.round(np.array(rates) / lr, 9)) == {1.0, 0.1}
        assert rates[0] == lr


@pytest.mark.long
def test_the_picture_the_curve_and_the_line_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    p, prepared = ready(tmp_path)
    two = p.recipes["fast"].phases[0]
    phases = [two.model_copy(update={"name": "head", "lr": 1e-2}), two.model_copy(update={"name": "all", "lr": 1e-3})]
    recipe = p.recipes["fast"].model_copy(update={"phases": phases})
    p = p.model_copy(update={"recipes": {"fast": recipe}})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lr_find, "prepare", lambda _: prepared)
    monkeypatch.setattr(lr_find, "suggestion", lambda _: 2e-4)
    lr_find.run(p, "all")
    told = capsys.readouterr().out
    assert told.startswith("phase all of recipe fast: test_resnet at 32 px, frozen: none, on cpu; 100 steps")
    assert "step  10  lr 5.3e-07  loss " in told
    assert "phase all: steepest descent at 0.0002, 1/5 of what it has now, 0.001" in told
    assert "dvc exp run -S train.lr=0.002\n" in told  # train.lr is the recipe's highest: ten times this phase's
    table = pd.read_csv("plots/lr_find.csv")
    assert list(table) == ["lr", "loss", "smoothed_lr", "smoothed_loss"]
    assert imread("plots/lr_find.png").std() > 0.01
    assert not list(tmp_path.glob("plots/.*"))
    with pytest.raises(UserError, match=r"no phase 'al'; did you mean 'all'\?"):
        lr_find.run(p, "al")


def test_no_suggestion_is_said_with_the_picture_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p, prepared = ready(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lr_find, "prepare", lambda _: prepared)
    monkeypatch.setattr(lr_find, "sweep", lambda *_: curve(np.full(100, 0.69)))
    with pytest.raises(UserError, match=r"falls at no learning rate \(see plots/lr_find.png\)"):
        lr_find.run(p)
    assert Path("plots/lr_find.png").is_file()


@pytest.mark.parametrize(
    ("change", "told"),
    [("train.lr", "'train.lr': give KEY=VALUE"), ("train.lr=[", "not YAML"), ("train.lrr=1", "did you mean 'lr'?")],
)
def test_a_change_that_cannot_be_made(change: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["lr-find", "-S", change])
    assert told in capsys.readouterr().err
