"""How landuse map runs: ended, in several processes, on a cluster; and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import PATIENCE
from exported import write_model
from land import CITY, HOLE, mapped, scene, texture
from test_full_disk import largest_file

from landuse import sensors
from landuse.core.errors import UserError, user_errors
from landuse.inference.map import grid, workers
from landuse.inference.map.answers import Block, Task, answer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "export"
    write_model(folder, sensors.RGB, "uint16")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the one that names the folder."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "stac.json"}


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()} if folder.is_dir() else set()


@dataclass
class Answering:
    """Answers for blocks until none is left to answer, then ends the run."""

    left: int
    answered: int = 0

    def __call__(self, task: Task, first: tuple[int, int]) -> Block:
        if not self.left:
            raise KeyboardInterrupt
        self.left, self.answered = self.left - 1, self.answered + 1
        return answer(task, first)


@pytest.fixture
def ended(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> Answering:
    """A run over scene.tif that ended after five of 16 blocks; it may answer for more now."""
    monkeypatch.setattr(grid, "_BLOCK", 128)
    answering = Answering(5)
    monkeypatch.setattr(workers, "answer", answering)
    path = scene(tmp_path / "scene.tif", texture(400, 400))
    with pytest.raises(KeyboardInterrupt):
        mapped(path, tmp_path / "map", model)
    assert not (tmp_path / "map").exists()
    answering.left = 100
    return answering


def test_a_run_that_was_ended_goes_on(tmp_path: Path, model: Path, ended: Answering) -> None:
    mapped(str(tmp_path / "scene.tif"), tmp_path / "map", model)
    assert ended.answered == 16
    whole = mapped(str(tmp_path / "scene.tif"), tmp_path / "whole", model)
    assert contents(tmp_path / "map") == contents(whole)
    assert names(tmp_path) == {"scene.tif", "map", "whole"}


def test_blocks_of_other_options_are_not_used(tmp_path: Path, model: Path, ended: Answering) -> None:
    mapped(str(tmp_path / "scene.tif"), tmp_path / "map", model, min_valid=0.9)
    assert ended.answered == 5 + 16


@pytest.mark.long
def test_several_processes_write_the_same_bytes(tmp_path: Path, model: Path) -> None:
    path = scene(tmp_path / "scene.tif", texture(2100, 1100))
    alone = mapped(path, tmp_path / "alone", model)
    together = mapped(path, tmp_path / "together", model, workers=3)
    assert contents(alone) == contents(together)


@pytest.mark.long
def test_processes_end_with_a_run_that_was_killed(tmp_path: Path, model: Path) -> None:
    """SIGKILL in the middle: no process stays, and the same command goes on to the same bytes."""
    path = scene(tmp_path / "scene.tif", texture(3000, 3000))
    command = [sys.executable, "-c", "from landuse.cli import main; main()", "map", path, "--model", str(model)]
    command += ["--out", str(tmp_path / "map"), "--workers", "2", "--stride", "64", "--offset", "0"]
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    blocks = tmp_path / ".map.blocks"
    _wait(lambda: len(list(blocks.glob("*.npz"))) > 1 or run.poll() is not None)
    children = psutil.Process(run.pid).children(recursive=True)
    assert len(children) >= 2
    run.kill()
    run.wait()
    _wait(lambda: not any(child.is_running() and child.status() != "zombie" for child in children))
    assert not (tmp_path / "map").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert contents(tmp_path / "map") == contents(mapped(path, tmp_path / "whole", model, stride=64))


def _wait(done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.long
def test_a_cluster_writes_the_same_bytes_though_a_worker_is_killed(tmp_path: Path, model: Path) -> None:
    import distributed  # here as below: each worker of pytest would load it, for this test alone

    path = scene(tmp_path / "scene.tif", texture(3000, 3000))
    with distributed.LocalCluster(n_workers=3, threads_per_worker=2, dashboard_address=None) as cluster:
        with distributed.Client(cluster.scheduler_address) as client:
            pids = client.run(os.getpid)
        assert len(set(pids.values())) == 3
        killer = threading.Thread(target=_kill_after_two_blocks, args=(tmp_path / ".map.blocks", min(pids.values())))
        killer.start()
        mapped(path, tmp_path / "map", model, scheduler=cluster.scheduler_address, stride=64)
        killer.join()
    assert contents(tmp_path / "map") == contents(mapped(path, tmp_path / "alone", model, stride=64))


def _kill_after_two_blocks(blocks: Path, pid: int) -> None:
    _wait(lambda: len(list(blocks.glob("*.npz"))) > 1)
    os.kill(pid, signal.SIGKILL)


def refused(match: str, path: str, out: Path, model: Path, **options: Any) -> None:
    before = names(out.parent)
    with pytest.raises(UserError, match=match):
        mapped(path, out, model, **options)
    assert names(out.parent) == before


def test_what_cannot_be_mapped_is_refused(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_PATIENCE", 0.1)
    path = scene(tmp_path / "scene.tif", np.full((64, 64), CITY))
    refused("is there already", path, tmp_path, model)
    refused("is a file", path, tmp_path / "scene.tif" / "map", model)
    refused("strides of 64, 32, 16", path, tmp_path / "map", model, stride=48)
    refused("no Dask scheduler answers", path, tmp_path / "map", model, scheduler="tcp://127.0.0.1:9")
    refused("no Dask scheduler answers", path, tmp_path / "map", model, scheduler="here")
    small = scene(tmp_path / "small.tif", np.full((300, 63), CITY))
    refused("300 x 63 pixels, a tile of the model 64 a side", small, tmp_path / "map", model)
    empty = scene(tmp_path / "empty.tif", np.full((128, 128), HOLE))
    refused("no data in band 1", empty, tmp_path / "map", model)
    land = texture(128, 128)
    land[:, ::2] = land[::4] = HOLE
    sparse = scene(tmp_path / "sparse.tif", land)
    refused("no cell of .* has data", sparse, tmp_path / "map", model)


def test_a_map_of_too_many_cells_is_refused() -> None:
    with pytest.raises(UserError, match="cut the scene"):
        grid.CellGrid.over(1_000_000, 1_000_000, 64, 32)


def test_a_folder_of_two_models_is_refused(tmp_path: Path, model: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(model, mixed)
    spec = json.loads((mixed / "model.json").read_text())
    (mixed / "model.json").write_text(json.dumps(spec | {"identity": "2" * 64}))
    path = scene(tmp_path / "scene.tif", np.full((64, 64), CITY))
    refused("different models", path, tmp_path / "map", mixed)


@pytest.mark.parametrize("size", [4_000, 60_000], ids=["in a block", "in a file of the map"])
def test_a_full_disk_is_told_in_a_line_and_the_same_command_goes_on(
    tmp_path: Path, model: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scene(tmp_path / "scene.tif", texture(128, 128))
    with largest_file(size), pytest.raises(SystemExit) as end, user_errors():
        mapped(path, tmp_path / "map", model)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "File too large" in told
    assert names(tmp_path) == {"scene.tif", ".map.blocks"}
    mapped(path, tmp_path / "map", model)
    assert names(tmp_path) == {"scene.tif", "map"}
