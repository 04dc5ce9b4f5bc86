"""Outputs are written whole or not at all."""

import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from landuse.core import files


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), files.atomic(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with files.atomic(tmp_path / "folder") as part:
            part.mkdir()
            (part / content).write_text(content)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def test_what_a_killed_run_left_is_swept_by_the_next(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from landuse.core import files\n"
        "with files.atomic(Path(sys.argv[1])) as part:\n"
        "    part.mkdir(); (part / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "folder")])
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "folder").exists()
    assert len(list(tmp_path.iterdir())) == 1
    with files.atomic(tmp_path / "folder") as part:
        part.mkdir()
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [0.1, None]})
    assert (tmp_path / "a.json").read_bytes() == b'{\n  "a": [\n    0.1,\n    null\n  ],\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="nan"):
        files.write_json(tmp_path / "b.json", {"a": float("nan")})
    files.write_csv(tmp_path / "a.csv", pd.DataFrame({"x": [1 / 3, 2.0]}))
    assert (tmp_path / "a.csv").read_bytes() == b"x\n0.333333333\n2\n"
