"""A disk that is full ends what writes in one line, leaves nothing half-written, and the same call works later.

A limit on the size of files stands in for the full disk: its error comes the same way. The stages before these two are
in test_bad_input.py, each in a process of its own.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from trained import build, spec

from landuse import cli, params, tracking
from landuse.core.errors import user_errors
from landuse.evaluation import stage as evaluation
from landuse.export import stage as export

resource = pytest.importorskip("resource", reason="limits of a process are POSIX")


@pytest.fixture
def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, as training leaves it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "check", lambda _: None)
    monkeypatch.setattr(tracking, "track", lambda *_, **__: "")
    build(tmp_path, spec())
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
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def stopped_at(size: int, work: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> str:
    """The line with which work ends when files may have so many bytes."""
    with largest_file(size), pytest.raises(SystemExit, match="2"), user_errors():
        work()
    (line,) = capsys.readouterr().err.splitlines()
    assert "run the same command again" in line
    return line


@pytest.mark.long
@pytest.mark.parametrize(
    ("stage", "size", "named"), [("evaluate", 9_000, "plots/"), ("export", 20_000, "models/export")]
)
def test_a_stage_goes_on_when_there_is_space_again(
    ready: Path, stage: str, size: int, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    p = params.load(stage)
    if stage == "evaluate":
        p = p.model_copy(update={"evaluate": p.evaluate.model_copy(update={"bootstrap": 50})})
    run = {"evaluate": evaluation.run, "export": export.run}[stage]
    before = snapshot(ready)
    assert named in stopped_at(size, lambda: run(p), capsys)
    new = {name for name in snapshot(ready) if name not in before}
    assert not any(".part" in name for name in new)
    run(p)
    assert json.loads(Path(f"reports/{stage}.json").read_text())


def test_a_scene_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["scene", "out", "--size", "128"]
    assert "out" in stopped_at(100_000, lambda: cli.main(command), capfd)
    assert list(tmp_path.iterdir()) == []
    cli.main(command)
    assert {file.name for file in Path("out").iterdir()} == {"scene.tif", "land_use.tif"}
