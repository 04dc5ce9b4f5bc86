"""What docs/area.md and docs/project tell people to run, run: labels from the truth, and a second DVC project."""

import csv
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import rasterio
from conftest import DEFAULTS, ROOT
from exported import write_model
from workspace import Workspace

from landuse.cli import main
from landuse.data.sources.sample.scene import write_scene
from landuse.inference.map import MapOptions, map_scene
from landuse.inference.scene import SceneOptions

pytestmark = pytest.mark.long

STAGES = ["area", "change", "map@after", "map@before", "sample"]
SOURCE = """
stages:
  export:
    cmd: "true"
    outs:
      - models/export/model.onnx: {persist: true}
      - models/export/model.json: {persist: true}
      - models/export/reference.npz: {persist: true}
"""


@pytest.fixture(scope="module")
def land(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dates of a square of town, fields and other land."""
    folder = tmp_path_factory.mktemp("walk") / "land"
    write_scene(folder, 2, 256, None, 0.1)
    return folder


def test_labels_from_the_truth_are_what_a_cell_mostly_is(
    land: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = land.parent
    monkeypatch.chdir(walk)
    write_model(walk / "model")
    map_scene(["land/after.tif"], Path("after"), Path("model"), MapOptions(workers=1), SceneOptions())
    main(["sample", "after", "--out", "sample.gpkg", "--size", "64"])
    shutil.copy(DEFAULTS / "params.yaml", ".")
    code = (ROOT / "docs/area.md").read_text().partition("```python\n")[2].partition("```")[0]
    exec(compile(code, "docs/area.md", "exec"), {})

    with rasterio.open("land/after_land_use.tif") as file:
        names, truth = file.tags(1), file.read(1)
    rows = list(csv.DictReader(Path("labels.csv").read_text().splitlines()))
    city, farmland = ("Residential", "Industrial", "Highway"), ("AnnualCrop", "PermanentCrop", "Pasture")
    label_of = dict.fromkeys(city, "City") | dict.fromkeys(farmland, "Farmland")
    assert len(rows) == 64
    for row in rows:
        top, left = int(row["row"]) * 32, int(row["col"]) * 32
        counts = Counter(
            label_of.get(names[str(code)], "other") for code in truth[top : top + 32, left : left + 32].ravel()
        )
        assert counts[row["label"]] == max(counts.values())
    assert len({row["label"] for row in rows}) == 3
    capsys.readouterr()
    main(["area", "after", "--labels", "labels.csv"])  # all cells are labelled: nothing is left to chance
    assert "64 labelled cells" in capsys.readouterr().out


def test_a_second_project_imports_the_model_and_runs_only_what_changed(land: Path, tmp_path: Path) -> None:
    source, project = Workspace(tmp_path / "source"), Workspace(tmp_path / "project")
    write_model(source.path / "models/export")
    (source.path / "dvc.yaml").write_text(SOURCE)
    (source.path / ".gitignore").write_text("/models/\n")
    shutil.copytree(ROOT / "docs/project", project.path)
    (project.path / "data").mkdir()
    for date, scene in (("before", "scene"), ("after", "after")):
        shutil.copy(land / f"{scene}.tif", project.path / f"data/{date}.tif")
    for workspace in (source, project):
        workspace.run("git", "init", "-q")
        workspace.run("dvc", "init", "-q")
    source.run("dvc", "repro", "-q")
    source.commit("a model")
    project.run("dvc", "import", "-q", "../source", "models/export", "--out", "model")
    project.run("dvc", "add", "-q", "data/before.tif", "data/after.tif")
    project.set(sample=12)

    assert sorted(ran(project)) == STAGES
    assert json.loads((project.path / "change/change.json").read_text())["kind"] == "change"
    assert hectares(project) == pytest.approx(256 * 256 / 100)
    assert (project.path / "sample.gpkg").is_file()
    assert ran(project) == []

    project.set(stride=64)
    assert sorted(ran(project)) == STAGES  # and imports nothing
    assert json.loads((project.path / "maps/after/summary.json").read_text())["stride"] == 64


def ran(project: Workspace) -> list[str]:
    """Stages that `dvc repro` ran."""
    return re.findall(r"^Running stage '(.*)'", project.run("dvc", "repro").stdout, re.MULTILINE)


def hectares(project: Workspace) -> float:
    """Of all classes in area.json, as mapped."""
    content = json.loads((project.path / "area.json").read_text())
    return float(sum(row["mapped"] or 0 for row in content["rows"]))
