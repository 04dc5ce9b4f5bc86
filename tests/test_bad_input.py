"""A newcomer's mistakes: one clear line, exit code 2, nothing half-written, and the next correct run succeeds."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from workspace import Workspace, clone

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone with a tiny sample, downloaded, mapped and split."""
    made = clone(tmp_path_factory.mktemp("clone"))
    made.set(data__sample__tiles_per_class=20, train__epochs=1, train__batch_size=16)
    for stage in ("download", "map_to_binary", "split"):
        done = made.stage(stage)
        assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def params(workspace: Workspace) -> Workspace:
    """The clone, whose params.yaml is put back afterwards."""
    kept = (workspace.path / "params.yaml").read_bytes()
    yield workspace
    (workspace.path / "params.yaml").write_bytes(kept)


def snapshot(folder: Path) -> set[str]:
    parts = ("data", "models", "metrics", "plots", "reports")
    return {str(f.relative_to(folder)) for part in parts for f in (folder / part).rglob("*")}


def refused(workspace: Workspace, stage: str, *told: str) -> None:
    """The stage ends with code 2 and one line that holds every word, and writes nothing."""
    before = snapshot(workspace.path)
    done = workspace.stage(stage)
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("landuse: error: ")
    for word in told:
        assert word in lines[0]
    assert snapshot(workspace.path) == before


@pytest.mark.parametrize(
    ("stage", "change", "told"),
    [
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
    ],
)
def test_a_wrong_param_is_refused(params: Workspace, stage: str, change: dict[str, object], told: list[str]) -> None:
    params.set(**change)
    refused(params, stage, *told)


def tile(folder: Path, name: str, seed: int = 0, size: tuple[int, int] = (64, 64)) -> Path:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / name)
    return folder / name


@pytest.mark.parametrize("case", ["empty", "corrupt", "cmyk", "16-bit", "1-pixel", "same bytes"])
def test_unusable_pictures_are_named_and_refused(params: Workspace, tmp_path: Path, case: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    told = {"empty": "class", "same bytes": "same bytes"}.get(case, "Town/bad")
    if case != "empty":
        for position in range(3):
            tile(folder, f"Field/{position}.png", position)
            tile(folder, f"Town/{position}.png", 10 + position)
    if case == "corrupt":
        good = tile(folder, "Town/bad.jpg", 99)
        good.write_bytes(good.read_bytes()[:500])
    elif case == "cmyk":
        Image.new("CMYK", (64, 64), (1, 2, 3, 4)).save(folder / "Town/bad.jpg")
    elif case == "16-bit":
        Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)).save(folder / "Town/bad.png")
    elif case == "1-pixel":
        tile(folder, "Town/bad.png", 5, (1, 1))
    elif case == "same bytes":
        (folder / "Town/copy.png").write_bytes((folder / "Field/0.png").read_bytes())
    params.set(data__source="folder", data__url=str(folder), data__tile_size=64)
    refused(params, "download", told)


def test_one_class_only_is_refused_before_training(params: Workspace, tmp_path: Path) -> None:
    for position in range(12):
        tile(tmp_path, f"mine/Town/{position}.png", position)
    params.set(data__source="folder", data__url=str(tmp_path / "mine"), mapping__preset="all_classes")
    kept = params.path / "data"
    kept.rename(tmp_path / "data")
    try:
        assert params.stage("download").returncode == 0
        refused(params, "map_to_binary", "two")
    finally:
        params.run("rm", "-rf", "data")
        (tmp_path / "data").rename(kept)


def test_a_pickle_bomb_is_not_run(params: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bomb.pth").write_bytes(b"cos\nmkdir\n(V" + str(tmp_path / "exploded").encode() + b"\ntR.")
    params.set(model__weights=str(tmp_path / "bomb.pth"))
    refused(params, "train", "not loaded")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [None, b"train: [1,", b"\xff\xfe"])
def test_params_that_cannot_be_read_are_refused(params: Workspace, content: bytes | None) -> None:
    file = params.path / "params.yaml"
    kept = file.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    refused(params, "split", "params.yaml", "git checkout")
    file.write_bytes(kept)


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
@pytest.mark.parametrize("stage", ["download", "map_to_binary", "split", "train"])
def test_a_full_disk_leaves_nothing_half_written(workspace: Workspace, stage: str) -> None:
    """A limit on the size of files stands in for the full disk. Of evaluate and export: test_full_disk.py."""
    before = snapshot(workspace.path)
    limit = {"download": 1000, "map_to_binary": 1, "split": 10, "train": 1000}[stage]
    script = f"ulimit -f {limit}; trap '' XFSZ; exec python stages/{stage}.py"
    done = workspace.run("bash", "-c", script, ok=False, PYTHONPATH="src", MLFLOW_TRACKING_URI="")
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert snapshot(workspace.path) == before


def test_the_next_correct_run_succeeds(workspace: Workspace) -> None:
    done = workspace.stage("train")
    assert (done.returncode, done.stderr) == (0, "")
