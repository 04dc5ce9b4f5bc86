"""A disk that is full ends what writes in one line, leaves nothing half-written, and the same call works later.

A limit on the size of files stands in for the full disk: its error comes the same way.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import DEFAULTS, ROOT
from PIL import Image
from trained import Workspace

import stages
from landuse import cli, params, tracking
from landuse.core.errors import user_errors
from landuse.data import labels
from stages import RUN

resource = pytest.importorskip("resource", reason="limits of a process are POSIX")

DVC_YAML = yaml.safe_load((DEFAULTS / "dvc.yaml").read_text())


@pytest.fixture
def ready(built: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, as training leaves it."""
    monkeypatch.chdir(tmp_path)
    stages.untracked(monkeypatch)
    monkeypatch.setattr(tracking, "run", lambda *_: nullcontext())
    shutil.copytree(built.path, tmp_path, dirs_exist_ok=True)
    for code in ("src", "stages"):
        (tmp_path / code).symlink_to(ROOT / code)
    return tmp_path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def configured(stage: str, folder: Path) -> params.Params:
    """The params of a stage, for a folder of pictures and a small network."""
    changes: dict[str, Any] = {
        "data": {"source": "folder", "url": str(folder / "mine"), "tile_size": 32},
        "mapping": {"preset": "mine", "tables": {"mine": {"City": ["Highway"], "Farmland": ["Pasture"]}}},
        "model": {"backbone": "test_resnet", "weights": "none", "input_size": 32},
        "train": {"epochs": 1},
        "collapse": {"action": "warn"},
        "evaluate": {"bootstrap": 100},
    }
    content = yaml.safe_load((folder / "params.yaml").read_text())
    for section, keys in changes.items():
        content[section] |= keys
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    if stage == "download":
        for number in range(40):
            pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            file = folder / f"mine/{('Highway', 'Pasture')[number % 2]}/{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
    if stage == "split":
        labels.run(params.load("map_to_binary"))
    if stage == "report":
        stages.finish(folder)
    return params.load(stage)


def stopped_at(size: int, work: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> str:
    """The line with which work ends when files may have so many bytes."""
    with largest_file(size), pytest.raises(SystemExit, match="2"), user_errors():
        work()
    (line,) = capsys.readouterr().err.splitlines()
    assert "run the same command again" in line
    return line


@pytest.mark.long
@pytest.mark.parametrize(
    ("stage", "size", "named"),
    [
        ("download", 50_000, "data/tiles"),
        ("map_to_binary", 1_000, "data/labels.csv"),
        ("split", 1_000, "data/split.csv"),
        ("train", 20_000, "File too large"),
        ("evaluate", 3_000, "models/.answers.part"),
        ("export", 20_000, "models/export"),
        ("report", 9_000, "plots/"),
    ],
)
def test_a_stage_goes_on_when_there_is_space_again(
    ready: Path, stage: str, size: int, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    p = configured(stage, ready)
    before = snapshot(ready)
    assert named in stopped_at(size, lambda: RUN[stage](p), capsys)
    new = {name for name in snapshot(ready) if name not in before and not name.startswith(".landuse/")}
    assert not any(".part" in name for name in new)
    RUN[stage](p)
    outputs = DVC_YAML["stages"][stage]["outs"]
    assert all(Path(out).exists() for out in outputs)


def test_a_scene_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["scene", "out", "--size", "128"]
    assert "out" in stopped_at(100_000, lambda: cli.main(command), capfd)
    assert list(tmp_path.iterdir()) == []
    cli.main(command)
    assert {file.name for file in Path("out").iterdir()} == {"scene.tif", "land_use.tif"}
