"""Convolutions on small maps: the results, gradients and names of plain ones."""

import copy

import pytest
import torch
from torch import nn

from landuse.model import backbones, convolutions
from landuse.model.convolutions import LeanConv2d, adapt


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (2, 7), (3, 1), (9, 9)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 4])
def test_results_and_gradients_are_those_of_a_plain_convolution(
    shape: tuple[int, int], stride: int, groups: int
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 8, (5, 7), stride, (2, 3), groups=groups)
    ours = copy.deepcopy(plain)
    adapt(ours)
    assert type(ours) is LeanConv2d
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


@pytest.mark.parametrize("shape", [(2, 2), (2, 5), (4, 4), (5, 7), (16, 16)])
@pytest.mark.parametrize("stride", [1, 2, (1, 2)])
@pytest.mark.parametrize("x_learns", [True, False])
def test_depthwise_kernels_learn_what_plain_ones_do_by_fast_code(
    shape: tuple[int, int], stride: int, x_learns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[torch.Size] = []
    forward = convolutions._InParts.forward
    monkeypatch.setattr(
        convolutions._InParts, "forward", lambda ctx, x, *by: (taken.append(x.shape), forward(ctx, x, *by))[1]
    )
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 8, 5, stride, 2, groups=8, bias=False)
    ours = copy.deepcopy(plain)
    adapt(ours)
    x = torch.randn(3, 8, *shape).to(memory_format=torch.channels_last).requires_grad_(x_learns)
    x_too = x.detach().clone(memory_format=torch.preserve_format).requires_grad_(x_learns)
    expected, got = plain(x), ours(x_too)
    torch.testing.assert_close(got, expected)
    target = torch.randn_like(expected)
    (expected * target).sum().backward()
    (got * target).sum().backward()
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad, rtol=1e-4, atol=1e-4)
    assert not x_learns or torch.testing.assert_close(x_too.grad, x.grad) is None
    assert taken == ([] if shape == (2, 5) else [x.shape])  # a kernel of 3 x 5 taps has no such code
    with torch.no_grad():
        torch.testing.assert_close(ours(x), plain(x), rtol=0, atol=0)
    assert len(taken) <= 1


@pytest.mark.parametrize(
    ("kernel", "stride", "side"),
    [(1, 1, 2), (1, 2, 4), (1, 1, 8), (3, 1, 2), (3, 2, 4), (3, 2, 3), (5, 1, 1), (5, 2, 4)],
)
@pytest.mark.parametrize("autocast", [False, True])
def test_products_in_bfloat16_are_as_near_the_truth_as_convolutions(
    kernel: int, stride: int, side: int, autocast: bool
) -> None:
    torch.manual_seed(0)
    exact = nn.Conv2d(32, 48, kernel, stride, kernel // 2).to(memory_format=torch.channels_last)
    plain, ours = copy.deepcopy(exact), copy.deepcopy(exact)
    adapt(ours)
    x = torch.randn(8, 32, side, side).bfloat16().to(memory_format=torch.channels_last)
    target = torch.randn_like(exact(x.float())).bfloat16()

    def results(conv: nn.Conv2d, bfloat16: bool) -> list[torch.Tensor]:
        given = (x if bfloat16 else x.float()).detach().clone(memory_format=torch.preserve_format).requires_grad_()
        if bfloat16 and not autocast:
            conv.bfloat16()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16 and autocast):
            out = conv(given)
        assert out.is_contiguous(memory_format=torch.channels_last)
        (out * target).sum().backward()
        return [t.detach().float() for t in (out, given.grad, conv.weight.grad, conv.bias.grad)]

    truth = results(exact, False)
    for right, theirs, own in zip(truth, results(plain, True), results(ours, True), strict=True):
        assert own.shape == right.shape
        assert (own - right).norm() <= 1.3 * (theirs - right).norm() + 1e-6 * right.norm()


def test_products_are_taken_on_few_positions_and_in_bfloat16_only(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[int, ...]] = []
    product = LeanConv2d._product
    monkeypatch.setattr(LeanConv2d, "_product", lambda self, x: (taken.append(x.shape), product(self, x))[1])
    pointwise, three, depthwise = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1, groups=8)
    for conv in (pointwise, three, depthwise):
        adapt(conv)
        conv.bfloat16()
        for side in (2, 8, 9):
            conv(torch.randn(1, 8, side, side).bfloat16())
        conv.float()(torch.randn(1, 8, 2, 2))
    assert taken == [(1, 8, 2, 2), (1, 8, 8, 8), (1, 8, 2, 2)]


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(2, 2, 3),
        nn.Conv2d(2, 2, 4, padding=2),
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(2, 2, 3, padding=1, dilation=2),
    ],
    ids=str,
)
def test_other_convolutions_stay_as_they_are(conv: nn.Conv2d) -> None:
    adapt(conv)
    assert type(conv) is nn.Conv2d


def test_the_copy_that_an_average_keeps_has_weights_of_its_own() -> None:
    network = backbones.build("efficientnet_lite0", 3).module.eval()
    x = torch.randn(2, 3, 64, 64)
    twin = copy.deepcopy(network)
    with torch.no_grad():
        before = twin(x)
        for parameter in network.parameters():
            parameter.zero_()
        torch.testing.assert_close(twin(x), before, rtol=0, atol=0)
    seen = [m for m in network.modules() if isinstance(m, LeanConv2d) and m.kernel_size == (5, 5)]
    assert seen


@pytest.mark.parametrize(("kernel", "stride", "side"), [(3, 1, 8), (3, 2, 8), (5, 1, 4), (3, 1, 2)])
def test_depthwise_gradients_in_bfloat16_are_at_least_as_near_the_truth(kernel: int, stride: int, side: int) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(16, 16, kernel, stride, kernel // 2, groups=16)
    exact, ours = copy.deepcopy(plain), copy.deepcopy(plain)
    adapt(ours)
    x = torch.randn(4, 16, side, side)
    target = torch.randn_like(exact(x)).bfloat16()

    def results(conv: nn.Conv2d, bfloat16: bool) -> list[torch.Tensor]:
        given = (x.bfloat16() if bfloat16 else x.bfloat16().float()).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            out = conv(given)
        assert out.dtype == (torch.bfloat16 if bfloat16 else torch.float32)
        (out * target).sum().backward()
        return [t.detach().float() for t in (out, given.grad, conv.weight.grad)]

    truth = results(exact, False)
    for right, theirs, own in zip(truth, results(plain, True), results(ours, True), strict=True):
        assert (own - right).norm() <= 1.2 * (theirs - right).norm() + 1e-6 * right.norm()
