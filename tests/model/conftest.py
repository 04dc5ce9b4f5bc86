"""Networks without random weights."""

import pytest
import torch


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights are drawn, which takes longer than all else where only names and shapes matter."""
    for draw in ("uniform_", "normal_"):
        monkeypatch.setattr(torch.Tensor, draw, lambda tensor, *_, **__: tensor)
