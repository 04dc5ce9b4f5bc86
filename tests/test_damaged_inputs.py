"""A damaged input of a stage or command: one line that names it and the remedy, exit code 2, and nothing is written.

Every stage and command meets every file that it reads missing, empty, cut, with a byte flipped, of another version and
unreadable. It may also go on where damage still makes sense. Inputs are checked before any work: here the work starts
where MLflow, the last input, is opened.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml
from conftest import ROOT
from trained import build, spec
from workspace import clean_environment

import stages
from landuse import cli, params
from landuse.cli import pipeline
from landuse.comparison import experiments
from landuse.core.errors import user_errors
from landuse.core.paths import LABELS
from landuse.data import labels
from landuse.data.splits import stage as splits
from landuse.report import explain
from landuse.tracking import outputs, store
from landuse.tuning import lr_find, search, speed

pytestmark = pytest.mark.long

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
RUN = {name: run for name, run in stages.RUN.items() if name != "download"}  # which reads no output
LEARNS = ["data/tiles", "data/split.csv"]
READS = {  # by the commands; what compare, cache and repair read is damaged in their own tests
    "summary": ["reports/evaluate.json", "models/model/model.json"],
    "track": ["models/model/model.json", "plots/history.csv", "reports/split.json", "metrics/train.json"],
    "lr-find": LEARNS,
    "speed": LEARNS,
    "tune": LEARNS,
}
UNREAD = {"quarantine.csv"}  # for people
TABLES = ("index", "history", "reliability", "abstention", "curves")
MAY_PASS = {(f"{name}.csv", "other types") for name in TABLES}  # a table may be shorter


class Reached(Exception):
    """All inputs were accepted."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a finished pipeline leaves it, with a small network."""
    folder = tmp_path_factory.mktemp("made")
    build(folder, spec())
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["mapping"] |= {"preset": "mine", "tables": {"mine": {"City": ["Highway"], "Farmland": ["Pasture"]}}}
    content["model"] |= {"backbone": "test_resnet", "weights": "none", "input_size": 32}
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    with chdir(folder):
        labels.run(params.load("map_to_binary"))
    stages.finish(folder)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the current folder, where nothing goes on beyond the inputs."""

    def reached(*_: object) -> None:
        raise Reached

    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "DVC_"))]:
        monkeypatch.delenv(name)
    for code in ("src", "stages"):
        (tmp_path / code).symlink_to(ROOT / code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store, "open_store", reached)
    monkeypatch.setattr(splits, "_deal", reached)
    monkeypatch.setattr(outputs, "up_to_date", lambda: STAGES)
    monkeypatch.setattr(search, "open_study", reached)
    monkeypatch.setattr(explain, "write", reached)
    monkeypatch.setattr(search, "check", lambda *_: None)  # of the space: it takes longer than all the rest
    for room, work in ((lr_find, "sweep"), (speed, "measure")):
        monkeypatch.setattr(room, work, reached)
    return tmp_path


def call(name: str) -> None:
    if name in READS:
        cli.main([name])
    else:
        with user_errors():
            RUN[name](params.load(name))


def read_by(name: str) -> list[str]:
    return READS.get(name) or [dep for dep in STAGES[name]["deps"] if not dep.startswith(("src/", "stages/"))]


def files(folder: Path, name: str) -> Iterator[Path]:
    for path in map(Path, read_by(name)):
        inside = sorted(f.relative_to(folder) for f in (folder / path).rglob("*") if f.is_file())
        yield from inside or [path]


# -- ways to damage a file: each takes it away or changes it, and returns nothing


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def folder_in_its_place(file: Path) -> None:
    file.unlink()
    file.mkdir()


def flip(file: Path, share: float, bit: int = 1) -> None:
    content = bytearray(file.read_bytes())
    content[int(share * (len(content) - 1))] ^= 1 << bit
    file.write_bytes(content)


def other_version(file: Path) -> None:
    """What is whole, but says something else than this version expects."""
    if file.suffix == ".json":
        file.write_text(json.dumps({f"{key}_2": value for key, value in json.loads(file.read_text()).items()}))
    elif file.suffix == ".csv":
        pd.read_csv(file).rename(columns=lambda name: f"{name}_2").to_csv(file, index=False)
    elif file.suffix == ".npy":
        np.save(file, np.load(file).astype(np.uint16))
    else:
        file.write_bytes(safetensors.torch.save({"weight": torch.zeros(3)}))


def other_types(file: Path) -> None:
    """JSON of the same keys with other values; a table without its last row."""
    if file.suffix == ".json":
        file.write_text(json.dumps(dict.fromkeys(json.loads(file.read_text()), "x")))
    elif file.suffix == ".csv":
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    elif file.suffix == ".npz":
        with np.load(file) as arrays:
            np.savez(file, **{name: array.astype(np.int16) for name, array in arrays.items()})
    else:
        file.write_bytes(file.read_bytes() + b"\0")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "empty": empty,
    "cut": cut,
    "a folder": folder_in_its_place,
    "another version's": other_version,
    "other types": other_types,
    **{f"byte at {share} flipped": partial(flip, share=share) for share in (0, 0.2, 0.5, 1)},
}


def state(folder: Path) -> dict[Path, tuple[int, int]]:
    found = {file: file.stat() for file in folder.rglob("*") if ".landuse" not in file.parts and file.is_file()}
    return {file: (stat.st_size, stat.st_mtime_ns) for file, stat in found.items()}


def outcome(name: str, file: Path, capsys: pytest.CaptureFixture[str]) -> str | None:
    """None where the stage or command went on; else its one line, after which everything is as it was."""
    before = state(Path.cwd())
    capsys.readouterr()
    try:
        call(name)
    except Reached:
        return None
    except SystemExit as end:
        line = capsys.readouterr().err
        assert end.code == 2
        assert line.count("\n") == 1 and line.startswith("landuse: error: "), line
        assert str(file) in line or str(file.parent) in line, line
        assert state(Path.cwd()) == before
        return line
    return None


@pytest.mark.parametrize("name", [*RUN, *READS])
def test_every_damaged_input_is_named_with_the_remedy(
    here: Path, made: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert outcome(name, Path(), capsys) is None, "whole inputs are taken"
    shutil.copy(made / LABELS, LABELS)
    for file in list(files(here, name)):
        for kind in DAMAGES if name in RUN else ("missing", "cut", "byte at 0.5 flipped"):
            DAMAGES[kind](file)
            line = outcome(name, file, capsys)
            shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
            for each in (file, LABELS):
                shutil.copy(made / each, each)
            assert line is None or "dvc repro" in line
            absent = (name, kind) == ("track", "missing")  # what is not there is not logged
            may_pass = file.name in UNREAD or absent or (file.name, kind) in MAY_PASS or "flipped" in kind
            assert line or may_pass, (file, kind)
            assert line or file.name not in ("images.npy", "split.csv"), (file, kind)


@pytest.mark.parametrize("name", [*RUN, *READS])
@pytest.mark.parametrize(("number", "told"), [(errno.EACCES, "permission"), (errno.EIO, "dvc repro")])
def test_what_the_system_does_not_give_is_named(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusing(original: Callable[..., object], bad: Path) -> Callable[..., object]:
        def opened(path: Path, *args: object, **kwargs: object) -> object:
            if path.resolve() == bad:
                raise OSError(number, os.strerror(number), str(path))
            return original(path, *args, **kwargs)

        return opened

    for file in files(here, name):
        with monkeypatch.context() as patch:
            for method in ("open", "read_bytes", "read_text"):
                patch.setattr(Path, method, refusing(getattr(Path, method), here / file))
            line = outcome(name, file, capsys)
        assert (line and told in line) or file.name in UNREAD, f"{name} takes {file}"


def test_every_stage_and_command_is_damaged_here_or_reads_no_output() -> None:
    assert {*RUN, "download"} == set(STAGES)
    assert {*READS, "compare", "cache", "repair"} == set(pipeline.COMMANDS)


def flipped(file: Path, step: int) -> Iterator[None]:
    """Damage every so manieth byte of a file, one after the other."""
    whole = file.read_bytes()
    for place in range(0, len(whole), step):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 7]) + whole[place + 1 :])
        yield
    file.write_bytes(whole)


@pytest.mark.usefixtures("here")
def test_compare_says_which_file_of_the_workspace_is_damaged() -> None:
    made = {"outs": [{"path": path, "md5": "0"} for path in ("data/tiles", experiments.PREDICTIONS)]}
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"evaluate": made}}))

    def read() -> experiments.Experiment | str:
        files = experiments.Files(lambda path: Path(path).read_bytes(), lambda _: None)
        return experiments.result("workspace", files)

    assert isinstance(read(), experiments.Experiment)
    for name in ("dvc.lock", "metrics/evaluate.json", "metrics/train.json"):
        whole = Path(name).read_bytes()
        for damage in (empty, cut):
            damage(Path(name))
            assert read() == f"with a damaged {name}"
            Path(name).write_bytes(whole)
        for _ in flipped(Path(name), 13):
            assert isinstance(read(), experiments.Experiment | str)


def test_in_a_process_of_its_own_it_is_one_line_too(here: Path) -> None:
    """And from a subfolder."""
    (here / "reports/evaluate.json").write_text("{")
    done = subprocess.run(
        [Path(sys.executable).with_name("landuse"), "summary"], cwd=here / "plots", env=clean_environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "reports/evaluate.json is damaged" in done.stderr
    assert "remove it and run 'dvc repro evaluate'" in done.stderr
