"""Losses as sums, against torch's and torchvision's own."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from landuse import params
from landuse.training.losses import Loss

TARGETS = np.array([0, 0, 0, 1, 1, 2], dtype=np.int64)


def loss(**settings: object) -> Loss:
    chosen = {"class_weights": False, "label_smoothing": 0.0} | settings
    return Loss(params.Loss.model_validate(chosen), TARGETS, 3)


def logits() -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_sum_over_weight_is_the_mean_of_torch(smoothing: float, weighted: bool) -> None:
    ours = loss(class_weights=weighted, label_smoothing=smoothing)
    total, weight = ours(logits(), torch.from_numpy(TARGETS))
    expected = F.cross_entropy(
        logits(), torch.from_numpy(TARGETS), ours.class_weights if weighted else None, label_smoothing=smoothing
    )
    assert float(total / weight) == pytest.approx(float(expected), rel=1e-6)


def test_class_weights_are_those_of_document_000() -> None:
    """N / (C n) on 8,000 City and 7,500 Farmland tiles."""
    settings = params.Loss(class_weights=True, label_smoothing=0.0)
    weights = Loss(settings, np.repeat(np.array([0, 1]), [8000, 7500]), 2).class_weights
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.96875, 1.03333], abs=1e-5)


def test_mixed_labels_weigh_by_their_shares() -> None:
    shares = F.one_hot(torch.from_numpy(TARGETS), 3).float()
    whole, _ = loss()(logits(), torch.from_numpy(TARGETS))
    mixed, weight = loss()(logits(), shares)
    assert weight == 6
    assert float(mixed) == pytest.approx(float(whole), rel=1e-6)
    half, _ = loss()(logits(), 0.5 * shares + 0.5 * shares.flip(0))
    ends = [float(loss()(logits(), t)[0]) for t in (shares, shares.flip(0))]
    assert float(half) == pytest.approx(sum(ends) / 2, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_focal_loss_without_focus_is_cross_entropy(smoothing: float) -> None:
    plain, _ = loss(class_weights=True, label_smoothing=smoothing)(logits(), torch.from_numpy(TARGETS))
    focal = loss(name="focal", gamma=1e-9, class_weights=True, label_smoothing=smoothing)
    assert float(focal(logits(), torch.from_numpy(TARGETS))[0]) == pytest.approx(float(plain), rel=1e-5)


def test_of_two_classes_the_focal_loss_is_the_published_one() -> None:
    """A softmax over (0, x) is a sigmoid of x; torchvision has the published, binary form."""
    x = torch.linspace(-3, 3, 8)
    targets = torch.tensor([0, 1] * 4)
    settings = params.Loss(name="focal", gamma=2.0, class_weights=False, label_smoothing=0.0)
    ours = Loss(settings, targets.numpy(), 2)(torch.stack([torch.zeros(8), x], 1), targets)[0]
    published = sigmoid_focal_loss(x, targets.float(), alpha=-1, gamma=2.0, reduction="sum")
    assert float(ours) == pytest.approx(float(published), rel=1e-5)
