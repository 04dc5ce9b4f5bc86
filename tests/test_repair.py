"""DVC's files that a full disk or a kill left half-written are put right, and whole ones are left alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import parse_yaml
from workspace import clean_environment
from zc.lockfile import LockFile

from landuse import repair
from landuse.core.errors import UserError

LOCK = """schema: '2.0'
stages:
  first:
    cmd: echo 1 > one
    deps:
    - path: zero
      hash: md5
      md5: 5f258a012d8b04b2b37364da705932ef
      size: 2672
    params:
      params.yaml:
        data.coordinates:
        data.sample:
          seed: 7
    outs:
    - path: one
      hash: md5
      md5: cad5eea0aab5586b6964b5adddc3b735.dir
      size: 2
      nfiles: 1
  second:
    cmd: echo 2 > two
"""
BROKEN = {"empty": "", "cut": LOCK[:200], "cut after a line": LOCK[: LOCK.index("    - path: one")], "zeros": "\0" * 90}


def git(folder: Path, *command: str) -> None:
    subprocess.run(["git", *command], cwd=folder, env=clean_environment(), check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose last commit holds a dvc.lock."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / ".dvc/tmp/exps/celery/broker/in").mkdir(parents=True)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "dvc.lock", "dvc.yaml")
    git(tmp_path, "commit", "-qm", "x")
    return tmp_path


@pytest.mark.parametrize("damage", BROKEN)
def test_a_broken_lock_file_is_put_back_as_it_was_committed(root: Path, damage: str) -> None:
    (root / "dvc.lock").write_text(BROKEN[damage])
    (line,) = repair.run(root)
    assert "dvc.lock was half-written: put back as it was committed" in line
    assert (root / "dvc.lock").read_text() == LOCK
    assert repair.run(root) == []


@pytest.mark.parametrize("committed", [None, BROKEN["cut"]])
def test_a_broken_lock_file_is_removed_where_git_has_no_whole_one(root: Path, committed: str | None) -> None:
    git(root, "rm", "-q", "--cached", "dvc.lock")
    if committed:
        (root / "dvc.lock").write_text(committed)
        git(root, "add", "dvc.lock")
    git(root, "commit", "-qm", "y")
    (root / "dvc.lock").write_text("")
    (line,) = repair.run(root)
    assert "dvc.lock was half-written: removed" in line
    assert not (root / "dvc.lock").exists()


def test_at_every_cut_of_a_lock_file_it_takes_only_what_dvc_takes() -> None:
    assert repair._is_lock_file(LOCK)
    for end in range(len(LOCK)):
        if repair._is_lock_file(LOCK[:end]):
            COMPILED_LOCKFILE_SCHEMA(parse_yaml(LOCK[:end], "dvc.lock"))


def test_a_merge_conflict_is_left_to_the_user(root: Path) -> None:
    conflict = f"<<<<<<< HEAD\n{LOCK}=======\n{LOCK}>>>>>>> other\n"
    (root / "dvc.lock").write_text(conflict)
    with pytest.raises(UserError, match="merge conflict"):
        repair.run(root)
    assert (root / "dvc.lock").read_text() == conflict


def test_what_a_dvc_at_work_may_be_writing_is_left_alone(root: Path) -> None:
    (root / "dvc.lock").write_text("")
    held = LockFile(str(root / ".dvc/tmp/lock"))
    try:
        with pytest.raises(UserError, match="another DVC process"):
            repair.run(root)
    finally:
        held.close()
    assert (root / "dvc.lock").read_text() == ""


@pytest.mark.long
def test_broken_tables_of_locks_and_messages_go_and_whole_ones_stay(root: Path) -> None:
    tmp = root / ".dvc/tmp"
    tables, queue = [tmp / "rwlock", tmp / "exps/rwlock"], tmp / "exps/celery/broker/in"
    for content in ("", '{"read": {"a'):
        for table in tables:
            table.write_text(content)
        (queue / "1.celery.msg").write_text(content)
        (queue / "2.celery.msg").write_text("{}")
        said = repair.run(root)
        assert len(said) == 3
        assert sum("a queued experiment" in line for line in said) == 1
        assert [path.name for path in queue.iterdir()] == ["2.celery.msg"]
        assert not any(table.exists() for table in tables)
    for table in tables:
        table.write_text("{}")
    assert repair.run(root) == []
    assert all(table.exists() for table in tables)


def test_unfinished_copies_in_the_cache_go_when_nobody_writes_them(root: Path) -> None:
    folder = root / ".dvc/cache/files/md5/47"
    folder.mkdir(parents=True)
    for name in (".old.tmp", ".new.tmp", "c1a64384e92c171c3e26f144ad5882"):
        (folder / name).write_bytes(bytes(10))
    os.utime(folder / ".old.tmp", (1e9, 1e9))
    assert len(repair.run(root)) == 1
    assert {path.name for path in folder.iterdir()} == {".new.tmp", "c1a64384e92c171c3e26f144ad5882"}


def test_it_loads_nothing_heavy_and_wants_a_pipeline(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no dvc\.yaml here"):
        repair.run(tmp_path)
    code = "import sys; from landuse import repair; print({'dvc', 'numpy', 'pandas', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
