"""The clones that tests work in hold code alone, whatever lies in the working tree."""

import subprocess
from pathlib import Path

from conftest import DEFAULTS, ROOT
from workspace import CODE, clone


def test_a_clone_holds_the_code_and_nothing_else_of_the_working_tree(tmp_path: Path) -> None:
    used = clone(tmp_path / "used").path  # as after `make repro`, an edit and a commit of the results
    code = {name for name in files(used) if name != "params.yaml"}
    assert {Path(name).parts[0] for name in code} == set(CODE)
    for name in ("metrics/train.json", "plots/.gitignore", "data/own/1.png", "dvc.lock", "mlflow.db", "own.py"):
        (used / name).parent.mkdir(parents=True, exist_ok=True)
        (used / name).touch()
    (used / ".landuse").mkdir()
    (used / "params.yaml").write_text("train: {lr: 1}")
    subprocess.run(["git", "add", "-f", "metrics", "plots", "dvc.lock"], cwd=used, check=True)
    (used / "src/landuse/new.py").touch()  # work that git does not know yet is tested too
    (used / "src/landuse/data/labels.py").write_text("changed")
    again = clone(tmp_path / "again", source=used).path
    assert files(again) == code | {"src/landuse/new.py", "params.yaml"}
    assert (again / "src/landuse/data/labels.py").read_text() == "changed"
    assert (again / "params.yaml").read_bytes() == (DEFAULTS / "params.yaml").read_bytes()


def test_the_params_of_the_tests_are_those_that_git_has() -> None:
    staged = subprocess.run(["git", "show", ":params.yaml"], cwd=ROOT, capture_output=True, check=True).stdout
    assert (DEFAULTS / "params.yaml").read_bytes() == staged


def files(folder: Path) -> set[str]:
    found = (file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    return {name for name in found if not name.startswith(".git/") and "__pycache__" not in name}
