"""Leaving out what meets only padding: the same results, gradients, names and ONNX file content as without."""

import copy

import pytest
import torch
from torch import nn

from landuse.model import backbones
from landuse.model.reach import ReachingConv2d, leave_out_padding


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (2, 7), (3, 1), (9, 9)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
def test_results_and_gradients_are_those_of_a_plain_convolution(
    shape: tuple[int, int], stride: int, groups: int
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 8, (5, 7), stride, (2, 3), groups=groups)
    ours = copy.deepcopy(plain)
    leave_out_padding(ours)
    assert type(ours) is ReachingConv2d
    x = torch.randn(3, 4, *shape, requires_grad=True)
    x_too = x.detach().clone().requires_grad_()
    expected, got = plain(x), ours(x_too)
    torch.testing.assert_close(got, expected)
    target = torch.randn_like(expected)
    (expected * target).sum().backward()
    (got * target).sum().backward()
    torch.testing.assert_close(x_too.grad, x.grad)
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad)
    torch.testing.assert_close(ours.bias.grad, plain.bias.grad)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(2, 2, 1),
        nn.Conv2d(2, 2, 3),
        nn.Conv2d(2, 2, 4, padding=2),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(2, 2, 3, padding=1, dilation=2),
    ],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(conv: nn.Conv2d) -> None:
    leave_out_padding(conv)
    assert type(conv) is nn.Conv2d


def test_the_copy_that_an_average_keeps_has_weights_of_its_own() -> None:
    network = backbones.build("efficientnet_lite0", 3, "none").module.eval()
    x = torch.randn(2, 3, 64, 64)
    twin = copy.deepcopy(network)
    with torch.no_grad():
        before = twin(x)
        for parameter in network.parameters():
            parameter.zero_()
        torch.testing.assert_close(twin(x), before, rtol=0, atol=0)
    seen = [m for m in network.modules() if isinstance(m, ReachingConv2d) and m.kernel_size == (5, 5)]
    assert seen
