"""Partial convolution against a loop over windows that follows the paper's equations literally."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from freefill.lab.layers.partial import PartialConv2d

Array = NDArray[np.float64]
GEOMETRIES = pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [(1, 1, 1), (3, 1, 1), (3, 2, 1), (5, 2, 1), (3, 1, 4), (5, 1, 2), (3, 3, 2), (7, 2, 3)],
)


def windows(
    x: Array, known: Array, weight: Array, bias: Array, stride: int, dilation: int
) -> tuple[Array, Array]:
    """Equations 1 and 2 of Liu et al. for one picture (C, H, W), one output value at a time."""
    height, width = known.shape
    out_channels, _, k, _ = weight.shape
    features = np.zeros((out_channels, -(-height // stride), -(-width // stride)))
    after = np.zeros(features.shape[1:])
    for r, c in np.ndindex(after.shape):
        total, count = np.zeros(out_channels), 0
        for i, j in np.ndindex(k, k):
            row = r * stride + (i - k // 2) * dilation
            column = c * stride + (j - k // 2) * dilation
            if 0 <= row < height and 0 <= column < width and known[row, column]:
                count += 1
                total += weight[:, :, i, j] @ x[:, row, column]
        if count:
            features[:, r, c] = total * (k * k / count) + bias
            after[r, c] = 1
    return features, after


def masks(height: int, width: int) -> Tensor:
    """All known, all hole, and random ones from nearly none to nearly all, (6, 1, H, W)."""
    shares = torch.tensor([1.0, 0.0, 0.03, 0.3, 0.7, 0.97]).view(-1, 1, 1, 1)
    generator = torch.Generator().manual_seed(2)
    return (torch.rand(6, 1, height, width, generator=generator) < shares).float()


def linear(kernel: int = 3, stride: int = 1, dilation: int = 1) -> PartialConv2d:
    torch.manual_seed(0)
    layer = PartialConv2d(3, 4, kernel, stride=stride, dilation=dilation, activation=None)
    nn.init.normal_(layer.bias)
    return layer


def compare(layer: PartialConv2d, x: Tensor, known: Tensor, tolerance: float) -> None:
    features, after = layer(x, known)
    assert features.dtype == x.dtype
    for b in range(len(x)):
        expected, mask = windows(
            x[b].double().numpy(),
            known[b, 0].double().numpy(),
            layer.conv.weight.detach().double().numpy(),
            layer.bias.detach().double().numpy(),
            layer.conv.stride[0],
            layer.conv.dilation[0],
        )
        np.testing.assert_array_equal(after[b, 0].numpy(), mask)
        np.testing.assert_allclose(
            features[b].detach().numpy(), expected, rtol=tolerance, atol=tolerance
        )


@GEOMETRIES
@pytest.mark.parametrize("size", [(9, 12), (11, 7)])
def test_matches_the_equations(
    size: tuple[int, int], kernel: int, stride: int, dilation: int
) -> None:
    layer = linear(kernel, stride, dilation)
    compare(layer, torch.randn(6, 3, *size), masks(*size), 1e-5)


@GEOMETRIES
def test_matches_the_equations_in_float64(kernel: int, stride: int, dilation: int) -> None:
    layer = linear(kernel, stride, dilation).double()
    x = torch.randn(6, 3, 9, 12, dtype=torch.float64)
    compare(layer, x, masks(9, 12).double(), 1e-10)


@GEOMETRIES
def test_what_is_in_the_hole_has_no_influence(kernel: int, stride: int, dilation: int) -> None:
    layer = linear(kernel, stride, dilation)
    x, known = torch.randn(6, 3, 12, 13), masks(12, 13)
    changed = torch.where(known > 0, x, 1e6 * torch.randn_like(x))
    assert torch.equal(layer(x, known)[0], layer(changed, known)[0])


@GEOMETRIES
def test_one_known_pixel_grows_to_every_window_that_holds_it(
    kernel: int, stride: int, dilation: int
) -> None:
    known = torch.zeros(1, 1, 33, 35)
    known[0, 0, 15, 18] = 1
    _, after = linear(kernel, stride, dilation)(torch.randn(1, 3, 33, 35), known)
    reach = [(i - kernel // 2) * dilation for i in range(kernel)]
    expected = {
        (r, c)
        for r in range(-(-33 // stride))
        for c in range(-(-35 // stride))
        if 15 - r * stride in reach and 18 - c * stride in reach
    }
    assert {(int(r), int(c)) for r, c in after[0, 0].nonzero()} == expected


def test_a_hole_shrinks_by_the_kernels_radius_until_it_is_gone() -> None:
    known = torch.ones(1, 1, 32, 40)
    known[..., 8:20, 10:31] = 0
    layer, x = linear(5), torch.zeros(1, 3, 32, 40)
    sides = []
    for _ in range(4):
        _, known = layer(x, known)
        sides.append((int((known == 0).any(3).sum()), int((known == 0).any(2).sum())))
    assert sides == [(12 - 4, 21 - 4), (12 - 8, 21 - 8), (0, 0), (0, 0)]


@GEOMETRIES
def test_is_a_plain_convolution_where_all_is_known(kernel: int, stride: int, dilation: int) -> None:
    layer = linear(kernel, stride, dilation)
    margin = dilation * (kernel - 1) // 2
    plain = nn.Conv2d(3, 4, kernel, stride, margin, dilation)
    with torch.no_grad():
        plain.weight.copy_(layer.conv.weight)
        plain.bias.copy_(layer.bias)
    x = torch.randn(2, 3, 40, 41)
    features, after = layer(x, torch.ones(2, 1, 40, 41))
    assert after.all()
    skip = -(-margin // stride)  # windows that reach beyond the edge are rescaled
    inner = (
        ...,
        slice(skip, (39 - margin) // stride + 1),
        slice(skip, (40 - margin) // stride + 1),
    )
    assert features[inner].numel() > 0
    torch.testing.assert_close(features[inner], plain(x)[inner], rtol=1e-5, atol=1e-5)


def test_an_empty_window_gives_zero_whatever_bias_and_activation() -> None:
    layer = PartialConv2d(3, 4, activation=lambda x: x + 5)
    nn.init.ones_(layer.bias)
    known = torch.zeros(1, 1, 9, 9)
    known[..., 4, 4] = 1
    features, after = layer(torch.randn(1, 3, 9, 9), known)
    assert torch.equal((features != 0).any(1, keepdim=True).float(), after)
    features, after = layer(torch.randn(1, 3, 9, 9), torch.zeros(1, 1, 9, 9))
    assert not features.any()
    assert not after.any()


def test_the_activation_is_elu_unless_said_otherwise() -> None:
    torch.manual_seed(0)
    layer = PartialConv2d(3, 4)
    x, known = torch.randn(6, 3, 9, 9), masks(9, 9)
    activated, _ = layer(x, known)
    layer.activation = None
    plain, after = layer(x, known)
    assert (plain < 0).any()
    torch.testing.assert_close(activated, F.elu(plain) * after, rtol=0, atol=0)


def test_gradient() -> None:
    layer = PartialConv2d(2, 2, stride=2).double()
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    known = masks(5, 6)[3:5].double()
    weight = layer.conv.weight.detach().clone().requires_grad_()
    bias = torch.randn(2, dtype=torch.float64, requires_grad=True)

    def features(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(
            layer, {"conv.weight": weight, "bias": bias}, (x, known)
        )[0]
        return found

    assert torch.autograd.gradcheck(features, (x, weight, bias))


def test_gradient_of_a_linear_layer_is_its_transpose() -> None:
    """In float32: without an activation, one loop over windows gives the gradient as well."""
    layer, known = linear(3, 2, 2), masks(9, 10)[4:5]
    x = torch.randn(1, 3, 9, 10, requires_grad=True)
    layer(x, known)[0][0, 1].sum().backward()
    weight, zero = layer.conv.weight.detach().double().numpy(), np.zeros(4)
    expected = np.zeros((3, 9, 10))
    for place in np.ndindex(expected.shape):
        unit = np.zeros(expected.shape)
        unit[place] = 1
        expected[place] = windows(unit, known[0, 0].numpy(), weight, zero, 2, 2)[0][1].sum()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad[0].numpy(), expected, atol=1e-5)
    assert not x.grad[known.expand_as(x) == 0].any()


def test_bf16_counts_as_far_as_float32() -> None:
    """17 x 17 places are more than bf16, whose integers end at 256, can count."""
    layer = PartialConv2d(1, 1, 17, activation=None)
    with torch.no_grad():
        # One place of the window alone: its product is exact in bf16, so the scale is all there is.
        layer.conv.weight.zero_()[0, 0, 8, 8] = 1
    known = torch.ones(1, 1, 40, 40)
    known[0, 0, 3:38:4, 2:38:5] = 0
    known[..., 20, 20] = 1
    with torch.autocast("cpu", torch.bfloat16):
        features, after = layer(torch.ones(1, 1, 40, 40), known)
    features = features.detach()
    assert features.dtype == torch.float32
    assert after.all()
    counts = set()
    for r, c in np.ndindex(40, 40):
        n = int(known[0, 0, max(r - 8, 0) : r + 9, max(c - 8, 0) : c + 9].sum())
        counts.add(n)
        expected = 289 / n if known[0, 0, r, c] else 0.0
        assert float(features[0, 0, r, c]) == pytest.approx(expected, rel=1e-6)
    assert any(n > 256 and n % 2 for n in counts), "there are counts that bf16 would round"


def test_state_is_that_of_a_plain_convolution() -> None:
    state = PartialConv2d(3, 8, 5).state_dict()
    shapes = sorted(tuple(t.shape) for t in state.values())
    assert shapes == sorted(tuple(t.shape) for t in nn.Conv2d(3, 8, 5).state_dict().values())
    assert not state["bias"].any()


def test_the_mask_carries_no_gradient_and_is_not_changed() -> None:
    known = masks(8, 8)
    before = known.clone()
    _, after = linear()(torch.randn(6, 3, 8, 8, requires_grad=True), known)
    assert not after.requires_grad
    assert torch.equal(known, before)


@pytest.mark.parametrize("kernel", [2, 4])
def test_refuses_an_even_kernel(kernel: int) -> None:
    with pytest.raises(ValueError, match=f"kernel_size is {kernel}; it must be odd"):
        PartialConv2d(3, 4, kernel)
