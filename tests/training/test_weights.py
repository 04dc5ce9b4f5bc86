"""Weights from files: safe, matched, refused clearly."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from landuse.core.errors import UserError
from landuse.model import backbones
from landuse.training import weights
from landuse.training.weights import loader


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return backbones.build("resnet18", 3).module.state_dict()


@pytest.mark.parametrize("form", ["safetensors", "plain", "wrapped", "parallel", "ours"])
def test_the_usual_forms_of_a_state_dict_load(tmp_path: Path, state: dict[str, torch.Tensor], form: str) -> None:
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pth")
    if form == "safetensors":
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    elif form == "wrapped":
        torch.save({"epoch": 3, "state_dict": state}, path)
    else:
        prefix = {"plain": "", "parallel": "module.", "ours": "backbone."}[form]
        torch.save({prefix + k: v for k, v in state.items()} | {"fc.weight": torch.zeros(5, 512)}, path)
    loaded = backbones.build("resnet18", 3, load=loader(str(path), "resnet18")).module.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_a_pickle_bomb_does_not_explode(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "exploded"),)

    for name, write in (("a.pth", lambda f: torch.save({"w": Bomb()}, f)), ("b.pkl", lambda f: pickle.dump(Bomb(), f))):
        with (tmp_path / name).open("wb") as file:
            write(file)
        with pytest.raises(UserError, match="not loaded"):
            weights._read(str(tmp_path / name))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x04nonsense", b"PK\x03\x04 half a zip", b"<html>not found</html>"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not loaded") as caught:
        weights._read(str(path))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_another_network_are_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(UserError, match="no such file"):
        backbones.build("resnet18", 3, load=loader("imagenette", "resnet18"))
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "r18.safetensors")
    with pytest.raises(UserError, match="do not fit this backbone"):
        backbones.build("resnet50", 3, load=loader(str(tmp_path / "r18.safetensors"), "resnet50"))


def test_no_network_is_one_line_with_the_remedies() -> None:
    def fail() -> dict[str, torch.Tensor]:
        raise OSError("<urlopen error [Errno -2] Name or service not known>\nand more")

    with pytest.raises(UserError, match=r"efficientnet_lite0.*model\.weights=none") as caught:
        weights._download(fail, "resnet50")
    assert "\n" not in str(caught.value)
