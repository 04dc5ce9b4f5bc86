"""Results over a numeric param: one series for each set of other settings, and what it answers."""

from pathlib import Path

import numpy as np
import pytest
from compared import experiment, made, predictions, settings_group
from matplotlib import image

from landuse.comparison import curve
from landuse.comparison.groups import Group
from landuse.core.errors import UserError
from landuse.report.figures.files import save_figure

BY = "data.fraction"


def sweep(seeds: int = 3, **settings: str) -> list[Group]:
    skills = {"1.0": 0.96, "0.01": 0.75, "0.1": 0.9, "0.5": 0.959}
    moved = [i * 0.004 for i in range(seeds)]
    return [
        settings_group(f"f{written}", [skill + by for by in moved], data__fraction=written, **settings)
        for written, skill in skills.items()
    ]


def test_points_are_sorted_by_number_and_compared_with_the_largest() -> None:
    (series,), left_out = curve.trace(BY, sweep())
    assert [point.written for point in series.points] == ["0.01", "0.1", "0.5", "1.0"]
    assert left_out == 0
    verdicts = [point.differences and point.differences["macro_f1"].verdict for point in series.points]
    assert verdicts == ["worse", "worse", "tie", None]
    shown = curve.text(BY, [series], 0, "written: x", markdown=False)
    assert "from data.fraction=0.5 on, no result can be told apart from that of 1.0" in shown
    assert "interval by Student's t" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 120


def test_other_settings_are_other_series_and_what_is_in_none_is_counted() -> None:
    other = settings_group("alone", [0.9], data__fraction="1.0", train__freeze="layer3")
    tiles = settings_group("other-tiles", [0.9], 500, data__fraction="0.2", train__freeze="none")
    null = settings_group("null", [0.9], data__fraction="null", train__freeze="none")
    both = [*sweep(1, train__freeze="none"), *sweep(1, train__freeze="backbone"), other, tiles, null]
    series, left_out = curve.trace(BY, both)
    assert [each.name for each in series] == ["train.freeze=backbone", "train.freeze=none"]
    assert left_out == 3
    shown = curve.text(BY, series, left_out, "", markdown=True)
    assert "### train.freeze=none" in shown
    assert "Left out: 3 other settings" in shown
    assert "the interval over test tiles" in shown  # one seed


def test_the_table_has_the_baseline_beside_every_point() -> None:
    series, _ = curve.trace(BY, sweep())
    frame = curve.frame(BY, series)
    assert frame[BY].tolist() == [0.01, 0.1, 0.5, 1.0]
    assert frame["seeds"].tolist() == [3] * 4
    assert frame["band_statistics.macro_f1"].tolist() == [0.7] * 4
    assert frame["band_statistics.macro_f1_low"].tolist() == [0.68] * 4
    assert (frame["macro_f1_low"] < frame["macro_f1"]).all()
    assert set(frame["macro_f1_over"]) == {"seeds"}


def test_a_param_that_cannot_be_drawn_is_one_line() -> None:
    with pytest.raises(UserError, match=r"a number for 'data.fractoin'; did you mean 'data.f"):
        curve.trace("data.fractoin", sweep())
    with pytest.raises(UserError, match=r"differ in data.fraction alone \(found 1.0\): make some with dvc exp run --q"):
        curve.trace(BY, sweep()[:1])
    with pytest.raises(UserError, match=r"has a number for 'train.freeze'"):
        curve.trace("train.freeze", sweep(train__freeze="none"))


@pytest.mark.long
def test_the_picture_is_written_in_the_same_bytes_twice(tmp_path: Path) -> None:
    series, _ = curve.trace(BY, [*sweep(train__freeze="none"), *sweep(1, train__freeze="backbone")])
    save_figure(curve.draw(BY, series), tmp_path / "a.png")
    save_figure(curve.draw(BY, series), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    drawn = image.imread(tmp_path / "a.png")
    assert drawn.shape[1] > 1000
    for colour in (0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77), (0x77, 0x77, 0x77):  # both series and the baseline
        assert (np.abs(drawn[..., :3] * 255 - colour).max(axis=2) < 2).sum() > 50


def test_it_works_without_a_baseline_and_on_a_linear_axis_from_zero(tmp_path: Path) -> None:
    def point(written: str, accuracy: float) -> Group:
        one = experiment(accuracy=accuracy, train__weight=written)
        bare = {key: value for key, value in one.metrics.items() if not key.startswith("band")}
        return Group(written, (made("main", 1, "", dict(one.settings), bare),), (predictions([1, 0]),))

    series, _ = curve.trace("train.weight", [point("0", 0.9), point("0.5", 0.9)])
    save_figure(curve.draw("train.weight", series), tmp_path / "a.png")
    assert np.isnan(curve.frame("train.weight", series)["band_statistics.accuracy"]).all()
    assert "nan" not in curve.text("train.weight", series, 0, "", markdown=False)
