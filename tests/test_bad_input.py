"""A newcomer's mistakes: one clear line, exit code 2, nothing half-written.

In process; four run as DVC runs them, each stage in a process of its own.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import DEFAULTS, ROOT
from PIL import Image
from workspace import clean_environment

from landuse import params, sensors
from landuse.core.errors import user_errors
from landuse.core.paths import TILES
from landuse.data import labels, writer
from landuse.data.sources.collection import Collection, Tile
from landuse.data.sources.sample.landscape import CLASSES
from landuse.data.splits import stage as splits
from landuse.training import stage as training

RUN = {"download": writer.run, "map_to_binary": labels.run, "split": splits.run, "train": training.run}


def noise(seed: int, height: int = 16, width: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tiles of the ten classes, mapped and split."""
    folder = tmp_path_factory.mktemp("made")
    names = sorted(f"{name}/{number}.png" for name in CLASSES for number in range(8))
    source = Collection(
        source="sample",
        names=names,
        read=lambda name: Tile(noise(names.index(name)), hashlib.sha256(name.encode()).hexdigest()),
        bands=sensors.RGB,
        size=16,
        dtype=np.dtype(np.uint8),
        units=sensors.RGB_UNITS,
        licence="none",
    )
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(DEFAULTS / name, folder)
    for code in ("src", "stages"):
        (folder / code).symlink_to(ROOT / code)
    writer.write(folder / TILES, source)
    before = Path.cwd()
    os.chdir(folder)
    for stage in ("map_to_binary", "split"):
        RUN[stage](params.load(stage))
    os.chdir(before)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the current folder."""
    folder = tmp_path / "here"
    shutil.copytree(made, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def change(**keys: object) -> None:
    """Change params.yaml; dots are written as double underscores."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    for key, value in keys.items():
        *path, last = key.split("__")
        table = content
        for step in path:
            table = table[step]
        table[last] = value
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def snapshot() -> dict[str, tuple[int, int]]:
    parts = ("data", "models", "metrics", "plots", "reports", ".landuse")
    found = [file for part in parts for file in Path(part).rglob("*")]
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in found}


