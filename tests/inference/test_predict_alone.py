"""The commands in an environment that holds what ``pip install landuse`` installs, and nothing of training."""

import importlib.metadata
import os
import subprocess
import tomllib
import venv
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from exported import write_model
from land import scene, texture
from packaging.requirements import Requirement
from PIL import Image

pytestmark = pytest.mark.long
TRAINING = ["torch", "torchvision", "timm", "mlflow", "dvc", "sklearn", "scipy", "pandas", "matplotlib", "jinja2"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a new environment, with links to the core dependencies and what they need in turn."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "landuse.pth").write_text(str(ROOT / "src"))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for name in {"landuse", *closure(declared)}:
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__", "bin"}:
            if not (site / top).exists() and not top.startswith("__editable__"):  # of landuse: that is this very code
                (site / top).symlink_to(distribution.locate_file(top))
    return folder / "bin" / "python"


def closure(wanted: list[str]) -> set[str]:
    """The distributions that requirements lead to, without extras."""
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        requirement = Requirement(waiting.pop())
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if applies and requirement.name not in found:
            found.add(requirement.name)
            waiting += importlib.metadata.requires(requirement.name) or []
    return found


def landuse(python: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    command = [python, "-c", "from landuse.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)


def test_nothing_of_training_is_there_and_a_model_answers_all_the_same(python: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "export")
    absent = f"import importlib.util as u; assert not [n for n in {TRAINING} if u.find_spec(n)]\n"
    answer = "import numpy as np; from landuse.inference import Model; model = Model.load('export')\n"
    answer += "print(model.predict(np.full((1, 64, 64, 3), 220, np.uint8)).labels[0])"
    done = subprocess.run([python, "-c", absent + answer], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("City\n", "")


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "gpkg"])
def test_predict_answers_files(python: Path, tmp_path: Path, suffix: str) -> None:
    write_model(tmp_path / "export")
    Image.fromarray(np.full((64, 64, 3), 220, np.uint8)).save(tmp_path / "tile.tif")
    done = landuse(python, tmp_path, "predict", "tile.tif", "--model", "export", "--out", f"out.{suffix}")
    assert done.returncode == 0, done.stderr
    assert b"City" in (tmp_path / f"out.{suffix}").read_bytes()


def test_map_and_view_make_a_page_of_a_scene(python: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "export", dtype="uint16")
    scene(tmp_path / "scene.tif", texture(192, 192))
    for arguments in (["map", "scene.tif", "--model", "export", "--out", "made", "--workers", "1"], ["view", "made"]):
        done = landuse(python, tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "made/summary.json").is_file() and (tmp_path / "made/index.html").is_file()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["predict", "--help"], ["map", "--help"]])
def test_help_needs_nothing_else(python: Path, tmp_path: Path, arguments: list[str]) -> None:
    done = landuse(python, tmp_path, *arguments)
    assert done.returncode == 0 and "landuse" in done.stdout, done.stderr


@pytest.mark.parametrize("command", ["track", "repair", "compare", "lr-find", "cache", "speed", "tune", "scene"])
def test_other_commands_name_the_extra(python: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    done = landuse(python, tmp_path, command, *(["out"] if command == "scene" else []))
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"landuse: error: 'landuse {command}' needs ")
    assert done.stderr.endswith(": pip install 'landuse[train]'\n")


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["predict", "tile.png", "--model", "export", "--out", "out.parquet"], "landuse[parquet]"),
        (["predict", "tile.png", "--model", "models:/land-use@best"], "mlflow"),
    ],
)
def test_what_an_option_needs_is_named(python: Path, tmp_path: Path, arguments: list[str], extra: str) -> None:
    write_model(tmp_path / "export")
    Image.new("RGB", (64, 64)).save(tmp_path / "tile.png")
    done = landuse(python, tmp_path, *arguments)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and extra in done.stderr
