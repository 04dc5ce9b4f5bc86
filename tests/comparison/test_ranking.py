"""The comparison as text: it fits, its numbers stand under each other, and it says what a reader has to know."""

import re

import compared as fake
import pytest

from landuse.comparison import ranking
from landuse.comparison.experiments import Experiment
from landuse.comparison.groups import Apart, Group
from landuse.comparison.ranking import Row
from landuse.evaluation.pairs import Difference

LONG = "data.bands=rgb model.backbone=resnet50 train.freeze=layer3 train.recipe=layer4_step train.scheduler=onecycle"


def made(name: str, *accuracies: float, nll: float | None = None) -> Group:
    def member(i: int, accuracy: float) -> Experiment:
        metrics = {"accuracy": accuracy, "macro_f1": accuracy - 0.001, "val_macro_f1": 0.9}
        metrics |= {} if nll is None else {"nll": nll + accuracy / 100}
        return fake.made(f"{name}-{i}", i, "", {}, metrics)

    return Group(name, tuple(member(i, accuracy) for i, accuracy in enumerate(accuracies)))


def row(group: Group, *ends: float) -> Row:
    found = Difference(*ends) if ends else None
    return Row(group, 2325, found and {"macro_f1": found, "accuracy": found})


ROWS = [
    row(made(LONG, 0.9912, 0.9930, nll=0.05), 0.0042, 0.0011, 0.0073),
    row(made("train.freeze=none", 1.0, 0.8, nll=0.05)),
    row(made("train.freeze=" + 60 * "x", 0.5), -0.49, -0.52, -0.46),
]
APART = [Apart(made("a|b", 0.7, 0.8, nll=0.3), "its seeds were measured on different test tiles")]


def test_the_table_fits_a_terminal_and_numbers_are_right_aligned() -> None:
    lines = ranking.text(ROWS, APART, {"failed": 2, "queued": 1}, "as asked", markdown=False).splitlines()
    assert max(map(len, lines)) <= 120
    assert [line.rstrip() for line in lines] == lines
    first, second = (next(line for line in lines if cell in line) for cell in ("99.21 ± 0.13", "90.00 ± 14.14"))
    assert first.index("99.21 ± 0.13") + len("99.21 ± 0.13") == second.index("90.00 ± 14.14") + len("90.00 ± 14.14")
    assert first.endswith("0.060 ± 0.000             +0.42  better")
    below = lines[lines.index(first) + 1]
    ends = ["98.07 to 100.00", "97.97 to 100.00", "0.060 to 0.060", "+0.11 to +0.73"]  # t of one degree: 12.7
    assert re.split(" {2,}", below)[1:] == ends
    assert "reference" in second
    assert lines[-1] == "Left out: 2 failed, 1 queued."
    assert " ".join(line.split("  ")[0] for line in lines[2:7]) == LONG  # wrapped


def test_what_cannot_be_compared_stands_apart_with_the_reason() -> None:
    shown = ranking.text(ROWS, APART, {}, "as asked", markdown=False)
    compared, apart = shown.split("Not comparable with these:")
    assert "a|b" not in compared
    assert "75.00 ± 7.07" in apart
    assert "because" in apart
    only = ranking.text([], APART, {}, "as asked", markdown=False)
    assert only.startswith("Nothing that can be compared:")


def test_markdown_is_one_table_with_every_cell_on_one_line() -> None:
    shown = ranking.text(ROWS, APART, {}, "the best", markdown=True)
    rows = [line for line in shown.splitlines() if line.startswith("|")]
    assert f"| {LONG} |" in rows[2]
    assert "| 99.21 ± 0.13<br>98.07 to 100.00 |" in rows[2]
    assert r"a\|b" in rows[-1]
    assert "- reference: train.freeze=none, the best" in shown
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows[:5]} == {8}


def test_the_notes_say_what_the_numbers_need() -> None:
    one_seed = "one seed says little"
    assert one_seed in ranking.text(ROWS, [], {}, "", markdown=False)
    several = ranking.text(ROWS[:2], [], {}, "", markdown=False)
    assert one_seed not in several
    assert "same 2,325 test tiles" in several
    assert "mean's interval by Student's t (95 % interval)" in " ".join(several.split())
    assert "interval over test tiles" not in several


def test_a_cross_validation_is_one_row_of_folds() -> None:
    def member(fold: int, seed: int, accuracy: float) -> Experiment:
        measured = {"accuracy": accuracy, "macro_f1": accuracy}
        return fake.made(f"{fold}-{seed}", seed, str(fold), {"split.folds": "5"}, measured)

    folds = Group("kfold", tuple(member(i, 1, 0.9 + i / 100) for i in range(5)))
    some = Group("some", tuple(member(i, seed, 0.8 + i / 100) for i in range(3) for seed in (1, 2)))
    shown = ranking.text([row(folds), row(some, -0.1, -0.2, 0.0)], [], {}, "as asked", markdown=False)
    assert "5 folds" in shown
    assert "3 of 5 folds x 2" in shown
    assert "92.00 ± 1.58" in shown
    half = 2.776445 * 1.581139 * (1 / 5 + 1 / 4) ** 0.5  # Nadeau and Bengio
    assert f"{92 - half:.2f} to {92 + half:.2f}" in shown
    assert "Nadeau and Bengio" in shown
    assert "Student" not in shown


def test_the_frame_holds_fractions_and_every_group() -> None:
    frame = ranking.frame(ROWS, APART)
    assert list(frame["verdict"])[:3] == ["better", "reference", "worse"]
    assert frame["verdict"][3].startswith("not comparable: ")
    assert frame["macro_f1_difference"][0] == 0.0042
    assert frame["macro_f1_difference"].isna().tolist() == [False, True, False, True]
    assert frame["seeds"].tolist() == [2, 2, 1, 2]
    assert frame["accuracy_deviation"][0] == pytest.approx(0.0018 / 2**0.5)
    assert (frame["accuracy_low"][0], frame["accuracy_high"][0]) == pytest.approx((0.9921 - 12.7062 * 0.0009, 1.0))
    assert frame["accuracy_over"].tolist() == ["seeds", "seeds", "tiles", "seeds"]


@pytest.mark.parametrize(
    ("gains", "told"),
    [
        ([-0.03, 0.01], "accuracy 90.00 %; the reference has -1.00 points on it (-26.41 to +24.41)"),
        ([], "reference: g, as asked"),
    ],
)
def test_the_reference_stands_beside_band_statistics(gains: list[float], told: str) -> None:
    """A network may lose to them: the interval, Student's t with one degree of freedom, goes below zero."""
    members = [
        fake.made(f"g-{seed}", seed, "", {}, {"macro_f1": 0.9, "band_statistics.accuracy": 0.9} | of)
        for seed, of in enumerate([{"band_statistics.gain": gain} for gain in gains] or [{}])
    ]
    rows = [row(Group("g", tuple(members)))]
    assert told in " ".join(ranking.text(rows, [], {}, "as asked", markdown=False).split())
    (told_in_file,) = ranking.frame(rows, [])["band_statistics.gain_low"]
    assert told_in_file == (pytest.approx(-0.2641, abs=1e-4) if gains else pytest.approx(float("nan"), nan_ok=True))
