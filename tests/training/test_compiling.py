"""train.compile: the same training in compiled code, with nothing of it in what is kept."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from small import load, network, tiles
from torch._inductor import config

from landuse import params
from landuse.core.errors import UserError
from landuse.model.classifier import Classifier
from landuse.training import loop

STILL = {"augment": "none", "head": {"hidden": None, "dropout": 0.0}}  # compiled dropout draws other numbers


def fit(p: params.Params, speeds: list[float] | None = None) -> tuple[Classifier, list[loop.Row]]:
    model = network()
    model.head[0].p = 0.0
    history, _ = loop.Loop(
        model, *tiles(), p, lambda _, speed: speeds.append(speed) if speeds is not None else None
    ).run()
    return model, history


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("g++"), reason="no g++")
@pytest.mark.parametrize("mean", [{"ema": 0.5}, {"swa": 0.0}])
def test_a_compiled_training_is_the_plain_one_and_leaves_nothing_in_the_network(
    tmp_path: Path, mean: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    phases = [{"freeze": "backbone", "epochs": 2}, {"freeze": "layer3", "epochs": 1}]
    plain, expected = fit(load(tmp_path, phases, **STILL, **mean))
    speeds: list[float] = []
    model, history = fit(load(tmp_path, phases, {"train.compile": True}, **STILL, **mean), speeds)
    for row, other in zip(history, expected, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], abs=1e-4)
        assert row["val_loss"] == pytest.approx(other["val_loss"], abs=1e-4)
    state = model.state_dict()
    assert list(state) == list(plain.state_dict())
    for name, weight in plain.state_dict().items():
        assert torch.allclose(weight.float(), state[name].float(), atol=1e-3), name
    found = re.findall(r"(p\d): compiled in (\d+) s", capsys.readouterr().out)
    assert [name for name, _ in found] == ["p0", "p1"]
    assert min(speeds) > 100  # without the batches that compiled


@pytest.mark.long
def test_a_missing_compiler_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    with pytest.raises(UserError, match=r"train\.compile does not work here: install a C\+\+ compiler.*false"):
        loop.Loop(network(), *tiles(), load(tmp_path, changes={"train.compile": True}), lambda *_: None)
