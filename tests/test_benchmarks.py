"""The arithmetic of the benchmarks: what is extrapolated, who is compared with whom; a target can be missed."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_FILE = Path(__file__).parents[1] / "benchmarks/report.py"
_spec = importlib.util.spec_from_file_location("report", _FILE)
assert _spec is not None and _spec.loader is not None
report = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(report)


def run(contender: str, **changes: Any) -> dict[str, Any]:
    base = {"ready": 4.0, "epochs": [5.0, 2.0, 4.0], "accuracy": [0.5, 0.97, 0.99], "wall": 16.0, "peak": 1000.0}
    base |= {"held": 800.0, "ended": "well", "asked": 3, "times": 1, "copies": 1, "repetition": 0}
    return base | {"contender": contender} | changes


def result(*runs: dict[str, Any]) -> dict[str, Any]:
    setting = {"train": 1000, "val": 250, "classes": 2, "data": "simulated tiles", "threads": "1"}
    machine = {"cpu": "a CPU", "cores": 2, "memory_gib": 8}
    return {"setting": setting, "machine": machine, "revision": "abc", "versions": {"torch": "2"}, "runs": list(runs)}


def test_what_was_measured_in_full_is_not_extrapolated():
    assert report.total(run("plain")) == 16.0


def test_missing_epochs_count_as_the_median_of_the_later_ones():
    assert report.total(run("plain", asked=30)) == 16.0 + 27 * 3.0


def test_a_sweep_repeats_the_whole_process():
    assert report.total(run("plain", asked=10, times=8)) == 8 * (16.0 + 7 * 3.0)


def test_more_tiles_lengthen_epochs_and_neither_start_up_nor_a_peers_warm_up():
    outside = 16.0 - 11.0
    assert report.total(run("plain"), scale=10) == outside + 2.0 + 10 * 9.0
    assert report.total(run("landuse"), scale=10) == outside + 10 * 11.0


def test_an_epoch_leaves_out_the_first():
    assert report.seconds("W1", run("plain", epochs=[50.0, 2.0, 4.0])) == 3.0


def test_time_to_the_goal_is_that_of_the_first_epoch_above_it():
    assert report.seconds("W5", run("plain")) == 4.0 + 11.0
    assert report.seconds("W5", run("plain", accuracy=[0.5, 0.98, 0.99])) == 4.0 + 7.0
    assert report.seconds("W5", run("plain", accuracy=[0.5, 0.6, 0.7])) is None
    assert report.seconds("W5", run("plain", accuracy=[0.5], epochs=[5.0], ended="late", wall=60.0)) == 60.0


def test_a_peer_that_failed_or_never_got_there_is_not_the_fastest():
    runs = [
        run("plain", ended="failed", epochs=[], accuracy=[], wall=0.1),
        run("timm", accuracy=[0.1, 0.2, 0.3], epochs=[1.0, 1.0, 1.0]),
        run("fastai"),
        run("landuse", epochs=[0.1, 0.1, 0.1]),
    ]
    assert report.fastest_peer("W5", runs) == ("fastai", 15.0)


@pytest.mark.parametrize(("factor", "said"), [(1.7, "reached"), (1.6, "reached"), (1.5, "**missed**")])
def test_a_target_can_be_missed(factor: float, said: str):
    peers = [run("plain", epochs=[9.0, 3.2, 3.2], peak=900.0), run("timm", epochs=[9.0, 8.0, 8.0])]
    rows = report.checks("W1", result(run("landuse", epochs=[1.0, 3.2 / factor, 3.2 / factor]), *peers))
    assert rows[0][1:] == [f"{factor:.2f} (plain)", "at least 1.6", said]
    assert rows[1][1:] == ["1.11", "at most 1", "**missed**"]  # beside the most frugal peer


def test_a_contender_that_failed_misses_its_target():
    rows = report.checks("W3", result(run("landuse", ended="failed"), run("plain")))
    assert rows == [["W3 landuse: times as fast as the fastest peer", "-", "at least 10", "**missed**"]]


def test_a_stopped_peer_gives_a_lower_bound():
    late = run("plain", accuracy=[0.5], epochs=[5.0], ended="late", wall=75.0)
    rows = report.checks("W5", result(run("landuse"), late))
    assert rows[0][1:] == ["more than 5.00 (plain)", "at least 4", "reached"]
    assert rows[1][1:] == ["15", "under 180", "reached"]


def test_scaling_compares_the_most_copies_with_the_fewest():
    many = run("landuse", copies=16, epochs=[9.0, 16 * 3.6, 16 * 3.6], held=840.0)
    rows = report.checks("W6", result(run("landuse", epochs=[9.0, 3.0, 3.0]), many, run("plain")))
    assert [row[1:] for row in rows] == [["1.20", "at most 1.1", "**missed**"], ["1.05", "at most 1.1", "reached"]]


def test_w5_says_how_fast_the_machine_itself_was():
    page = report.render({"W5": result(*(run("landuse", calibration=speed) for speed in (300.0, 340.0, 310.0)))})
    assert "the machine itself, before each run: 310 tiles/s (300 to 340) of `calibration.py`" in page
    assert "calibration" not in report.render({"W5": result(run("landuse"))})


def test_the_page_shows_every_contender_also_one_that_failed():
    runs = [run("landuse"), run("plain", epochs=[30.0, 20.0, 22.0]), run("timm", ended="failed")]
    page = report.render({"W1": result(*runs), "W6": result(run("landuse"), run("landuse", copies=16), run("plain"))})
    assert "| landuse | 3.0 | 3.0-3.0 | 7.00 |" in page
    assert "| timm | failed | - |" in page
    tables = [line for line in page.splitlines() if line.startswith("| plain")]
    assert f"| {21 * report.FULL / 1250:,.0f} | 1.00 |" in tables[0]  # at the size of the whole data
    assert "1,000 training and 250 validation tiles" in page
