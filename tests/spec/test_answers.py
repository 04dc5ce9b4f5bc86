"""Answers on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landuse.core.errors import UserError
from landuse.spec.answers import Answers

RNG = np.random.default_rng(0)
ANSWERS = Answers(
    np.arange(5),
    np.array([0, 1, 0, -1, 1]),
    RNG.normal(size=(5, 2, 8, 3)).astype(np.float32),
    RNG.normal(size=(5, 7)).astype(np.float32),
    RNG.normal(size=(5, 4)).astype(np.float32),
)


def test_the_same_answers_give_the_same_bytes_and_are_read_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ANSWERS.save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = Answers.load(tmp_path / "a.npz", 5)
    for name, array in vars(ANSWERS).items():
        assert np.array_equal(getattr(read, name), array) and getattr(read, name).dtype == array.dtype
    assert len(read) == 5


@pytest.mark.parametrize(
    "fault", ["missing", "empty", "cut", "flipped", "text", "others", "labels", "shape", "dtype", "lacking"]
)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, fault: str) -> None:
    file = tmp_path / "test.npz"
    ANSWERS.save(file)
    whole, arrays = file.read_bytes(), dict(vars(ANSWERS))
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    contents = {"empty": b"", "cut": whole[:-200], "flipped": bytes(flipped), "text": b"[]\n"}
    if fault == "missing":
        file.unlink()
    elif fault in contents:
        file.write_bytes(contents[fault])
    elif fault in ("others", "labels"):
        replace(ANSWERS, **{"others": {"rows": np.arange(1, 6)}, "labels": {"targets": np.full(5, 3)}}[fault]).save(
            file
        )
    else:
        changed = {
            "shape": {"logits": arrays["features"]},
            "dtype": {"rows": arrays["rows"].astype(float)},
            "lacking": {},
        }
        arrays |= changed[fault]
        if fault == "lacking":
            del arrays["targets"]
        np.savez(file, **arrays)
    with pytest.raises(UserError, match=r"test\.npz.*'dvc repro evaluate'"):
        Answers.load(file, 5)
