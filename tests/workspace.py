"""A throwaway copy of this repository, as a user would have it after cloning."""

import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml
from conftest import DEFAULTS, PATIENCE, ROOT

BIN = Path(sys.executable).parent
CODE = (".dvc", ".dvcignore", ".gitignore", "dvc.yaml", "pyproject.toml", "src", "stages")


@dataclass(frozen=True)
class Workspace:
    """A clone with one commit. Commands run as in an activated environment, on one thread."""

    path: Path

    def run(self, *command: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone; fail with its output unless it ends as expected."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=clean_environment() | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if ok and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def stage(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run one stage script as DVC does, whatever its end."""
        return self.run(sys.executable, f"stages/{name}.py", ok=False, PYTHONPATH="src")

    def set(self, **changes: object) -> None:
        """Change params.yaml: dots are written as double underscores."""
        file = self.path / "params.yaml"
        content = yaml.safe_load(file.read_text())
        for key, value in changes.items():
            *path, last = key.split("__")
            table = content
            for step in path:
                table = table[step]
            table[last] = value
        file.write_text(yaml.safe_dump(content, sort_keys=False))

    def commit(self, message: str) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", message)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the MLflow database."""
        with sqlite3.connect(self.path / "mlflow.db") as database:
            return database.execute(query).fetchall()

    def logged(self) -> tuple[int, ...]:
        """Counts of runs, of metric values and of params in MLflow."""
        return tuple(int(str(self.rows(f"select count(*) from {of}")[0][0])) for of in ("runs", "metrics", "params"))

    def outputs(self) -> dict[str, str]:
        """Every output that dvc.lock lists, with its digest."""
        lock = yaml.safe_load((self.path / "dvc.lock").read_text())
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}


def clean_environment() -> dict[str, str]:
    """The environment of a user who activated .venv, without what DVC or MLflow would take from outside."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "MLFLOW_", "PYTHON"))}
    author = {f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return kept | author | {"PATH": f"{BIN}{os.pathsep}{kept['PATH']}", "OMP_NUM_THREADS": "1"}


def clone(to: Path, source: Path = ROOT) -> Workspace:
    """Copy the code that git knows or would add, and commit it, so that uncommitted work is tested too.

    What else lies in the working tree (outputs, states, edited params) is left out.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", *CODE],
        cwd=source,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (source / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / name, to / name)
    shutil.copy(DEFAULTS / "params.yaml", to)
    workspace = Workspace(to)
    workspace.run("git", "init", "-q", "-b", "main")
    workspace.commit("clone")
    return workspace
