"""dvc.yaml tells the truth: what a stage imports and reads is what it declares."""

import ast
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml
from conftest import DEFAULTS, ROOT

from landuse import params

DVC_YAML: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, dict[str, Any]] = DVC_YAML["stages"]
ROOMS = {  # whose run() a stage calls
    "download": ["data/writer"],
    "map_to_binary": ["data/labels"],
    "split": ["data/splits"],
    "train": ["training"],
    "evaluate": ["prediction", "evaluation"],
    "export": ["export"],
    "report": ["report"],
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("landuse", cache_dir=None)


EXEMPT = {
    "landuse.tracking": "what it logs is read from the outputs of a stage, and no output from it",
    "landuse.storage": "what it gives back is what was put in, by a checksum, or nothing: it saves time, and no output "
    "differs (tests/training/test_resume.py, test_cached_training.py)",
}


def imported_modules(file: Path) -> set[str]:
    """The landuse modules that a stage script imports itself."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "landuse":
            found |= {f"landuse.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("landuse."):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in names if (ROOT / file_of(name)).is_file()} or {node.module}
    return found


def file_of(module: str) -> str:
    path = Path("src", *module.split("."))
    return (path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")).as_posix()


def has_code(module: str) -> bool:
    """Whether a module holds more than a docstring."""
    return len(ast.parse((ROOT / file_of(module)).read_text()).body) > 1


def is_exempt(module: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in EXEMPT)


def files_of(stage: str, graph: grimp.ImportGraph) -> set[str]:
    """Files that a stage runs: its script and what that imports, directly or not, but for what is exempt."""
    direct = imported_modules(ROOT / "stages" / f"{stage}.py")
    reached = direct.union(*(graph.find_upstream_modules(module) for module in direct))
    reached = {module for module in reached if has_code(module) and not is_exempt(module)}
    assert reached, "a stage script imports nothing of the package"
    return {file_of(module) for module in reached} | {f"stages/{stage}.py"}


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


def missing_deps(stage: str, deps: list[str], graph: grimp.ImportGraph) -> set[str]:
    """Files that a stage runs and that its deps do not cover."""
    return {file for file in files_of(stage, graph) if not any(covers(dep, file) for dep in deps)}


def source_deps(stage: str) -> list[str]:
    return [dep for dep in STAGES[stage]["deps"] if dep.startswith(("src/", "stages/"))]


def test_the_stages_are_the_seven_of_the_design() -> None:
    assert list(STAGES) == list(ROOMS)
    for stage, content in STAGES.items():
        assert content["desc"], stage
        python = r"\${LANDUSE_LAUNCHER:-python}" if stage == "train" else "python"
        assert content["cmd"] == f"${{environment}} {python} stages/{stage}.py"
    assert DVC_YAML["vars"] == [{"environment": 'PATH="$DVC_ROOT/.venv/bin:$PATH" PYTHONPATH=src'}]


@pytest.mark.parametrize("stage", STAGES)
def test_deps_hold_every_module_that_the_stage_imports(stage: str, graph: grimp.ImportGraph) -> None:
    assert missing_deps(stage, STAGES[stage]["deps"], graph) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_source_deps_are_few_and_each_is_imported(stage: str, graph: grimp.ImportGraph) -> None:
    deps, files = source_deps(stage), files_of(stage, graph)
    assert len(deps) <= 8
    assert [dep for dep in deps if not any(covers(dep, file) for file in files)] == []


def rooms() -> dict[str, list[str]]:
    """Rooms of the package, those of data apart, with their files."""
    package = ROOT / "src" / "landuse"
    found: dict[str, list[str]] = {}
    for file in package.rglob("*.py"):
        parts = file.relative_to(package).with_suffix("").parts
        depth = 2 if parts[0] == "data" else 1
        if parts[:depth][-1] != "__init__":
            found.setdefault("/".join(parts[:depth]), []).append(file.relative_to(ROOT).as_posix())
    return found


def test_the_documentation_says_what_an_edit_of_each_room_reruns() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    head, _, *rows = text.split("<!-- reruns -->")[1].split("<!-- /reruns -->")[0].strip().splitlines()
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    assert columns[1:] == list(STAGES)
    told = {}
    for row in rows:
        names, *marks = (cell.strip() for cell in row.strip("|").split("|"))
        reruns = {stage for stage, mark in zip(columns[1:], marks, strict=True) if mark}
        told |= dict.fromkeys((name.strip(" `") for name in names.split(",")), reruns)
    deps = {stage: source_deps(stage) for stage in STAGES}
    assert told == {
        room: {stage for stage in STAGES if any(covers(dep, file) for dep in deps[stage] for file in files)}
        for room, files in rooms().items()
    }


def test_each_plot_is_declared_once() -> None:
    """DVC draws what stands under a stage's plots, and what stands under the plots of the whole file."""
    whole = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    drawn = [(file, column) for plot in whole["plots"] for each in plot.values() for file, column in each["y"].items()]
    for stage in STAGES.values():
        for entry in stage.get("plots", []):
            file, settings = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
            drawn.append((file, settings.get("y")))
            assert file.endswith(".png") or settings["title"], f"{file} would be drawn in DVC's default template"
    assert len(drawn) == len({str(each) for each in drawn})


def test_dvc_can_restore_every_stage() -> None:
    """It keeps no run of a stage with an output that is in git and is no metric or plot."""
    outs = [out for stage in STAGES.values() for out in stage["outs"]]
    assert all(isinstance(out, str) for out in outs)


def test_a_missing_dep_would_be_noticed(graph: grimp.ImportGraph) -> None:
    deps = [dep for dep in STAGES["train"]["deps"] if dep != "src/landuse/tiles"]
    assert missing_deps("train", deps, graph) == {f"src/landuse/tiles/{name}.py" for name in ("split", "store")}


def sections_read(rooms: list[str]) -> set[str]:
    """Sections of params that the code of rooms reads: every ``p.<section>``."""
    paths = [ROOT / "src" / "landuse" / room for room in rooms]
    read = set()
    for file in (
        file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")])
    ):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "p":
                read.add(node.attr)
    table = {"recipe": "recipes", "augment": "augmentations"}  # what a property of Params looks up
    return {table.get(name, name) for name in read} & set(params.Params.model_fields)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_every_section_that_its_code_reads(stage: str) -> None:
    declared = {name.split(".")[0] for name in STAGES[stage]["params"]}
    if stage == "map_to_binary":
        declared.remove("train")  # of which it has the name of the recipe checked, early enough for DVC
    assert sections_read(ROOMS[stage]) - {"runtime"} == declared


@pytest.mark.parametrize("stage", STAGES)
def test_an_undeclared_section_cannot_be_read_at_run_time(stage: str) -> None:
    loaded = params.load(stage, DEFAULTS)
    declared = {name.split(".")[0] for name in STAGES[stage]["params"]}
    for section in params.Params.model_fields:
        if section in declared | {"runtime"}:
            assert getattr(loaded, section) is not None
        else:
            with pytest.raises(AttributeError):
                getattr(loaded, section)


def test_a_single_key_is_loaded_without_the_rest_of_its_section() -> None:
    loaded = params.load("split", DEFAULTS)
    assert loaded.data.fraction == 1.0
    with pytest.raises(AttributeError):
        _ = loaded.data.source


def test_fewer_training_tiles_concern_the_split_alone_and_all_other_keys_of_data_the_download() -> None:
    fewer = {"data.fraction", "data.shots", "data.draw"}
    assert set(STAGES["download"]["params"]) == {f"data.{key}" for key in params.Data.model_fields} - fewer
    assert [stage for stage in STAGES if fewer & set(STAGES[stage]["params"])] == ["split"]
    assert fewer < set(STAGES["split"]["params"])


def test_what_changes_no_result_is_declared_by_no_stage() -> None:
    assert set(params.load("map_to_binary", DEFAULTS).runtime.model_dump()) == set(params.Runtime.model_fields)
    assert not [name for stage in STAGES.values() for name in stage["params"] if name.split(".")[0] == "runtime"]


def test_only_the_chosen_recipe_is_loaded_and_declared() -> None:
    assert "recipes.${train.recipe}" in STAGES["train"]["params"]
    assert "train.recipe" in STAGES["map_to_binary"]["params"]
    assert list(params.load("train", DEFAULTS).recipes) == ["fast"]


def test_git_ignores_cached_outputs_and_no_others_by_rules_of_its_own(tmp_path: Path) -> None:
    """DVC's own rules, in a .gitignore of each folder, go when any later stage fails: it takes back what it added."""
    rules = subprocess.run(["git", "ls-files", "*.gitignore"], cwd=ROOT, capture_output=True, text=True)
    for name in rules.stdout.splitlines():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    for stage in STAGES.values():
        for entry in (entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])):
            (path, settings), *_ = ({entry: {}} if isinstance(entry, str) else entry).items()
            asked = subprocess.run(["git", "check-ignore", "-q", path], cwd=tmp_path)
            assert (asked.returncode == 0) == settings.get("cache", True), path
