"""Gated convolution and SAME padding against slow, literal references in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from freefill.lab.layers.gated import GatedConv2d, GatedUpConv2d
from freefill.lab.layers.padding import pad_same, same_padding


def convolve(
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    bias: NDArray[np.float64],
    stride: int,
    dilation: int,
    pads: tuple[tuple[int, int], tuple[int, int]],
) -> NDArray[np.float64]:
    """Slide a kernel over one picture (C, H, W), one output value at a time."""
    x = np.pad(x, ((0, 0), *pads))
    out_channels, _, k, _ = weight.shape
    reach = dilation * (k - 1) + 1
    rows = (x.shape[1] - reach) // stride + 1
    columns = (x.shape[2] - reach) // stride + 1
    y = np.zeros((out_channels, rows, columns))
    for r in range(rows):
        for c in range(columns):
            top, left = r * stride, c * stride
            window = x[:, top : top + reach : dilation, left : left + reach : dilation]
            y[:, r, c] = (weight * window).sum((1, 2, 3)) + bias
    return y


def numpy_of(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.detach().double().numpy()


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


def elu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x > 0, x, np.expm1(x))


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("gate", ["full", "single"])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 2, 1), (3, 1, 4)]
)
def test_matches_numpy(padding: str, gate: str, kernel: int, stride: int, dilation: int) -> None:
    torch.manual_seed(0)
    layer = GatedConv2d(
        3, 4, kernel, stride=stride, dilation=dilation, gate=gate, padding=padding
    ).double()
    x = torch.randn(1, 3, 10, 13, dtype=torch.float64)
    if padding == "same":
        pads = tuple(tensorflow_same(side, kernel, stride, dilation) for side in (10, 13))
    else:
        pads = ((dilation * (kernel - 1) // 2,) * 2,) * 2
    raw = convolve(
        numpy_of(x[0]),
        numpy_of(layer.conv.weight),
        numpy_of(layer.conv.bias),
        stride,
        dilation,
        pads,
    )
    expected = elu(raw[:4]) * sigmoid(raw[4:])
    np.testing.assert_allclose(numpy_of(layer(x)[0]), expected, atol=1e-12)


def tensorflow_same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """The rule as TensorFlow's documentation words it, by cases on the remainder."""
    reach = (kernel - 1) * dilation + 1
    total = max(reach - (size % stride or stride), 0)
    return total // 2, total - total // 2


@pytest.mark.parametrize("size", range(1, 20))
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_follows_tensorflow(size: int, stride: int) -> None:
    for kernel, dilation in ((3, 1), (5, 1), (3, 4), (4, 1)):
        assert same_padding(size, kernel, stride, dilation) == tensorflow_same(
            size, kernel, stride, dilation
        )


def test_same_padding_gives_ceil_of_size_over_stride() -> None:
    x = torch.zeros(1, 1, 7, 8)
    y = F.conv2d(pad_same(x, 5, 2, 1), torch.zeros(1, 1, 5, 5), stride=2)
    assert y.shape[-2:] == (4, 4)


def test_depthwise_gate_is_one_gate_a_channel() -> None:
    layer = GatedConv2d(6, 8, gate="depthwise", stride=2)
    features, gate = layer.features_and_gate(torch.randn(2, 6, 16, 16))
    assert features.shape == gate.shape == (2, 8, 8, 8)
    full = GatedConv2d(6, 8, gate="full", stride=2)
    assert sum(p.numel() for p in layer.parameters()) < sum(p.numel() for p in full.parameters())


@pytest.mark.parametrize("gate", ["full", "single", "depthwise"])
def test_closed_gate_closes(gate: str) -> None:
    layer = GatedConv2d(3, 4, gate=gate)
    with torch.no_grad():
        if gate == "depthwise":
            layer.gate_conv[1].weight.zero_()
            layer.gate_conv[1].bias.fill_(-50)
        else:
            layer.conv.weight[4:].zero_()
            layer.conv.bias[4:] = -50
    assert layer(torch.randn(1, 3, 8, 8)).abs().max() < 1e-12


def test_gradient() -> None:
    layer = GatedConv2d(2, 2, stride=2, padding="same").double()
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (x,))


@pytest.mark.parametrize(
    "wrong",
    [
        {"gate": "half"},
        {"padding": "valid"},
        {"kernel_size": 4},
        {"gate": "depthwise", "block": 2},
        {"stride": 3, "block": 2},
        {"dilation": 4, "block": 2},
    ],
    ids=str,
)
def test_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        GatedConv2d(3, 4, **wrong)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 8)])
def test_folded_kernels_are_a_convolution_of_the_doubled_picture(height: int, width: int) -> None:
    torch.manual_seed(0)
    folded = GatedUpConv2d(3, 4).double()
    plain = GatedConv2d(3, 4).double()
    plain.load_state_dict(folded.state_dict())
    x = torch.randn(2, 3, height, width, dtype=torch.float64)
    doubled = F.interpolate(x, scale_factor=2, mode="nearest")
    torch.testing.assert_close(folded(x), plain(doubled), rtol=0, atol=1e-12)
    for ours, theirs in zip(
        folded.features_and_gate(x), plain.features_and_gate(doubled), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
