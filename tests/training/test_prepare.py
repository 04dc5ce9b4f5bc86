"""From params and data on disk to a network."""

from pathlib import Path
from typing import Any

import pytest
import trained
from conftest import ROOT
from small import load

from landuse.core.errors import UserError
from landuse.model import backbones
from landuse.training.prepare import prepare


def ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int | None], refused: int = 0) -> list[int]:
    """Prepare a training whose phases have these input sizes; return the sizes at which the network was run.

    refused: a size at which it does not work.
    """
    trained.build(tmp_path, trained.spec(), count=24, tests=2)
    for name in ("src", "stages"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    run: list[int] = []
    original = backbones.features_at

    def counting(network: Any, name: str, channels: int, size: int) -> int:
        run.append(size)
        if size == refused:
            raise UserError("it does not work at this size")
        return original(network, name, channels, size)

    monkeypatch.setattr(backbones, "features_at", counting)
    changes = {"model.backbone": "cnn_54k", "model.weights": "none", "model.input_size": 64}
    prepare(load(tmp_path, [{"input_size": size} for size in sizes], changes))
    return run


def test_the_network_is_tried_once_at_each_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(ready(tmp_path, monkeypatch, [32, 64, 32, None])) == [32, 64]


def test_a_size_that_does_not_work_is_told_with_its_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"phase p1 of the recipe has an input_size of 24 px"):
        ready(tmp_path, monkeypatch, [64, 24, 24, None], refused=24)
