"""What train.precision auto stands for, and where the word that it stands for goes."""

from importlib import import_module
from pathlib import Path

import pytest
import torch
import trained
from conftest import ROOT
from small import CPU, load, network, tiles

from landuse import params
from landuse.training import loop, precision
from landuse.training.step import Stepper

prepare = import_module("landuse.training.prepare")  # the package has its function under this name
CUDA, MPS = torch.device("cuda"), torch.device("mps")


@pytest.mark.parametrize(
    ("device", "able", "word"),
    [
        (CPU, {"avx512_bf16": True}, "bf16"),
        (CPU, {"amx_bf16": True}, "bf16"),
        (CPU, {"avx512_f": True}, "fp32"),
        (CUDA, {"ampere": True}, "bf16"),
        (CUDA, {"ampere": False}, "fp16"),
        (MPS, {}, "fp32"),
    ],
)
def test_the_table_of_auto(
    device: torch.device, able: dict[str, bool], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: able["ampere"])
    assert precision.resolve("auto", device) == word
    assert precision.resolve("fp16", device) == "fp16"


def test_a_stepper_and_its_validation_compute_in_what_auto_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = load(tmp_path, [{"epochs": 1}], {"train.precision": "auto"})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    train, val = tiles()
    model = network()
    assert Stepper(model, p.recipe.phases[0], p, train).precision == "bf16"
    seen = []
    model.head.register_forward_hook(lambda _, __, output: seen.append((model.training, output.dtype)))
    loop.Loop(model, train, val, p, lambda *_: None).run()
    assert set(seen) == {(True, torch.bfloat16), (False, torch.bfloat16)}


def test_the_identity_of_a_training_holds_the_resolved_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained.build(tmp_path, trained.spec(), count=24, tests=2)
    for name in ("src", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(prepare, "pick_device", lambda: CPU)
    specs = {}
    for word in ("auto", "fp32", "bf16"):
        changes = {"train.precision": word, "model.backbone": "cnn_54k", "model.weights": "none"}
        specs[word] = prepare.prepare(params.read(changes=changes)).spec
    assert specs["auto"].params["train.precision"] == "bf16"
    assert specs["auto"].identity == specs["bf16"].identity != specs["fp32"].identity
