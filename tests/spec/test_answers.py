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
STORED = {name: array for name, array in vars(ANSWERS).items() if array is not None}


def test_the_same_answers_give_the_same_bytes_and_are_read_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        ANSWERS.save(tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = Answers.load(tmp_path / "a.npz", 5)
    for name, array in STORED.items():
        assert np.array_equal(getattr(read, name), array) and getattr(read, name).dtype == array.dtype
    assert len(read) == 5


def test_errors_of_an_autoencoder_are_there_only_where_there_is_one(tmp_path: Path) -> None:
    assert ANSWERS.reconstruction is None
    ANSWERS.save(tmp_path / "without.npz")
    with np.load(tmp_path / "without.npz") as found:
        assert set(found) == {"rows", "targets", "logits", "features", "statistics"}
    assert Answers.load(tmp_path / "without.npz", 5).reconstruction is None
    errors = RNG.random(5).astype(np.float32)
    replace(ANSWERS, reconstruction=errors).save(tmp_path / "with.npz")
    read = Answers.load(tmp_path / "with.npz", 5).reconstruction
    assert read is not None and np.array_equal(read, errors)
    replace(ANSWERS, reconstruction=errors[:4]).save(tmp_path / "with.npz")
    with pytest.raises(UserError, match=r"its reconstruction are \(4,\) float32"):
        Answers.load(tmp_path / "with.npz", 5)


@pytest.mark.parametrize(
    "fault", ["missing", "empty", "cut", "flipped", "text", "others", "labels", "shape", "dtype", "lacking"]
)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path, fault: str) -> None:
    file = tmp_path / "test.npz"
    ANSWERS.save(file)
    whole, arrays = file.read_bytes(), dict(STORED)
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
