"""The arithmetic of the benchmarks: what is extrapolated, who is compared with whom; a target can be missed."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import DEFAULTS
from torch import nn

from landuse.core.errors import UserError
from landuse.core.paths import ANSWERS
from landuse.model import backbones
from landuse.spec.answers import Answers
from landuse.tiles.store import TileStore

_FOLDER = Path(__file__).parents[1] / "benchmarks"
sys.path += [str(_FOLDER), str(_FOLDER / "peers")]  # its programs import each other
_NAMES = ("coarser", "leads", "measured", "task", "workloads")
coarser, leads, measured, task, workloads = map(importlib.import_module, _NAMES)
_spec = importlib.util.spec_from_file_location("report", _FOLDER / "report.py")  # tests/report has the same name
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
    assert leads.total(run("plain")) == 16.0


def test_missing_epochs_count_as_the_median_of_the_later_ones():
    assert leads.total(run("plain", asked=30)) == 16.0 + 27 * 3.0


def test_a_sweep_repeats_the_whole_process():
    assert leads.total(run("plain", asked=10, times=8)) == 8 * (16.0 + 7 * 3.0)


def test_a_wait_for_compiling_counts_apart():
    compiled = run("expert, fp32, compiled", wait=3.0)
    assert leads.total(compiled) == 13.0
    runs = [compiled, compiled | {"wait": 1.0}, run("expert, fp32", wall=15.5)]  # the second finds code in its cache
    assert leads.fastest("W2", runs) == ("expert, fp32, compiled", 14.0)
    assert leads.fastest("W2", runs, waiting=True) == ("expert, fp32", 15.5)


def test_a_wait_for_compiling_is_no_part_of_its_epoch(tmp_path: Path):
    lines = "ready\\ncompiled in 100.0 s\\nepoch 1 accuracy 0.5000"
    found = measured.measure([[sys.executable, "-c", f"print('{lines}')"]], tmp_path, {})
    assert (found.wait, found.accuracy, found.ended) == (100.0, [0.5], "well")
    assert found.epochs[0] < 0


def test_more_tiles_lengthen_epochs_and_neither_start_up_nor_a_peers_warm_up():
    outside = 16.0 - 11.0
    assert leads.total(run("plain"), scale=10) == outside + 2.0 + 10 * 9.0
    assert leads.total(run("landuse"), scale=10) == outside + 10 * 11.0
    assert leads.total(run("expert, fp32"), scale=10) == outside + 10 * 11.0  # it decodes in the first epoch


def test_an_epoch_leaves_out_the_first():
    assert leads.seconds("W1", run("plain", epochs=[50.0, 2.0, 4.0])) == 3.0


def test_time_to_the_goal_is_that_of_the_first_epoch_above_it():
    assert leads.seconds("W5", run("plain")) == 4.0 + 11.0
    assert leads.seconds("W5", run("plain", accuracy=[0.5, 0.98, 0.99])) == 4.0 + 7.0
    assert leads.seconds("W5", run("plain", accuracy=[0.5, 0.6, 0.7])) is None
    assert leads.seconds("W5", run("plain", accuracy=[0.5], epochs=[5.0], ended="late", wall=60.0)) == 60.0


def test_a_peer_that_failed_or_never_got_there_is_not_the_fastest():
    runs = [
        run("plain", ended="failed", epochs=[], accuracy=[], wall=0.1),
        run("timm", accuracy=[0.1, 0.2, 0.3], epochs=[1.0, 1.0, 1.0]),
        run("fastai"),
        run("landuse", epochs=[0.1, 0.1, 0.1]),
    ]
    assert leads.fastest("W5", runs) == ("fastai", 15.0)


@pytest.mark.parametrize(("factor", "said"), [(1.7, "reached"), (1.6, "reached"), (1.5, "**missed**")])
def test_a_target_can_be_missed(factor: float, said: str):
    peers = [run("plain", epochs=[9.0, 3.2, 3.2], peak=900.0), run("timm", epochs=[9.0, 8.0, 8.0])]
    rows = report.checks("W1", result(run("landuse", epochs=[1.0, 3.2 / factor, 3.2 / factor]), *peers))
    assert rows[0][1:] == [f"{factor:.2f} (plain)", "at least 1.6", said]
    assert rows[1][1:] == ["-", "at least 1.4", "not measured"]  # no expert took part


def test_the_smaller_lead_comes_first():
    ours, taught = run("landuse", epochs=[1.0, 2.0, 2.0], held=880.0), run("plain", epochs=[9.0, 8.0, 8.0])
    slow = run("expert, fp32", epochs=[9.0, 3.0, 3.0])
    fast = run("expert, bf16, compiled", epochs=[9.0, 2.5, 2.5], wait=41.0)
    rows = report.checks("W1", result(ours, taught, slow, fast))
    assert [row[0] for row in rows[:2]] == [
        f"W1 landuse: times as fast as {kind}" for kind in (leads.EXPERT, leads.PEER)
    ]
    shown = "1.25 (expert, bf16, compiled), after 41 s of compiling"
    assert rows[0][1:] == [shown, "at least 1.4", "**missed**"]
    assert rows[1][1:] == ["4.00 (plain)", "at least 1.6", "reached"]
    assert rows[2][1:] == ["1.10 (plain)", "at most 1", "**missed**"]  # the first of those who hold least


def test_where_the_whole_process_counts_the_wait_is_told_both_ways():
    rivals = [run("expert, fp32", wall=20.0), run("expert, fp32, compiled", wait=8.0)]
    rows = report.checks("W3", result(run("landuse", wall=10.0), *rivals))
    shown = "0.80 (expert, fp32, compiled), after 8 s of compiling; 1.60 (expert, fp32, compiled) if that counts"
    assert rows[0][1] == shown


def test_who_is_far_behind_its_kind_or_was_stopped_is_not_measured_again():
    runs = [
        run("landuse", epochs=[9.0, 9.0]),
        run("expert, fp32", epochs=[9.0, 2.0]),
        run("expert, bf16", epochs=[9.0, 2.2]),
        run("expert, bf16, channels last", epochs=[9.0, 2.4]),
        run("plain", epochs=[9.0, 5.0]),
        run("timm", epochs=[9.0, 6.0]),
        run("fastai", epochs=[9.0, 5.0], ended="late"),
        run("torchgeo", ended="failed", epochs=[], accuracy=[]),
    ]
    assert leads.in_the_running("W1", runs) == {"landuse", "expert, fp32", "expert, bf16", "plain"}


def test_a_contenders_name_says_what_its_script_is_told():
    (entry,) = workloads.entries("W4", ["expert, fp32, channels last, features once"], 2, "fast")[1:]
    assert entry.peer == ["--freeze", "layer3", "--flips", "--channels-last", "--once"]
    assert (entry.asked, entry.times) == (80, 1)  # eight runs in one process
    (entry,) = workloads.entries("W4", ["timm"], 2, "fast")[1:2]
    assert (entry.asked, entry.times) == (10, 8)


@pytest.mark.long
def test_a_network_in_pieces_computes_the_same_and_freezes_the_stages_that_landuse_does():
    network, own = task.network("efficientnet_lite0", 2).eval(), backbones.build("efficientnet_lite0", 3)
    pixels = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(nn.Sequential(*task.pieces(network).values())(pixels), network(pixels))
    for freeze, count in {"none": 0, "layer1": 2, "layer3": 4, "backbone": 5}.items():
        frozen = [p for name in task.frozen(network, freeze) for p in network.get_submodule(name).parameters()]
        ours = [p for name, p in own.module.named_parameters() if own.stages[name] in backbones.STAGES[:count]]
        assert [p.shape for p in frozen] == [p.shape for p in ours], freeze


def test_all_learn_by_the_same_recipe_to_the_goal():
    (entry,) = workloads.entries("W5", ["fastai"], 2, "quick")[1:]
    assert entry.epochs == 5
    assert entry.peer[-6:] == ["--freeze", "layer1", "--lr", "0.003", "--weight-decay", "0.05"]


def test_a_contender_that_failed_misses_its_target():
    rows = report.checks("W4", result(run("landuse", ended="failed"), run("plain"), run("expert, fp32")))
    assert [row[1:] for row in rows] == [["-", "at least 3", "**missed**"], ["-", "at least 12", "**missed**"]]


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
    assert "| landuse | 3.0 | 3.0-3.0 | 7.00 | 7.00 | - |" in page
    assert "| timm | failed | - |" in page
    tables = [line for line in page.splitlines() if line.startswith("| plain")]
    assert f"| {21 * report.FULL / 1250:,.0f} | 1.00 |" in tables[0]  # at the size of the whole data
    assert "1,000 training and 250 validation tiles" in page


def test_the_probabilities_of_a_labels_classes_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Of the second tile a highway is the likeliest class, and farmland the likeliest label; of the last it is not."""
    content = yaml.safe_load((DEFAULTS / "params.yaml").read_text())
    content["mapping"]["tables"] |= {
        "two": {"City": ["Highway"], "Farmland": ["AnnualCrop", "Pasture"]},
        "more": {"City": ["Highway"], "Water": ["River"]},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    names = ["AnnualCrop", "Forest", "Highway", "Pasture"]
    chances = np.float32([[0.2, 0.1, 0.6, 0.1], [0.3, 0.1, 0.4, 0.2], [0.1, 0.8, 0.1, 1e-3], [0.1, 0.1, 0.5, 0.3]])
    targets, flat = np.array([2, 3, 1, 0]), np.zeros((4, 1), np.float32)
    for part in ("val", "test"):
        logits = np.log(chances)[:, None, None]
        Answers(np.arange(4), targets, logits, flat, flat).save(ANSWERS / f"{part}.npz")
    split = pd.DataFrame({"target": targets, "class": np.take(names, targets)})
    monkeypatch.setattr(coarser, "open_store", lambda: TileStore(np.zeros((4, 8, 8, 3), np.uint8), split, {}))
    monkeypatch.setattr(coarser, "read_split", lambda _: split)
    monkeypatch.setattr(sys, "argv", ["coarser.py", "two"])
    coarser.main()
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("test: 66.67% (") and said[1].endswith("1 of 3 tiles wrong")  # a forest is of no label
    monkeypatch.setattr(sys, "argv", ["coarser.py", "more"])
    with pytest.raises(UserError, match="all classes of more"):
        coarser.main()