def in_process(stage: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of a stage, and what it says on standard error."""
    capsys.readouterr()
    try:
        with user_errors():
            RUN[stage](params.load(stage))
    except SystemExit as end:
        return int(str(end.code)), capsys.readouterr().err
    return 0, capsys.readouterr().err


def as_dvc(stage: str) -> tuple[int, str]:
    """The same, of a process of its own."""
    command = [sys.executable, f"stages/{stage}.py"]
    environment = clean_environment() | {"PYTHONPATH": "src"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def refused(run: Callable[[], tuple[int, str]], *told: str) -> None:
    """The stage ends with code 2 and one line that holds every word, and writes nothing."""
    before = snapshot()
    code, line = run()
    assert code == 2, line
    assert line.count("\n") == 1 and line.startswith("landuse: error: "), line
    for word in told:
        assert word in line
    assert snapshot() == before


WRONG = [
    ("train", {"train__recipe": "fsat"}, ["did you mean 'fast'"]),
    ("train", {"train__freeze": "layer9"}, ["layer9", "layer4"]),
    ("train", {"model__backbone": "resnet5O"}, ["resnet5O", "did you mean 'resnet50'"]),
    ("train", {"model__weights": "nowhere.pth"}, ["nowhere.pth", "no such file"]),
    ("split", {"split__fractions": {"train": 0.7, "val": 0.2, "test": 0.2}}, ["add to 1.1"]),
    ("split", {"split__fractions": {"train": 0.99, "val": 0.005, "test": 0.005}}, ["too small"]),
    ("split", {"split__method": "published"}, ["split.published"]),
    ("map_to_binary", {"mapping__tables__city_farmland__City": ["Residental"]}, ["did you mean 'Residential'"]),
    ("map_to_binary", {"mapping__tables__city_farmland__City": ["Pasture"]}, ["Pasture", "twice"]),
    ("download", {"data__source": "folder"}, ["data.url"]),
    ("download", {"data__source": "folder", "data__url": "nowhere"}, ["nowhere"]),
    ("download", {"data__source": "eurosat_rgb", "data__url": "params.yaml"}, ["params.yaml"]),
    ("download", {"data__bands": ["B04", "B13"]}, ["data.bands has 'B13'", "no band or index"]),
    ("download", {"data__bands": ["B04", "B03", "B04"]}, ["data.bands has B04 twice"]),
    ("download", {"data__bands": ["B04", "SR_B5"]}, ["mixes sensors"]),
    ("train", {"train__normalise": "zscore"}, ["train.normalise is 'zscore'", "percentiles"]),
]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("stage", "wrong", "told"), WRONG)
def test_a_wrong_param_is_refused(
    stage: str, wrong: dict[str, object], told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    change(**wrong)
    refused(lambda: in_process(stage, capsys), *told)


@pytest.mark.long
@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("stage", "wrong", "told"), [WRONG[2], WRONG[4], WRONG[8], WRONG[10]])
def test_in_a_process_of_its_own_it_is_one_line_too(stage: str, wrong: dict[str, object], told: list[str]) -> None:
    change(**wrong)
    refused(lambda: as_dvc(stage), *told)


def save(file: Path, pixels: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file


def corrupt(folder: Path) -> None:
    good = save(folder / "Town/bad.jpg", noise(99, 64, 64))
    good.write_bytes(good.read_bytes()[:500])


PICTURES: dict[str, tuple[Callable[[Path], object], str]] = {
    "corrupt": (corrupt, "Town/bad"),
    "cmyk": (lambda folder: Image.new("CMYK", (64, 64), (1, 2, 3, 4)).save(folder / "Town/bad.jpg"), "Town/bad"),
    "16-bit": (lambda folder: save(folder / "Town/bad.png", np.zeros((64, 64), np.uint16)), "Town/bad"),
    "1-pixel": (lambda folder: save(folder / "Town/bad.png", noise(5, 1, 1)), "Town/bad"),
    "same bytes": (lambda folder: shutil.copy(folder / "Field/0.png", folder / "Town/copy.png"), "same bytes"),
    "empty": (lambda folder: [shutil.rmtree(folder / name) for name in ("Field", "Town")], "class"),
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("kind", PICTURES)
def test_unusable_pictures_are_named_and_refused(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(3):
        save(tmp_path / f"mine/Field/{number}.png", noise(number, 64, 64))
        save(tmp_path / f"mine/Town/{number}.png", noise(10 + number, 64, 64))
    damage, told = PICTURES[kind]
    damage(tmp_path / "mine")
    change(data__source="folder", data__url=str(tmp_path / "mine"), data__tile_size=64)
    refused(lambda: in_process("download", capsys), told)


@pytest.mark.usefixtures("here")
def test_one_class_only_is_refused_before_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(12):
        save(tmp_path / f"mine/Town/{number}.png", noise(number))
    change(data__source="folder", data__url=str(tmp_path / "mine"), data__tile_size=16, mapping__preset="all_classes")
    assert in_process("download", capsys)[0] == 0
    refused(lambda: in_process("map_to_binary", capsys), "two")


@pytest.mark.usefixtures("here")
def test_a_pickle_bomb_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bomb.pth").write_bytes(b"cos\nmkdir\n(V" + str(tmp_path / "exploded").encode() + b"\ntR.")
    change(model__weights=str(tmp_path / "bomb.pth"))
    refused(lambda: in_process("train", capsys), "not loaded")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("content", [None, b"train: [1,", b"\xff\xfe"])
def test_params_that_cannot_be_read_are_refused(content: bytes | None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("params.yaml").unlink()
    if content is not None:
        Path("params.yaml").write_bytes(content)
    refused(lambda: in_process("split", capsys), "params.yaml", "git checkout")
