"""On the sample no stage opens a network connection, and nothing is said that a user can do nothing about."""

import sys
from pathlib import Path

import pytest
from workspace import Workspace, clone

pytestmark = pytest.mark.long

GUARD = """
import runpy, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError(f"a network connection was tried: {args[1:]}")

connect = socket.socket.connect

def only_local(self, address):
    return connect(self, address) if self.family == socket.AF_UNIX else refuse(self, address)

socket.socket.connect = socket.socket.connect_ex = only_local
socket.getaddrinfo = socket.create_connection = refuse
sys.path.insert(0, "src")
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = clone(tmp_path_factory.mktemp("offline"))
    made.set(data__sample__tiles_per_class=20, train__epochs=1, train__batch_size=16, evaluate__bootstrap=100)
    (made.path / "guard.py").write_text(GUARD)
    return made


def test_no_stage_opens_a_connection_or_warns(workspace: Workspace) -> None:
    for stage in ("download", "map_to_binary", "split", "train", "evaluate", "export"):
        done = workspace.run(sys.executable, "guard.py", f"stages/{stage}.py")
        assert done.stderr.strip() == "", f"{stage} said on standard error: {done.stderr}"
        assert done.stdout.count("\n") <= 8, f"{stage} says too much: {done.stdout}"


def test_the_guard_would_notice(workspace: Workspace) -> None:
    script = workspace.path / "calls_home.py"
    script.write_text("import requests; requests.get('http://127.0.0.1:9/')")
    done = workspace.run(sys.executable, "guard.py", str(Path(script.name)), ok=False)
    assert "a network connection was tried" in done.stderr


def test_telemetry_of_dvc_is_off(workspace: Workspace) -> None:
    assert workspace.run("dvc", "config", "core.analytics").stdout.strip() == "false"
    assert workspace.run("dvc", "config", "core.check_update").stdout.strip() == "false"
